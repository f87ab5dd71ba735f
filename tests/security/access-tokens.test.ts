/** The parser of access tokens accepts only unchanged tokens. */
import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync, KeyObject, randomUUID, webcrypto } from 'node:crypto';
import { describe, test } from 'node:test';
import { signAccessToken, verifyAccessToken } from '../../src/security/access-tokens.js';
import { issuer, sampleAccessToken, testAccessTokenFuzz } from '../support/access-token-fuzz.js';
import { send } from '../support/client.js';
import { insertPerson } from '../support/people.js';
import { startService } from '../support/service.js';
import {
  codeOf,
  databaseSeconds,
  decodeJwt,
  encodeJwt,
  type Json,
  type Jwt,
  signerOf,
  whoIs,
} from '../support/sessions.js';

const service = await startService();

const { first, second, keys, claims, good } = await sampleAccessToken();

describe('an access token', () => {
  test('is verified as signed, by each key', async () => {
    const { userId, sessionId, expiresAt } = claims;
    for (const { signing } of [first, second]) {
      const token = await signAccessToken(signing, issuer, claims);
      assert.deepEqual(await verifyAccessToken(keys, issuer, token), { userId, sessionId, expiresAt });
    }
    assert.equal(await verifyAccessToken([second.verification], issuer, good), undefined);
    assert.equal(await verifyAccessToken([], issuer, good), undefined);
    assert.equal(await verifyAccessToken(keys, 'https://other.example', good), undefined);
  });

  test('follows RFC 9068, with times in whole seconds', () => {
    assert.deepEqual(decodeJwt(good), {
      header: { alg: 'ES256', typ: 'at+jwt', kid: 'first' },
      payload: {
        iss: issuer,
        aud: issuer,
        sub: claims.userId,
        sid: claims.sessionId,
        iat: 1_800_000_000,
        exp: 1_800_000_300,
        auth_time: 1_799_999_000,
        amr: ['pwd'],
        email_verified: true,
        phone_number_verified: false,
        roles: ['staff'],
      },
    });
  });

  test('is parsed regardless of the local time, because the database checks its expiry', async () => {
    const past = { ...claims, issuedAt: new Date(1000), expiresAt: new Date(2000) };
    const token = await signAccessToken(first.signing, issuer, past);
    assert.deepEqual((await verifyAccessToken(keys, issuer, token))?.expiresAt, new Date(2000));
  });

  test('has one encoding', async () => {
    const [header, payload, signature] = good.split('.') as [string, string, string];
    const others = [
      `${good}=`,
      `${good}==`,
      ` ${good}`,
      `${good}\n`,
      `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('base64')}`,
      `${header}.${payload}.${signature.slice(0, 40)}\n${signature.slice(40)}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.${signature}A`,
      ...lastCharactersOf(signature).map((spelling) => `${header}.${payload}.${spelling}`),
    ].filter((token) => token !== good);
    assert.ok(others.length > 60);
    for (const token of others) assert.equal(await verifyAccessToken(keys, issuer, token), undefined, token);
  });
});

interface Forgery {
  header?: Json;
  payload?: Json;
  /** the signing key that replaces the key of the service */
  sign?: (input: Buffer) => Promise<Buffer> | Buffer;
}

