/** Two processes on one PostgreSQL: one successor however many ask for it, and what has ended is dead on both at once. */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, randomUUID, webcrypto } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { operations, outbox, send } from '../support/client.js';
import { advance, clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';
import {
  assertRefreshRefused,
  codeOf,
  databaseSeconds,
  decodeJwt,
  encodeJwt,
  type Holder,
  type Json,
  lastMessageTo,
  makeSuperuser,
  password,
  refreshed,
  resigned,
  signerOf,
  signIn,
  signUp,
  signUpVerified,
  whoIs,
} from '../support/sessions.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
// Beside the two processes: it moves time, and knows the keys.
const service = await startService(shared);
const replicas = await Promise.all([spawnService(shared), spawnService(shared)]);
const [left, right] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];

beforeEach(() => clear(service));

describe('one refresh token at once', () => {
  test('fifty times gives one successor, and the session lives', async () => {
    for (const round of Array(5).keys()) {
      const alice = await signUp(service, { username: `alice${round}` });
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => refreshed(n % 2 ? left : right, alice.tokens.refreshToken)),
      );
      assert.equal(new Set(answers.map(({ refreshToken }) => refreshToken)).size, 1);
      for (const { accessToken } of answers.slice(0, 4)) assert.equal(await whoIs(left, accessToken), alice.user.id);
      await refreshed(right, answers[0].refreshToken);
    }
  });

  test('fifty times when it was spent ends the session and is told to the owner once', async () => {
    const alice = await signUpVerified(service, 'alice@example.com');
    const { refreshToken } = await refreshed(left, (await refreshed(left, alice.tokens.refreshToken)).refreshToken);
    const before = (await outbox(service)).length;
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => assertRefreshRefused(n % 2 ? left : right, alice.tokens.refreshToken)),
    );
    for (const replica of replicas) {
      await outbox(replica);
      await assertRefreshRefused(replica, refreshToken);
    }
    assert.equal((await outbox(service)).length, before + 1);
  });

  test('and its successor, in whatever order they arrive, never give two tokens that live', async () => {
    for (const round of Array(10).keys()) {
      const alice = await signUp(service, { username: `alice${round}` });
      const first = await refreshed(left, alice.tokens.refreshToken);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          operations(n % 2 ? left : right).refreshSession((n % 3 ? first : alice.tokens).refreshToken),
        ),
      );
      const given = new Set(answers.flatMap(({ tokens }) => (tokens ? [tokens.refreshToken] : [])));
      given.delete(first.refreshToken);
      assert.ok(given.size <= 1, `${given.size} successors`);
      // Ten seconds later the first is a copy, if it was not before.
      await advance(service, 11);
      await assertRefreshRefused(left, alice.tokens.refreshToken);
      for (const token of given) await assertRefreshRefused(right, token);
    }
  });

  test('beside a sign-out never leaves a session that lives', async () => {
    for (const round of Array(10).keys()) {
      const alice = await signUp(service, { username: `alice${round}` });
      const [signedOut, ...answers] = await Promise.all([
        operations(right).signOut(alice.tokens.refreshToken),
        ...Array.from({ length: 10 }, (_, n) =>
          operations(n % 2 ? left : right).refreshSession(alice.tokens.refreshToken),
        ),
      ]);
      assert.deepEqual(signedOut, { signedOut: true });
      for (const { tokens } of answers.filter(({ tokens }) => tokens)) {
        assert.equal(await whoIs(left, tokens.accessToken), 'UNAUTHENTICATED');
        await assertRefreshRefused(left, tokens.refreshToken);
      }
    }
  });
});

