/** Sessions: the tokens that stand for them, what is taken for a bearer, and signing out. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportSPKI,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { caller, lastMessage, makeSuperuser, type Person, password, signUp } from '../support/people.js';
import { advance, clear, createDatabase, sharedSecrets, startService } from '../support/service.js';

const issuer = 'https://id.example.com';
const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), PUBLIC_URL: issuer };
const service = await startService(shared);
const replica = await startService(shared);
const anonymous = caller(service);
const day = 24 * 60 * 60;

beforeEach(() => clear(service));

const publishedKeys = () => createRemoteJWKSet(new URL(`${service.url}/.well-known/jwks.json`));

/** A token like those of the service, signed with its key unless another is given. */
async function forge(
  claims: JWTPayload,
  header: object = {},
  key: Parameters<SignJWT['sign']>[0] = service.app.keys.accessTokens().signing.privateKey,
) {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: service.app.keys.accessTokens().signing.id, ...header })
    .sign(key);
}

/** What the bearer of a token is told by operations that anybody may ask. */
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
  test('says who is signed in, in which session, how and until when, to anyone who has the published keys', async () => {
    const { id, tokens } = await signUp(service, { username: 'alice', password });
    const { payload, protectedHeader } = await jwtVerify(tokens.accessToken, publishedKeys(), {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    });
    assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: service.app.keys.accessTokens().signing.id });
    const { iat, exp, auth_time, ...claims } = payload as { iat: number; exp: number; auth_time: number };
    assert.deepEqual(claims, {
      iss: issuer,
      aud: issuer,
      sub: id,
      sid: tokens.session.id,
      amr: ['pwd'],
      roles: [],
    });
    assert.equal(exp, iat + 300);
    assert.equal(new Date(exp * 1000).toISOString(), tokens.accessTokenExpiresAt);
    assert.equal(iat, Math.floor(Date.parse(tokens.session.createdAt) / 1000));
    assert.equal(auth_time, iat);
  });

  test('lives as long as it is configured to', async () => {
    const brief = await startService({ ...shared, ACCESS_TOKEN_TTL_SECONDS: '60' });
    const { tokens } = await signUp(brief, { username: 'alice', password });
    const { iat, exp } = decodeJwt(tokens.accessToken);
    assert.equal(exp! - iat!, 60);
  });

  test('names the roles and the methods of its session', async () => {
    const root = await makeSuperuser(service);
    assert.deepEqual(decodeJwt(root.tokens.accessToken).roles, ['staff', 'superuser']);
    const alice = await signUp(service, { email: 'alice@example.com', phone: '+12025550123' });
    assert.deepEqual(decodeJwt(alice.tokens.accessToken).amr, []);
    await service.app.db.execute(
      sql`update users set is_staff = true, first_verified_at = now() where email is not null`,
    );
    await service.app.db.execute(sql`update security_tokens set verified_at = now()`);
    for (const [tokenId, method] of [
      [alice.emailToken, 'otp'],
      [alice.phoneToken, 'sms'],
    ] as const) {
      await anonymous.sendOneTimePassword(tokenId);
      // The newest is on top once it is there: what is sent for a stranger is not waited for.
      const { oneTimePassword } = await lastMessage(service);
      const { tokens } = await anonymous.checkOneTimePassword(tokenId, oneTimePassword);
      assert.deepEqual(decodeJwt(tokens.accessToken).amr, [method]);
      assert.deepEqual(decodeJwt(tokens.accessToken).roles, ['staff']);
    }
  });

  test('is good on every replica', async () => {
    const { tokens } = await signUp(service, { username: 'alice', password });
    assert.equal((await caller(replica, { token: tokens.accessToken }).me()).username, 'alice');
  });

  test('is verified with keys that show nothing private', async () => {
    const response = await fetch(`${service.url}/.well-known/jwks.json`);
    assert.match(response.headers.get('content-type')!, /^application\/json/);
    const { keys } = (await response.json()) as { keys: Record<string, string>[] };
    assert.equal(keys.length, 1);
    assert.deepEqual(Object.keys(keys[0]!).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    assert.deepEqual([keys[0]!.alg, keys[0]!.use, keys[0]!.crv], ['ES256', 'sig', 'P-256']);
  });
});