/** Almost valid access tokens, derived from a valid token. */
async function makeForgeries(original: Jwt, publicKey: KeyObject): Promise<Record<string, Forgery>> {
  const { iss, sub } = original.payload as { iss: string; sub: string };
  const { kid } = original.header;
  const nothing = () => Buffer.alloc(0);
  const theirs = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const jwk = await webcrypto.subtle.exportKey('jwk', theirs.publicKey);
  const sign = signerOf(theirs.privateKey);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ours = publicKey.export({ format: 'jwk' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const secrets = {
    PEM: pem,
    'PEM without its last line feed': pem.trim(),
    DER: publicKey.export({ type: 'spki', format: 'der' }),
    JWK: JSON.stringify({ ...ours, kid, alg: 'ES256', use: 'sig' }),
    'x and y': Buffer.concat([ours.x!, ours.y!].map((part) => Buffer.from(part, 'base64url'))),
    nothing: '',
  };
  const underOurKey: Record<string, Json[]> = {
    payload: [
      { aud: 'https://another.example' },
      { aud: [] },
      { aud: undefined },
      { aud: `${iss}/` },
      { iss: 'https://another.example' },
      { iss: undefined },
      { iss: [iss] },
      { iss: iss.toUpperCase() },
      { sid: undefined },
      { sid: null },
      { sid: 1 },
      { sid: ['x'] },
      { sub: undefined },
      { sub: [sub] },
      { iat: undefined },
      ...[undefined, null, String(original.payload.exp), '9999999999', [original.payload.exp], { $gt: 0 }, true].map(
        (exp) => ({ exp }),
      ),
    ],
    header: [
      { typ: 'JWT' },
      { typ: undefined },
      { typ: 'id+jwt' },
      { typ: 'logout+jwt' },
      { kid: 'x' },
      { kid: undefined },
    ],
  };
  const underTheirKey: Json[] = [
    {},
    { kid: 'theirs' },
    { kid: undefined },
    { kid: [kid] },
    { kid: '../../../dev/null' },
    { kid: "' or ''='" },
    { jwk },
    { jwk: { ...jwk, kid } },
    { jku: 'https://evil.test/jwks.json', kid: 'theirs' },
    { x5u: 'https://evil.test/certificate.pem', kid: 'theirs' },
    { x5c: ['MIIB'], kid: 'theirs' },
    { crit: ['exp'] },
    { b64: false, crit: ['b64'] },
  ];
  return Object.fromEntries<Forgery>([
    ...['none', 'None', 'NONE', '', null].map((alg): [string, Forgery] => [
      `alg ${alg} without a signature`,
      { header: { alg }, sign: nothing },
    ]),
    ...Object.entries(secrets).flatMap(([form, secret]) =>
      (['256', '512'] as const).map((size): [string, Forgery] => [
        `HS${size} over the public key as ${form}`,
        {
          header: { alg: `HS${size}` },
          sign: (input) => createHmac(`sha${size}`, secret).update(input).digest(),
        },
      ]),
    ),
    ...underTheirKey.map((header): [string, Forgery] => [`another key with ${describeJson(header)}`, { header, sign }]),
    ['RS256', { header: { alg: 'RS256' }, sign: (input) => createSign('sha256').update(input).sign(rsa) }],
    ...Object.entries(underOurKey).flatMap(([part, changes]) =>
      changes.map((change): [string, Forgery] => [`${part} ${describeJson(change)}`, { [part]: change }]),
    ),
  ]);
}

/** JSON omits undefined members. */
const describeJson = (value: Json) => JSON.stringify(value, (_, part) => (part === undefined ? 'undefined' : part));

const noTokens = [
  '',
  'nonsense',
  'null',
  'undefined',
  '..',
  'a.b.c',
  'e30.e30.e30',
  '{}',
  'ABCD-2345',
  '.'.repeat(1000),
];

async function forge(token: string, { header, payload, sign }: Forgery, own: webcrypto.CryptoKey): Promise<string> {
  const original = decodeJwt(token);
  const changed = { header: { ...original.header, ...header }, payload: { ...original.payload, ...payload } };
  return encodeJwt(changed, sign ?? signerOf(own));
}

/** A token without a signature has several encodings. */
const spellingsOf = (forged: string, valid: string) =>
  forged.endsWith('.') ? [forged, forged.slice(0, -1), forged + valid.split('.')[2]] : [forged];

test('no forged access token is accepted, and the forger can create valid tokens', async () => {
  const own = first.signing.privateKey as webcrypto.CryptoKey;
  const forgeries = await makeForgeries(
    decodeJwt(good),
    KeyObject.from(first.verification.publicKey as webcrypto.CryptoKey),
  );
  assert.ok(Object.keys(forgeries).length > 50);
  assert.notEqual(await verifyAccessToken(keys, issuer, await forge(good, {}, own)), undefined);
  for (const [about, forgery] of Object.entries(forgeries))
    for (const token of spellingsOf(await forge(good, forgery, own), good))
      assert.equal(await verifyAccessToken(keys, issuer, token), undefined, about);
  for (const text of noTokens) assert.equal(await verifyAccessToken(keys, issuer, text), undefined, text);
});

describe('over HTTP', () => {
  test('a forged access token is UNAUTHENTICATED, and its original is accepted', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const bob = await insertPerson(service, { username: 'bob' });
    const { accessToken, refreshToken, session } = alice.tokens;
    const { signing, verification } = service.app.keys.accessTokens();
    const own = signing.privateKey as webcrypto.CryptoKey;
    const publicKey = KeyObject.from(verification[0]!.publicKey as webcrypto.CryptoKey);
    const now = await databaseSeconds(service);
    // The database checks the session and the expiry.
    const forgeries: Record<string, Forgery> = await makeForgeries(decodeJwt(accessToken), publicKey);
    for (const exp of [now, now - 1, 0, -1]) forgeries[`exp ${exp - now} from now`] = { payload: { exp } };
    Object.assign(forgeries, {
      'a session that is not there': { payload: { sid: randomUUID() } },
      'the session of another user': { payload: { sid: bob.tokens.session.id } },
      'a user who is not there': { payload: { sub: randomUUID() } },
      'a user whose session is another': { payload: { sub: bob.id } },
    });
    for (const [about, forgery] of Object.entries(forgeries))
      for (const token of spellingsOf(await forge(accessToken, forgery, own), accessToken))
        await assertRefused(token, about);
    for (const token of [...noTokens.slice(1), refreshToken, refreshToken.slice(4), session.id, alice.id])
      await assertRefused(token, token);
    for (const exp of [decodeJwt(accessToken).payload.exp, now + 60])
      assert.equal(await whoIs(service, await forge(accessToken, { payload: { exp } }, own)), alice.id);
  });

  async function assertRefused(token: string, about: string): Promise<void> {
    const answer = await send(service, '{ me { id } }', {}, { token });
    assert.equal(codeOf(answer), 'UNAUTHENTICATED', about);
    assert.equal(answer.status, 401, about);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer error="invalid_token"', about);
  }
});

await testAccessTokenFuzz(service, { changes: 100, requests: 40 });

const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Returns the text with every other last character. */
function lastCharactersOf(text: string): string[] {
  return [...base64url].map((last) => text.slice(0, -1) + last);
}