describe('access and refresh tokens are dead at once on every replica after', () => {
  const changePassword = `mutation ($password: String!) {
    changePassword(input: { currentPassword: $password, newPassword: $password }) { __typename }
  }`;
  const setUserPassword = `mutation ($id: ID!, $password: String!) {
    setUserPassword(id: $id, newPassword: $password) { __typename }
  }`;
  const setActive = `mutation ($id: ID!, $isActive: Boolean!) {
    updateUser(id: $id, input: { isActive: $isActive }) { __typename }
  }`;
  const deleteUser = 'mutation ($id: ID) { deleteUser(id: $id) { __typename } }';
  /** Ends the session by way of the left one; `another` is a session of the same user, `root` of a superuser. */
  const ways: Record<string, (ending: Holder, another: Holder, root: Holder) => Promise<unknown>> = {
    'a sign-out by the refresh token': ({ tokens }) => operations(left).signOut(tokens.refreshToken),
    'a sign-out by the access token': ({ tokens }) => operations(left, { token: tokens.accessToken }).signOut(),
    'the use of a spent refresh token': async ({ tokens }) => {
      await advance(service, 11);
      await assertRefreshRefused(left, tokens.refreshToken);
    },
    revokeSession: (ending, another) =>
      operations(left, { token: another.tokens.accessToken }).revokeSession(ending.tokens.session.id),
    revokeOtherSessions: (_, another) => operations(left, { token: another.tokens.accessToken }).revokeOtherSessions(),
    revokeUserSessions: ({ user }, _, root) =>
      operations(left, { token: root.tokens.accessToken }).revokeUserSessions(user.id),
    'a change of password': (_, another) => asked(changePassword, another, { password }),
    'a password set by a superuser': ({ user }, _, root) => asked(setUserPassword, root, { id: user.id, password }),
    'a reset': async ({ user }) => {
      const [{ id }] = user.securityTokens;
      await send(left, `mutation { sendOneTimePassword(tokenId: "${id}", purpose: PASSWORD_RESET) { __typename } }`);
      await outbox(left);
      const { oneTimePassword } = await lastMessageTo(service, user.email);
      const answer = await send(
        left,
        'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }',
        { input: { tokenId: id, oneTimePassword, newPassword: password } },
      );
      assert.equal(answer.data?.resetPassword.__typename, 'ResetPasswordSuccess');
    },
    'a deactivation': ({ user }, _, root) => asked(setActive, root, { id: user.id, isActive: false }),
    'a deactivation that was taken back': async ({ user }, _, root) => {
      await asked(setActive, root, { id: user.id, isActive: false });
      await asked(setActive, root, { id: user.id, isActive: true });
    },
    "the user's own deletion": (_, another) => asked(deleteUser, another),
    'a deletion by a superuser': ({ user }, _, root) => asked(deleteUser, root, { id: user.id }),
  };

  for (const [way, end] of Object.entries(ways))
    test(way, async () => {
      const root = await makeSuperuser(service);
      const stranger = await signUp(service, { username: 'stranger' });
      const ending = await signUpVerified(service, 'alice@example.com');
      const another = await signIn(service, 'alice@example.com');
      const next = await refreshed(right, ending.tokens.refreshToken);
      for (const replica of replicas)
        for (const { accessToken } of [ending.tokens, next])
          assert.equal(await whoIs(replica, accessToken), ending.user.id);

      await end(ending, another, root);

      const accesses = replicas.flatMap((replica) =>
        [ending.tokens, next].map(({ accessToken }) => whoIs(replica, accessToken)),
      );
      assert.deepEqual(await Promise.all(accesses), Array(4).fill('UNAUTHENTICATED'));
      for (const replica of [right, left]) {
        await assertRefreshRefused(replica, next.refreshToken);
        await assertRefreshRefused(replica, ending.tokens.refreshToken);
        assert.equal(await whoIs(replica, stranger.tokens.accessToken), stranger.user.id);
      }
    });

  async function asked(document: string, by: Holder, variables: Json = {}): Promise<void> {
    const answer = await send(left, document, variables, { token: by.tokens.accessToken });
    const [result] = Object.values(answer.data ?? {}) as { __typename: string }[];
    assert.match(result?.__typename ?? JSON.stringify(answer.errors), /Success$/);
  }
});

