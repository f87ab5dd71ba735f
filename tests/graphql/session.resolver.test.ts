/** Access tokens of sessions, and invalid bearers. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { expectMember } from '../support/client.js';
import {
  byAddress,
  caller,
  insertPerson,
  makeSuperuser,
  type Person,
  password,
  person,
  signUp,
} from '../support/people.js';
import { clear, createDatabase, sharedSecrets, startService } from '../support/service.js';

const issuer = 'https://id.example.com';
const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), PUBLIC_URL: issuer };
const service = await startService(shared);
const replica = await startService(shared);
const anonymous = caller(service);

beforeEach(() => clear(service));

const publishedKeys = () => createRemoteJWKSet(new URL(`${service.url}/.well-known/jwks.json`));

/** Responses of public operations to the bearer of a token. */
async function codesFor(token: string, of = service): Promise<(string | undefined)[]> {
  const bearer = caller(of, { token });
  const answers = [await bearer.ask('{ me { id } }'), await bearer.ask('{ policy { defaultRegion } }')];
  for (const { data, errors } of answers) assert.ok(errors ? !data : data);
  return answers.map(({ errors }) => errors?.[0]?.extensions.code);
}

async function assertDead(token: string, why?: string): Promise<void> {
  assert.deepEqual(await codesFor(token), ['UNAUTHENTICATED', 'UNAUTHENTICATED'], why);
}

describe('an access token', () => {
  test('contains the user, the session, the methods and the expiry, verifiable by the published keys', async () => {
    const { id, tokens } = await signUp(service, { username: 'alice', password });
    const { payload, protectedHeader } = await jwtVerify(tokens.accessToken, publishedKeys(), {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    });
    assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: service.app.keys.accessTokens().signing.id });
    const { iat, exp, auth_time, ...claims } = payload as { iat: number; exp: number; auth_time: number };
    const unverified = { email_verified: false, phone_number_verified: false };
    const own = { sub: id, sid: tokens.session.id, amr: ['pwd'], roles: [], ...unverified };
    assert.deepEqual(claims, { iss: issuer, aud: issuer, ...own });
    assert.equal(exp, iat + 300);
    assert.equal(new Date(exp * 1000).toISOString(), tokens.accessTokenExpiresAt);
    assert.equal(iat, Math.floor(Date.parse(tokens.session.createdAt) / 1000));
    assert.equal(auth_time, iat);
  });

  test('has the configured lifetime', async () => {
    const brief = await startService({ ...shared, ACCESS_TOKEN_TTL_SECONDS: '60' });
    const { tokens } = await signUp(brief, { username: 'alice', password });
    const { iat, exp } = decodeJwt(tokens.accessToken);
    assert.equal(exp! - iat!, 60);
  });

  test('contains the roles and the methods of its session', async () => {
    const root = await makeSuperuser(service);
    assert.deepEqual(decodeJwt(root.tokens.accessToken).roles, ['staff', 'superuser']);
    const { tokens } = await signUp(service, { username: 'alice' });
    assert.deepEqual(decodeJwt(tokens.accessToken).amr, []);
    const [email, phone] = ['alice@example.com', '+12025550123'];
    await insertPerson(service, { email, phone, verified: true, role: 'staff' });
    const { signInBy, makeCode } = byAddress(service);
    for (const [address, method] of [
      [email, 'otp'],
      [phone, 'sms'],
    ] as const) {
      const checked = expectMember(await signInBy(address, await makeCode(address)), 'CheckOneTimePasswordSuccess');
      const { amr, roles } = decodeJwt(checked.tokens!.accessToken);
      assert.deepEqual([amr, roles], [[method], ['staff']]);
    }
  });

  test('contains which addresses are verified, and a pending one never is', async () => {
    const [email, phone] = ['alice@example.com', '+12025550123'];
    const alice = await signUp(service, { email, phone });
    const { signInBy, makeCode, verifyAddress } = byAddress(service);
    const claimsOf = ({ accessToken }: { accessToken: string }) => {
      const { email_verified, phone_number_verified } = decodeJwt(accessToken);
      return [email_verified, phone_number_verified];
    };
    assert.deepEqual(claimsOf(alice.tokens), [false, false]);
    const checked = expectMember(await signInBy(email, await makeCode(email)), 'CheckOneTimePasswordSuccess');
    const owner = person(service, checked.user, checked.tokens);
    assert.deepEqual(claimsOf(owner.tokens), [true, false]);
    // The code opened the session, so a further one gives fresh proof.
    await owner.checkOneTimePassword(owner.emailToken, await makeCode(email));
    expectMember(await owner.updateUser({ phone }), 'UpdateUserSuccess');
    const refresh = async () =>
      expectMember(await anonymous.refreshSession(refreshToken), 'RefreshSessionSuccess').tokens;
    let { refreshToken } = owner.tokens;
    for (const expected of [false, true]) {
      const tokens = await refresh();
      refreshToken = tokens.refreshToken!;
      assert.deepEqual(claimsOf(tokens), [true, expected]);
      if (!expected) await verifyAddress(owner, phone);
    }
  });

  test('is verified by published keys without private parts', async () => {
    const response = await fetch(`${service.url}/.well-known/jwks.json`);
    assert.match(response.headers.get('content-type')!, /^application\/json/);
    const { keys } = (await response.json()) as { keys: Record<string, string>[] };
    assert.equal(keys.length, 1);
    assert.deepEqual(Object.keys(keys[0]!).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    assert.deepEqual([keys[0]!.alg, keys[0]!.use, keys[0]!.crv], ['ES256', 'sig', 'P-256']);
  });
});

