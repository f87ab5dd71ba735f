/** The refresh token in a cookie: its attributes, and the origins that may use it. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { type Answer, send } from '../support/client.js';
import { insertPerson, issueOneTimePassword, password } from '../support/people.js';
import {
  advance,
  clear,
  countRows,
  createDatabase,
  type Service,
  sharedSecrets,
  startService,
} from '../support/service.js';
import { assertRefreshRefused, codeOf, whoIs } from '../support/sessions.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const service = await startService(shared);
const secure = await startService({
  ...shared,
  PUBLIC_URL: 'https://id.example.com',
  APP_URL: 'https://app.example.com/account',
  CORS_ORIGINS: 'https://front.example.org,https://other.example.org:8443',
});
const inCookie = { 'x-session-transport': 'cookie' };

const authenticate = `mutation ($input: AuthenticateInput!) {
  authenticate(input: $input) { ... on AuthenticateSuccess { tokens { accessToken refreshToken } } }
}`;
const refreshSession =
  'mutation ($refreshToken: String) { refreshSession(refreshToken: $refreshToken) { __typename ... on RefreshSessionSuccess { tokens { accessToken refreshToken session { id } } } ... on IdentityError { code } } }';
const signOut = 'mutation { signOut { signedOut } }';

beforeEach(() => clear(service));

describe('the cookie', () => {
  test('has the __Host- prefix and the attributes Secure, HttpOnly and SameSite', async () => {
    const { name, value, attributes } = await signInByCookie(secure);
    assert.equal(name, '__Host-refresh_token');
    assert.match(value, /^frt_[\w-]{86}$/);
    const { Expires, ...rest } = attributes;
    assert.deepEqual(rest, { Path: '/', HttpOnly: true, Secure: true, SameSite: 'Lax' });
    const seconds = (Date.parse(Expires as string) - Date.now()) / 1000;
    assert.ok(Math.abs(seconds - 14 * 86_400) < 10, `expires in ${seconds} s`);
  });

  test('has no prefix if the service uses http on localhost', async () => {
    const { name, attributes } = await signInByCookie(service);
    assert.equal(name, 'refresh_token');
    const { Expires, ...rest } = attributes;
    assert.ok(Expires);
    assert.deepEqual(rest, { Path: '/', HttpOnly: true, SameSite: 'Lax' });
  });

  test('is set only on request by X-Session-Transport: cookie, in any case', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const [transport, expected] of Object.entries({ Cookie: true, COOKIE: true, body: false, '': false })) {
      const variables = { input: { username: 'alice', password } };
      const answer = await send(service, authenticate, variables, { headers: { 'x-session-transport': transport } });
      assert.equal(cookieOf(answer) !== undefined, expected, `"${transport}"`);
      assert.equal(answer.data.authenticate.tokens.refreshToken === null, expected, `"${transport}"`);
    }
  });

  test('holds the refresh token of every opened session, and the response has null instead', async () => {
    const tokens = '{ tokens { accessToken refreshToken } }';
    const row = { email: 'alice@example.com', hasPassword: true, verified: true };
    const { emailToken: tokenId } = await insertPerson(service, row);
    const code = await issueOneTimePassword(service, tokenId);
    const resetCode = await issueOneTimePassword(service, tokenId, 'PASSWORD_RESET');
    const documents = {
      createUser: `createUser(input: { username: "bob" }) { ... on CreateUserSuccess ${tokens} }`,
      authenticate: `authenticate(input: { email: "alice@example.com", password: "${password}" }) { ... on AuthenticateSuccess ${tokens} }`,
      checkOneTimePassword: `checkOneTimePassword(tokenId: "${tokenId}", oneTimePassword: "${code}") { ... on CheckOneTimePasswordSuccess ${tokens} }`,
      resetPassword: `resetPassword(input: { tokenId: "${tokenId}", oneTimePassword: "${resetCode}", newPassword: "${password}" }) { ... on ResetPasswordSuccess ${tokens} }`,
    };
    for (const [field, document] of Object.entries(documents)) {
      const answer = await send(service, `mutation { ${document} }`, {}, { headers: inCookie });
      assert.deepEqual(Object.keys(answer.data[field].tokens ?? {}), ['accessToken', 'refreshToken'], field);
      assert.equal(answer.data[field].tokens.refreshToken, null, field);
      const cookie = cookieOf(answer);
      assert.ok(cookie, field);
      assert.notEqual((await refreshBy(service, cookie)).data.refreshSession.tokens, undefined, field);
    }
  });

  test('refreshes the session without a body, and is replaced', async () => {
    const cookie = await signInByCookie(secure);
    const answer = await refreshBy(secure, cookie);
    const { tokens } = answer.data.refreshSession;
    assert.equal(tokens.refreshToken, null);
    assert.equal(await whoIs(secure, tokens.accessToken), cookie.userId);
    const next = cookieOf(answer)!;
    assert.equal(next.name, cookie.name);
    assert.notEqual(next.value, cookie.value);
    assert.equal((await refreshBy(secure, next)).data.refreshSession.__typename, 'RefreshSessionSuccess');
  });

  test('is read only by its exact name', async () => {
    const { value } = await signInByCookie(secure);
    for (const name of ['refresh_token', '__Secure-refresh_token', '__host-refresh_token']) {
      const answer = await refreshBy(secure, { name, value });
      assert.equal(answer.data.refreshSession.__typename, 'InvalidSessionError', name);
    }
  });

  test('replaces a refresh token in the body on request', async () => {
    const { tokens } = await insertPerson(service, { username: 'alice' });
    const variables = { refreshToken: tokens.refreshToken };
    const answer = await send(service, refreshSession, variables, { headers: inCookie });
    assert.equal(answer.data.refreshSession.tokens.refreshToken, null);
    const next = await refreshBy(service, cookieOf(answer)!);
    assert.equal(next.data.refreshSession.tokens.session.id, tokens.session.id);
  });

  test('authenticates no other operation than a refresh or a sign-out', async () => {
    const headers = headersOf(await signInByCookie(service));
    assert.deepEqual((await send(service, '{ me { id } }', {}, { headers })).data, { me: null });
    const revoke = 'mutation { revokeOtherSessions { __typename } }';
    assert.equal(codeOf(await send(service, revoke, {}, { headers })), 'UNAUTHENTICATED');
  });
});

describe('a sign-out', () => {
  test('by the cookie revokes its session and clears the cookie, also if the session is already revoked', async () => {
    for (const at of [service, secure]) {
      const cookie = await signInByCookie(at);
      for (const signedOut of [true, false]) {
        const answer = await send(at, signOut, {}, { headers: headersOf(cookie) });
        assert.deepEqual(answer.data, { signOut: { signedOut } });
        assertCleared(answer, cookie.name);
      }
      await assertRefreshRefused(at, cookie.value);
      assert.equal(await whoIs(at, cookie.accessToken), 'UNAUTHENTICATED');
    }
  });

  test('revokes the session of the access token despite an invalid cookie', async () => {
    const over = await signInByCookie(service);
    await send(service, signOut, {}, { headers: headersOf(over) });
    for (const value of ['something-else', over.value]) {
      const cookie = await signInByCookie(service);
      const headers = { cookie: `refresh_token=${value}` };
      const answer = await send(service, signOut, {}, { headers, token: cookie.accessToken });
      assert.deepEqual(answer.data, { signOut: { signedOut: true } });
      assert.equal(await whoIs(service, cookie.accessToken), 'UNAUTHENTICATED');
    }
  });

  test('sets no cookie if the request has none', async () => {
    const { tokens } = await insertPerson(service, { username: 'alice' });
    const answer = await send(service, signOut, {}, { token: tokens.accessToken });
    assert.deepEqual(answer.data, { signOut: { signedOut: true } });
    assert.equal(answer.headers.getSetCookie().length, 0);
  });
});

describe('a page', () => {
  const unlisted = [
    'https://evil.test',
    'null',
    'http://front.example.org',
    'https://front.example.org:444',
    'https://front.example.org.evil.test',
    'https://evil.front.example.org',
    'https://other.example.org',
    'https://id.example.com.evil.test',
    'https://example.com',
    'file://',
    '',
  ];
  const listed = {
    PUBLIC_URL: 'https://id.example.com',
    APP_URL: 'https://app.example.com',
    CORS_ORIGINS: 'https://front.example.org',
    'CORS_ORIGINS with a port': 'https://other.example.org:8443',
  };

  test('of an unlisted origin can neither refresh nor sign out by the cookie', async () => {
    for (const origin of unlisted) {
      const cookie = await signInByCookie(secure);
      for (const document of [refreshSession, signOut]) {
        const answer = await send(secure, document, {}, { headers: { ...headersOf(cookie), origin } });
        assert.equal(codeOf(answer), 'FORBIDDEN', origin);
        assert.equal(answer.headers.getSetCookie().length, 0, origin);
      }
      // A spent token would revoke the session by now.
      await advance(service, 11);
      const answer = await refreshBy(secure, cookie);
      assert.equal(answer.data.refreshSession.__typename, 'RefreshSessionSuccess', origin);
    }
  });

  test('of an unlisted origin gets no cookie and changes nothing', async () => {
    const alice = await insertPerson(secure, { username: 'alice', hasPassword: true });
    const createUser = 'mutation { createUser(input: { username: "bob" }) { __typename } }';
    for (const origin of unlisted) {
      const headers = { ...inCookie, origin };
      const input = { username: 'alice', password };
      for (const answer of [
        await send(secure, authenticate, { input }, { headers }),
        await send(secure, createUser, {}, { headers }),
      ]) {
        assert.equal(codeOf(answer), 'FORBIDDEN', origin);
        assert.equal(answer.headers.getSetCookie().length, 0, origin);
        assert.ok(answer.status < 500, `${origin}: ${answer.status}`);
      }
    }
    assert.equal((await alice.me()).sessions.length, 1);
    assert.equal(await countRows(secure, 'users'), 1);
  });

  test('of a listed origin signs in, refreshes and signs out', async () => {
    for (const [about, origin] of Object.entries(listed)) {
      const cookie = await signInByCookie(secure, { origin });
      const answer = await refreshBy(secure, cookie, { origin });
      assert.equal(answer.data.refreshSession.__typename, 'RefreshSessionSuccess', about);
      const headers = { ...headersOf(cookieOf(answer)!), origin };
      assert.deepEqual((await send(secure, signOut, {}, { headers })).data, { signOut: { signedOut: true } }, about);
    }
  });

  test('passes the CORS preflight only if CORS_ORIGINS contains its origin', async () => {
    const preflight = (origin: string) =>
      fetch(`${secure.url}/graphql`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type,authorization,x-session-transport',
        },
      });
    for (const origin of ['https://front.example.org', 'https://other.example.org:8443']) {
      const { status, headers } = await preflight(origin);
      assert.equal(status, 204);
      assert.equal(headers.get('access-control-allow-origin'), origin);
      assert.equal(headers.get('access-control-allow-credentials'), 'true');
      const allowed = headers.get('access-control-allow-headers')!.split(/, */);
      assert.deepEqual(allowed.sort(), ['authorization', 'content-type', 'x-session-transport']);
      assert.match(headers.get('access-control-allow-methods')!, /\bPOST\b/);
      assert.match(headers.get('vary')!, /\bOrigin\b/i);
    }
    for (const origin of unlisted.filter(Boolean)) {
      const { headers } = await preflight(origin);
      assert.equal(headers.get('access-control-allow-origin'), null, origin);
      const answer = await send(secure, '{ policy { passwordMinLength } }', {}, { headers: { origin } });
      assert.equal(answer.headers.get('access-control-allow-origin'), null, origin);
    }
  });
});