describe('a token that is almost right is UNAUTHENTICATED on every replica:', () => {
  let alice: Holder;
  let good: string;

  beforeEach(async () => {
    alice = await signUp(service, { username: 'alice' });
    good = alice.tokens.accessToken;
  });

  test('without a signature', async () => {
    for (const alg of ['none', 'None', 'NONE', '', null]) {
      const unsigned = await forged({ header: { alg } }, () => Buffer.alloc(0));
      await assertRefused(unsigned, `alg ${alg}`);
      await assertRefused(unsigned.slice(0, -1), `alg ${alg}, no dot behind`);
      await assertRefused(unsigned + good.split('.')[2], `alg ${alg} with the signature of the good one`);
    }
  });

  test('signed by HMAC over the public key', async () => {
    const { keys } = (await (await fetch(`${left.url}/.well-known/jwks.json`)).json()) as { keys: JsonWebKey[] };
    const [jwk] = keys;
    const key = createPublicKey({ key: jwk!, format: 'jwk' });
    const secrets = {
      PEM: key.export({ type: 'spki', format: 'pem' }) as string,
      'PEM without its last line feed': (key.export({ type: 'spki', format: 'pem' }) as string).trim(),
      DER: key.export({ type: 'spki', format: 'der' }),
      JWK: JSON.stringify(jwk),
      'x and y': Buffer.concat([jwk!.x!, jwk!.y!].map((part) => Buffer.from(part, 'base64url'))),
      nothing: '',
    };
    for (const [about, secret] of Object.entries(secrets))
      for (const [alg, hash] of [
        ['HS256', 'sha256'],
        ['HS512', 'sha512'],
      ] as const)
        await assertRefused(
          await forged({ header: { alg } }, (input) => createHmac(hash, secret).update(input).digest()),
          `${alg}, ${about}`,
        );
  });

  test('signed by a key of somebody else, whatever the header says of it', async () => {
    const { publicKey, privateKey } = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const jwk = await webcrypto.subtle.exportKey('jwk', publicKey);
    const { kid } = decodeJwt(good).header;
    const headers: Record<string, Json> = {
      'our kid': {},
      'a kid of their own': { kid: 'theirs' },
      'no kid': { kid: undefined },
      'a kid that is no text': { kid: [kid] },
      'a kid that is a path': { kid: '../../../dev/null' },
      'a kid that is SQL': { kid: "' or ''='" },
      jwk: { jwk },
      'jwk with our kid': { jwk: { ...jwk, kid } },
      jku: { jku: `${left.url}/evil.json`, kid: 'theirs' },
      x5u: { x5u: 'https://evil.test/certificate.pem', kid: 'theirs' },
      x5c: { x5c: ['MIIB'], kid: 'theirs' },
      crit: { crit: ['exp'] },
      b64: { b64: false, crit: ['b64'] },
    };
    for (const [about, header] of Object.entries(headers))
      await assertRefused(await forged({ header }, signerOf(privateKey)), about);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const signRsa = async (input: Buffer) =>
      Buffer.from(
        await webcrypto.subtle.sign(
          'RSASSA-PKCS1-v1_5',
          await webcrypto.subtle.importKey(
            'pkcs8',
            rsa.export({ type: 'pkcs8', format: 'der' }),
            { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
            false,
            ['sign'],
          ),
          input,
        ),
      );
    await assertRefused(await forged({ header: { alg: 'RS256' } }, signRsa), 'RS256');
  });

  test('signed by our key for something else: another audience, issuer, type, or under another kid', async () => {
    const ours = 'http://localhost:4000';
    const payloads: Json[] = [
      { aud: 'https://another.example' },
      { aud: [] },
      { aud: undefined },
      { aud: `${ours}/` },
      { iss: 'https://another.example' },
      { iss: undefined },
      { iss: [ours] },
      { iss: ours.toUpperCase() },
    ];
    for (const payload of payloads)
      await assertRefused(await resigned(service, good, { payload }), JSON.stringify(payload));
    for (const header of [
      { typ: 'JWT' },
      { typ: undefined },
      { typ: 'id+jwt' },
      { typ: 'logout+jwt' },
      { kid: 'x' },
    ] as Json[])
      await assertRefused(await resigned(service, good, { header }), JSON.stringify(header));
  });

  test('with an exp that has passed, is no number, or is not there', async () => {
    const now = await databaseSeconds(service);
    for (const exp of [
      now,
      now - 1,
      0,
      -1,
      undefined,
      null,
      String(now + 300),
      '9999999999',
      [now + 300],
      { $gt: 0 },
      true,
    ])
      await assertRefused(await resigned(service, good, { payload: { exp } }), `exp ${JSON.stringify(exp)}`);
  });

  test('with a session or a user that is no text, is not there, or does not belong to the other', async () => {
    const bob = await signUp(service, { username: 'bob' });
    const payloads: Json[] = [
      { sid: undefined },
      { sid: null },
      { sid: 1 },
      { sid: randomUUID() },
      { sid: bob.tokens.session.id },
      { sub: undefined },
      { sub: [alice.user.id] },
      { sub: bob.user.id },
      { sub: randomUUID() },
      { iat: undefined },
    ];
    for (const payload of payloads)
      await assertRefused(await resigned(service, good, { payload }), JSON.stringify(payload));
  });

  test('a refresh token, a one-time password, an id, or nothing in the place of an access token', async () => {
    const { refreshToken, session } = alice.tokens;
    for (const token of [
      refreshToken,
      refreshToken.slice(4),
      session.id,
      alice.user.id,
      'ABCD-2345',
      'null',
      '..',
      '{}',
    ])
      await assertRefused(token, token);
  });

  test('although the one that it was made from is taken', async () => {
    for (const replica of replicas) {
      assert.equal(await whoIs(replica, good), alice.user.id);
      assert.equal(await whoIs(replica, await resigned(service, good, {})), alice.user.id);
    }
  });

  function forged({ header, payload }: { header?: Json; payload?: Json }, sign: Parameters<typeof encodeJwt>[1]) {
    const original = decodeJwt(good);
    const changed = { header: { ...original.header, ...header }, payload: { ...original.payload, ...payload } };
    return encodeJwt(changed, sign);
  }

  async function assertRefused(token: string, about: string): Promise<void> {
    for (const replica of replicas) {
      const answer = await send(replica, '{ me { id } }', {}, { token });
      assert.equal(codeOf(answer), 'UNAUTHENTICATED', about);
      assert.equal(answer.status, 401, about);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer error="invalid_token"', about);
    }
  }
});