describe('a bearer that is not good is UNAUTHENTICATED, never anonymous', () => {
  let alice: Person;
  let claims: JWTPayload;
  beforeEach(async () => {
    alice = await signUp(service, { username: 'alice', password });
    claims = decodeJwt(alice.tokens.accessToken);
  });

  test('and the forger of these tests makes good ones', async () => {
    assert.deepEqual(await codesFor(await forge(claims)), [undefined, undefined]);
  });

  test('in the words of HTTP too', async () => {
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

  test('when any character of it is another', async () => {
    const { accessToken } = alice.tokens;
    for (let at = 0; at < accessToken.length; at += Math.ceil(accessToken.length / 40)) {
      const other = accessToken[at] === 'A' ? 'B' : 'A';
      await assertDead(accessToken.slice(0, at) + other + accessToken.slice(at + 1), `character ${at}`);
    }
    for (const other of [accessToken.slice(0, -1), `${accessToken}A`, accessToken.split('.').slice(0, 2).join('.')])
      await assertDead(other);
  });

  test('when it is no token at all', async () => {
    const { refreshToken } = alice.tokens;
    for (const token of ['nonsense', 'null', 'undefined', refreshToken, 'a.b.c', 'e30.e30.e30', '.'.repeat(1000)])
      await assertDead(token, JSON.stringify(token));
  });

  test('when there is nothing to it', async () => {
    for (const authorization of ['Bearer', 'Bearer ', 'bearer', 'BEARER nonsense', 'bearer   nonsense']) {
      const { data, errors } = await caller(service, { headers: { authorization } }).ask(
        '{ policy { defaultRegion } }',
      );
      assert.ok(!data, authorization);
      assert.equal(errors?.[0]?.extensions.code, 'UNAUTHENTICATED', authorization);
    }
  });

  test('when it has expired', async () => {
    const now = Math.floor(Date.now() / 1000);
    await assertDead(await forge({ ...claims, exp: now }));
    await assertDead(await forge({ ...claims, iat: now - 400, exp: now - 100 }));
    assert.deepEqual(await codesFor(await forge({ ...claims, exp: now + 20 })), [undefined, undefined]);
  });

  test('when a claim is another one, or missing, or no number', async () => {
    const foreign: Record<string, JWTPayload> = {
      'another audience': { ...claims, aud: 'https://other.example.com' },
      'another issuer': { ...claims, iss: 'https://other.example.com' },
      'another session': { ...claims, sid: randomUUID() },
      'another subject': { ...claims, sub: randomUUID() },
      'a session that is no text': { ...claims, sid: ['x'] },
      'an expiry in text': { ...claims, exp: String(claims.exp) as unknown as number },
    };
    for (const [what, payload] of Object.entries(foreign)) await assertDead(await forge(payload), what);
    for (const claim of ['iss', 'aud', 'sub', 'sid', 'iat', 'exp']) {
      const { [claim]: _, ...rest } = claims;
      await assertDead(await forge(rest), `no ${claim}`);
    }
  });

  test('when it names the session of somebody else', async () => {
    const bob = await signUp(service, { username: 'bob', password });
    await assertDead(await forge({ ...claims, sid: bob.tokens.session.id }));
    await assertDead(await forge({ ...claims, sub: bob.id }));
  });

  test('when it is signed by another key, or by none, or in another way', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await assertDead(await forge(claims, {}, privateKey), 'another key under the same name');
    await assertDead(await forge(claims, { kid: randomUUID() }), 'a foreign kid');
    await assertDead(await forge(claims, { kid: undefined }), 'no kid');
    await assertDead(await forge(claims, { typ: 'JWT' }), 'another type');
    await assertDead(await forge(claims, { alg: 'RS256' }, rsa), 'RS256');
    await assertDead(
      await forge(claims, { jku: 'https://evil.test/jwks.json', kid: 'evil' }, privateKey),
      'keys from elsewhere',
    );

    const { publicKey } = service.app.keys.accessTokens().verification[0]!;
    const text = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const header = decodeProtectedHeader(alice.tokens.accessToken);
    const unsigned = (alg: string) => `${text({ ...header, alg })}.${text(claims)}`;
    for (const alg of ['none', 'None', 'NONE', '']) await assertDead(`${unsigned(alg)}.`, `alg ${alg}`);
    const spki = await exportSPKI(publicKey);
    const mac = createHmac('sha256', spki).update(unsigned('HS256')).digest('base64url');
    await assertDead(`${unsigned('HS256')}.${mac}`, 'HS256 over the public key');
  });

  test('when another installation issued it, under the same name', async () => {
    const other = await startService({ PUBLIC_URL: issuer });
    const stranger = await signUp(other, { username: 'alice', password });
    await assertDead(stranger.tokens.accessToken);
  });

  test('when its session has ended, at once and on every replica', async () => {
    const { accessToken } = alice.tokens;
    assert.deepEqual(await alice.signOut(), { signedOut: true });
    await assertDead(accessToken);
    assert.deepEqual(await codesFor(accessToken, replica), ['UNAUTHENTICATED', 'UNAUTHENTICATED']);
  });

  test('when its session has not been used for 14 days, or is 30 days old', async () => {
    await advance(service, 14 * day - 60);
    assert.equal((await alice.me()).username, 'alice');
    // That it was used is written in the background.
    await service.app.outbox();
    await advance(service, 14 * day);
    await assertDead(alice.tokens.accessToken);

    const again = await anonymous.authenticate({ username: 'alice', password });
    await service.app.db.execute(sql`update sessions set idle_expires_at = 'infinity'`);
    await advance(service, 30 * day - 60);
    assert.deepEqual(await codesFor(again.tokens.accessToken), [undefined, undefined]);
    await advance(service, 60);
    await assertDead(again.tokens.accessToken);
  });

  test('when its user is inactive or gone', async () => {
    await service.app.db.execute(sql`update users set is_active = false`);
    await assertDead(alice.tokens.accessToken);
    await service.app.db.execute(sql`update users set is_active = true`);
    assert.deepEqual(await codesFor(alice.tokens.accessToken), [undefined, undefined]);
    await service.app.db.execute(sql`delete from users`);
    await assertDead(alice.tokens.accessToken);
  });

  test('whatever the operation: nothing is done for it', async () => {
    const bearer = caller(service, { token: 'nonsense' });
    for (const operation of [
      'mutation { createUser(input: { username: "bob" }) { __typename } }',
      'mutation { authenticate(input: { username: "alice", password: "wrong" }) { __typename } }',
      `mutation { sendOneTimePassword(tokenId: "x") { __typename } }`,
      '{ securityTokens(identifier: "alice") { id } }',
      '{ __typename }',
    ])
      assert.equal((await bearer.ask(operation)).errors?.[0]?.extensions.code, 'UNAUTHENTICATED', operation);
    const { __typename } = await anonymous.authenticate({ username: 'alice', password });
    assert.equal(__typename, 'AuthenticateSuccess', 'no failure was counted');
  });
});

describe('signOut', () => {
  let alice: Person;
  const isAlive = async ({ accessToken }: { accessToken: string }) => (await codesFor(accessToken))[0] === undefined;
  beforeEach(async () => {
    alice = await signUp(service, { username: 'alice', password });
  });

  test('ends the session of the access token, once', async () => {
    const { tokens: other } = await anonymous.authenticate({ username: 'alice', password });
    assert.deepEqual(await alice.signOut(), { signedOut: true });
    assert.equal(await isAlive(alice.tokens), false);
    assert.equal(await isAlive(other), true);
    assert.deepEqual(await alice.signOut(), { signedOut: false });
  });

  test('ends the session of the refresh token, once, whoever asks', async () => {
    const { tokens: other } = await anonymous.authenticate({ username: 'alice', password });
    assert.deepEqual(await anonymous.signOut(other.refreshToken), { signedOut: true });
    assert.deepEqual(await anonymous.signOut(other.refreshToken), { signedOut: false });
    assert.equal(await isAlive(other), false);
    assert.equal(await isAlive(alice.tokens), true);
  });

  test('goes by the refresh token where there are both', async () => {
    const { tokens: other } = await anonymous.authenticate({ username: 'alice', password });
    assert.deepEqual(await alice.signOut(other.refreshToken), { signedOut: true });
    assert.equal(await isAlive(other), false);
    assert.equal(await isAlive(alice.tokens), true);
    assert.deepEqual(await alice.signOut('frt_made-up'), { signedOut: false });
    assert.equal(await isAlive(alice.tokens), true);
  });

  test('takes an access token that has expired, and no other that is not good', async () => {
    const claims = decodeJwt(alice.tokens.accessToken);
    const past = Math.floor(Date.now() / 1000) - 1000;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signOutBy = (token: string) => caller(service, { token }).signOut();
    for (const token of [
      'nonsense',
      await forge({ ...claims, exp: past }, {}, privateKey),
      await forge({ ...claims, exp: past, aud: 'https://other.example.com' }),
    ])
      assert.deepEqual(await signOutBy(token), { signedOut: false });
    assert.equal(await isAlive(alice.tokens), true);
    assert.deepEqual(await signOutBy(await forge({ ...claims, iat: past - 300, exp: past })), { signedOut: true });
    assert.equal(await isAlive(alice.tokens), false);
  });

  test('takes an expired bearer in every way of writing the operation', async () => {
    const claims = decodeJwt(alice.tokens.accessToken);
    const token = await forge({ ...claims, exp: Math.floor(Date.now() / 1000) - 1000 });
    for (const document of [
      'mutation { __typename signOut { signedOut } }',
      'mutation { ... { signOut { signedOut } } }',
      'mutation { ...F } fragment F on Mutation { bye: signOut { signedOut } }',
    ])
      assert.equal((await caller(service, { token }).ask(document)).errors, undefined, document);
    assert.equal(await isAlive(alice.tokens), false);
  });

  test('has nothing to end for nobody', async () => {
    assert.deepEqual(await anonymous.signOut(), { signedOut: false });
    for (const made of ['', 'x', alice.tokens.accessToken, `${alice.tokens.refreshToken}x`])
      assert.deepEqual(await anonymous.signOut(made), { signedOut: false }, made);
    assert.equal(await isAlive(alice.tokens), true);
  });
});

describe('the sessions of a user', () => {
  test('are those that live, the one that asks told from the others', async () => {
    const alice = await signUp(service, { username: 'alice', password });
    await signUp(service, { username: 'bob', password });
    const { tokens: second } = await anonymous.authenticate({ username: 'alice', password });
    const { tokens: third } = await anonymous.authenticate({ username: 'alice', password });
    await anonymous.signOut(second.refreshToken);
    const { sessions } = await alice.me();
    assert.deepEqual(
      sessions.map(({ id, current }: { id: string; current: boolean }) => [id, current]).sort(),
      [
        [alice.tokens.session.id, true],
        [third.session.id, false],
      ].sort(),
    );
  });

  test('say where and when they were opened and when they end', async () => {
    const alice = await signUp(
      service,
      { username: 'alice', password },
      { headers: { 'user-agent': 'x'.repeat(2000) } },
    );
    const { data } = await alice.ask(
      '{ me { sessions { createdAt lastUsedAt expiresAt userAgent ipAddress authenticationMethods } } }',
    );
    const [{ createdAt, lastUsedAt, expiresAt, ...session }] = data.me.sessions;
    assert.deepEqual(session, {
      userAgent: 'x'.repeat(512),
      ipAddress: '127.0.0.1',
      authenticationMethods: ['PASSWORD'],
    });
    assert.equal(Date.parse(expiresAt) - Date.parse(createdAt), 30 * day * 1000);
    assert.ok(lastUsedAt >= createdAt);
    assert.equal(
      Date.parse(alice.tokens.refreshTokenExpiresAt) - Date.parse(alice.tokens.session.createdAt),
      14 * day * 1000,
    );
  });
});