interface Cookie {
  name: string;
  value: string;
  attributes: Record<string, string | true>;
}

/** Returns the only cookie that a response sets; undefined without one. */
function cookieOf({ headers }: Pick<Answer, 'headers'>): Cookie | undefined {
  const set = headers.getSetCookie();
  assert.ok(set.length <= 1, set.join('\n'));
  if (set[0] === undefined) return undefined;
  const [pair, ...rest] = set[0].split('; ').map((part) => part.split('=') as [string, string?]);
  return {
    name: pair![0],
    value: pair![1]!,
    attributes: Object.fromEntries(rest.map(([name, value]) => [name, value ?? true])),
  };
}

let people = 0;

/** Inserts a user, and signs in with a cookie. */
async function signInByCookie(at: Service, headers: Record<string, string> = {}) {
  people += 1;
  const username = `person${people}`;
  const { id: userId } = await insertPerson(at, { username, hasPassword: true });
  const options = { headers: { ...inCookie, ...headers } };
  const answer = await send(at, authenticate, { input: { username, password } }, options);
  const { tokens } = answer.data.authenticate;
  assert.equal(tokens.refreshToken, null);
  return { ...cookieOf(answer)!, userId, accessToken: tokens.accessToken as string };
}

function headersOf({ name, value }: Pick<Cookie, 'name' | 'value'>): Record<string, string> {
  return { cookie: `theme=dark; ${name}=${value}` };
}

function refreshBy(at: Service, cookie: Pick<Cookie, 'name' | 'value'>, headers: Record<string, string> = {}) {
  return send(at, refreshSession, {}, { headers: { ...headersOf(cookie), ...headers } });
}

/** Requires the attributes of the set cookie, because browsers identify the cookie by them. */
function assertCleared(answer: Answer, name: string): void {
  const cookie = cookieOf(answer)!;
  assert.deepEqual([cookie.name, cookie.value, cookie.attributes.Path], [name, '', '/']);
  assert.equal(cookie.attributes.Secure ?? false, name.startsWith('__Host-'));
  assert.equal(Date.parse(cookie.attributes.Expires as string), 0);
}
