/** Fuzzed access tokens, for a quick and a thorough test file. */
import assert from 'node:assert/strict';
import { randomUUID, type webcrypto } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  importSigningKey,
  importVerificationKey,
  newSigningKey,
  type SigningKey,
  signAccessToken,
  type VerificationKey,
  verifyAccessToken,
} from '../../src/security/access-tokens.js';
import { send } from './client.js';
import { insertPerson } from './people.js';
import type { Service } from './service.js';
import { codeOf, decodeJwt, encodeJwt, signerOf, whoIs } from './sessions.js';
import { anyCharacters } from './text.js';

export const issuer = 'https://id.example.com';
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Creates two keys, and a token signed by the first. */
export async function sampleAccessToken() {
  const [first, second] = [await newKey('first'), await newKey('second')];
  const keys = [first.verification, second.verification];
  const claims = {
    userId: randomUUID(),
    sessionId: randomUUID(),
    issuedAt: new Date(1_800_000_000_000),
    expiresAt: new Date(1_800_000_300_000),
    authenticatedAt: new Date(1_799_999_000_000),
    methods: ['pwd'],
    emailVerified: true,
    phoneNumberVerified: false,
    roles: ['staff'],
  };
  const good = await signAccessToken(first.signing, issuer, claims);
  return { first, second, keys, claims, good };
}

/** @param sizes.changes number of each kind; `requests` number over HTTP */
export async function testAccessTokenFuzz(
  service: Service,
  { changes: numRuns, requests }: { changes: number; requests: number },
): Promise<void> {
  const { second, keys, claims, good } = await sampleAccessToken();

  describe('rejects a changed access token:', () => {
    test('with a changed, missing or additional character', async () => {
      const character = fc.constantFrom(...base64url, '.', '=', '+', '/', ' ', '\0', 'é');
      await assertNeverTaken(
        fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 2 }), fc.array(character, { maxLength: 3 })),
        ([at, removed, inserted]) => good.slice(0, at) + inserted.join('') + good.slice(at + removed),
      );
    });

    test('with flipped bits in its three parts', async () => {
      await assertNeverTaken(
        fc.tuple(fc.nat({ max: 2 }), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 })), { minLength: 1, maxLength: 4 })),
        ([part, flips]) => {
          const parts = good.split('.');
          const bytes = Buffer.from(parts[part]!, 'base64url');
          for (const [at, bit] of flips) bytes[at % bytes.length]! ^= 1 << bit;
          parts[part] = bytes.toString('base64url');
          return parts.join('.');
        },
      );
    });

    test('with reordered, repeated or missing parts, or parts of another token', async () => {
      const other = await signAccessToken(second.signing, issuer, { ...claims, userId: randomUUID() });
      const part = fc.constantFrom(...good.split('.'), ...other.split('.'), '', 'e30');
      await assertNeverTaken(fc.array(part, { maxLength: 5 }), (parts) => parts.join('.'), [other]);
    });

    test('with another header or payload under the same signature', async () => {
      const { header, payload } = decodeJwt(good);
      const signature = good.split('.')[2]!;
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url');
      const name = fc.constantFrom(
        'alg',
        'typ',
        'kid',
        'jwk',
        'jku',
        'crit',
        'b64',
        'sub',
        'sid',
        'exp',
        'iss',
        'aud',
        '__proto__',
      );
      await assertNeverTaken(
        fc.tuple(fc.boolean(), fc.dictionary(name, fc.jsonValue(), { minKeys: 1 }), fc.boolean()),
        ([inHeader, changes, replaced]) => {
          const changed = (value: object) => encode(replaced ? changes : { ...value, ...changes });
          const parts = inHeader ? [changed(header), encode(payload)] : [encode(header), changed(payload)];
          return [...parts, signature].join('.');
        },
      );
    });

    test('with claims of another user, signed by another key with our kid', async () => {
      const { privateKey } = (await newKey('first')).signing;
      const { header, payload } = decodeJwt(good);
      const sign = signerOf(privateKey as webcrypto.CryptoKey);
      await fc.assert(
        fc.asyncProperty(
          fc.dictionary(fc.constantFrom('sub', 'sid', 'exp', 'roles'), fc.jsonValue()),
          async (changes) => {
            const forged = await encodeJwt({ header, payload: { ...payload, ...changes } }, sign);
            assert.equal(await verifyAccessToken(keys, issuer, forged), undefined);
          },
        ),
        { numRuns },
      );
    });

    test('and texts that are no tokens', async () => {
      await assertNeverTaken(
        fc.oneof(anyCharacters({ maxLength: 400 }), fc.stringMatching(/^[\w-]*\.[\w-]*\.[\w-]*$/), fc.json()),
        (text) => text,
      );
    });
  });

  test('over HTTP a changed access token is UNAUTHENTICATED, and the session stays active', async () => {
    const alice = await insertPerson(service, { username: 'fuzzed' });
    const valid: string = alice.tokens.accessToken;
    // Only texts that are valid in a header, because the client rejects others.
    const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
    const mutant = fc.oneof(
      fc
        .tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 3 }), fc.array(visible, { maxLength: 3 }))
        .map(([at, removed, inserted]) => valid.slice(0, at) + inserted.join('') + valid.slice(at + removed)),
      fc.array(fc.constantFrom(...valid.split('.'), ''), { maxLength: 5 }).map((parts) => parts.join('.')),
      fc.array(visible, { minLength: 1, maxLength: 300 }).map((characters) => characters.join('')),
      fc.constant('x'.repeat(12_000)),
    );
    await fc.assert(
      fc.asyncProperty(mutant, async (token) => {
        fc.pre(token !== valid && token !== '');
        const answer = await send(service, '{ me { id } }', {}, { token });
        assert.equal(codeOf(answer), 'UNAUTHENTICATED');
        assert.equal(answer.status, 401);
      }),
      { numRuns: requests },
    );
    assert.equal(await whoIs(service, valid), alice.id);
  });

  async function assertNeverTaken<T>(
    arbitrary: fc.Arbitrary<T>,
    make: (value: T) => string,
    alsoGood: string[] = [],
  ): Promise<void> {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (value) => {
        const token = make(value);
        fc.pre(![good, ...alsoGood].includes(token));
        assert.equal(await verifyAccessToken(keys, issuer, token), undefined);
      }),
      { numRuns },
    );
  }
}

async function newKey(id: string): Promise<{ signing: SigningKey; verification: VerificationKey }> {
  const { pkcs8, publicJwk } = await newSigningKey(id);
  return { signing: await importSigningKey(id, pkcs8), verification: await importVerificationKey(id, publicJwk) };
}