describe('an invalid bearer is UNAUTHENTICATED, never anonymous', () => {
  let alice: Person;
  beforeEach(async () => {
    alice = await signUp(service, { username: 'alice', password });
  });

  test('with a WWW-Authenticate header', async () => {
    const response = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer nonsense',
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
      },
      body: JSON.stringify({ query: '{ me { id } }' }),
    });
    assert.equal(response.status, 401);
    assert.match(response.headers.get('www-authenticate')!, /^Bearer error="invalid_token"/);
  });

  test('if it is empty', async () => {
    for (const authorization of ['Bearer', 'Bearer ', 'bearer', 'BEARER nonsense', 'bearer   nonsense']) {
      const answer = await caller(service, { headers: { authorization } }).ask('{ policy { defaultRegion } }');
      assert.ok(!answer.data, authorization);
      assert.equal(answer.errors?.[0]?.extensions.code, 'UNAUTHENTICATED', authorization);
    }
  });

  test('if another installation with the same name issued it', async () => {
    const other = await startService({ PUBLIC_URL: issuer });
    const stranger = await signUp(other, { username: 'alice', password });
    await assertDead(stranger.tokens.accessToken);
  });

  test('if its session is revoked, immediately and on every replica', async () => {
    const { accessToken } = alice.tokens;
    assert.deepEqual(await codesFor(accessToken, replica), [undefined, undefined]);
    assert.deepEqual(await alice.signOut(), { signedOut: true });
    await assertDead(accessToken);
    assert.deepEqual(await codesFor(accessToken, replica), ['UNAUTHENTICATED', 'UNAUTHENTICATED']);
  });

  test('if its user is inactive or deleted', async () => {
    await service.app.db.execute(sql`update users set is_active = false`);
    await assertDead(alice.tokens.accessToken);
    await service.app.db.execute(sql`update users set is_active = true`);
    assert.deepEqual(await codesFor(alice.tokens.accessToken), [undefined, undefined]);
    await service.app.db.execute(sql`delete from users`);
    await assertDead(alice.tokens.accessToken);
  });

  test('in every operation, and the operation changes nothing', async () => {
    const bearer = caller(service, { token: 'nonsense' });
    for (const operation of [
      'mutation { createUser(input: { username: "bob" }) { __typename } }',
      'mutation { authenticate(input: { username: "alice", password: "wrong" }) { __typename } }',
      `mutation { sendOneTimePassword(tokenId: "x") { __typename } }`,
      '{ securityTokens(identifier: "alice") { id } }',
      '{ __typename }',
    ])
      assert.equal((await bearer.ask(operation)).errors?.[0]?.extensions.code, 'UNAUTHENTICATED', operation);
    expectMember(
      await anonymous.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
      'no failure was counted',
    );
  });
});
