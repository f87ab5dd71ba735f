/** Fuzzes the parser of refresh tokens: no changed token is accepted or revokes a session. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  deriveSuccessor,
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
} from '../../src/security/refresh-tokens.js';
import { operations, send } from '../support/client.js';
import { password, signUp } from '../support/people.js';
import { startService } from '../support/service.js';
import { refreshed, whoIs } from '../support/sessions.js';
import { anyCharacters } from '../support/text.js';

const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Mutations of the text, accidental or deliberate. `other` is another valid token. */
function mutantsOf(text: string, other: string): fc.Arbitrary<string> {
  const bytesOf = (token: string) => Buffer.from(token.slice(4), 'base64url');
  const format = (bytes: Buffer) => `frt_${bytes.toString('base64url')}`;
  const character = fc.constantFrom(...base64url, '=', '+', '/', ' ', '\n', '\0', '\uD800', '👍');
  const at = fc.nat({ max: text.length - 1 });
  return fc
    .oneof(
      fc
        .tuple(at, fc.nat({ max: 3 }), fc.array(character, { maxLength: 3 }))
        .map(([from, removed, inserted]) => text.slice(0, from) + inserted.join('') + text.slice(from + removed)),
      fc.array(fc.tuple(fc.nat({ max: 63 }), fc.nat({ max: 7 })), { minLength: 1, maxLength: 4 }).map((flips) => {
        const bytes = bytesOf(text);
        for (const [index, bit] of flips) bytes[index]! ^= 1 << bit;
        return format(bytes);
      }),
      // Joins parts of two valid tokens, such as the session of one and the secret of the other.
      fc.tuple(fc.nat({ max: 64 }), fc.boolean()).map(([cut, swapped]) => {
        const [head, tail] = swapped ? [other, text] : [text, other];
        return format(Buffer.concat([bytesOf(head).subarray(0, cut), bytesOf(tail).subarray(cut)]));
      }),
      fc
        .uint8Array({ minLength: 48, maxLength: 48 })
        .map((rest) => format(Buffer.concat([bytesOf(text).subarray(0, 16), rest]))),
      anyCharacters({ maxLength: 200 }),
      fc.stringMatching(/^frt_[\w-]{86}$/),
      fc.constantFrom(text.toUpperCase(), text.repeat(2), `FRT_${text.slice(4)}`, 'frt_', '', 'x'.repeat(50_000)),
    )
    .filter((mutant) => mutant !== text && mutant !== other);
}

test('a changed refresh token is not parsed', () => {
  const key = randomBytes(32);
  const [text, other] = [newToken(key), newToken(key)];
  fc.assert(
    fc.property(mutantsOf(text, other), (mutant) => {
      assert.equal(parseRefreshToken(key, mutant), undefined);
    }),
    { numRuns: 5000 },
  );
  assert.ok(parseRefreshToken(key, text));
});

test('the successor of a refresh token is deterministic, valid, and distinct for each token and key', () => {
  fc.assert(
    fc.property(fc.uuid(), (sessionId) => {
      const [key, otherKey] = [randomBytes(32), randomBytes(32)];
      const token = newRefreshToken(sessionId);
      const successor = deriveSuccessor(key, token);
      assert.deepEqual(deriveSuccessor(key, token), successor);
      assert.equal(successor.sessionId, sessionId);
      const others = [
        deriveSuccessor(otherKey, token),
        deriveSuccessor(key, newRefreshToken(sessionId)),
        deriveSuccessor(key, successor),
        token,
      ];
      for (const { secret } of others) assert.notDeepEqual(secret, successor.secret);
      assert.deepEqual(parseRefreshToken(key, formatRefreshToken(key, successor)), successor);
    }),
  );
});

test('over HTTP, a changed refresh token is rejected and revokes no session', async () => {
  const service = await startService();
  const anonymous = operations(service);
  const [alice, bob] = [
    await signUp(service, { username: 'alice', password }),
    await signUp(service, { username: 'bob', password }),
  ];
  await fc.assert(
    fc.asyncProperty(mutantsOf(alice.tokens.refreshToken, bob.tokens.refreshToken), async (mutant) => {
      assert.equal((await anonymous.refreshSession(mutant)).__typename, 'InvalidSessionError');
      assert.deepEqual(await anonymous.signOut(mutant), { signedOut: false });
    }),
    { numRuns: 150 },
  );
  for (const { id, tokens } of [alice, bob]) {
    assert.equal(await whoIs(service, tokens.accessToken), id);
    await refreshed(service, tokens.refreshToken);
  }
});

test('in a cookie, a changed refresh token is rejected, too', async () => {
  const service = await startService();
  const [alice, bob] = [
    await signUp(service, { username: 'alice', password }),
    await signUp(service, { username: 'bob', password }),
  ];
  const query = 'mutation { refreshSession { __typename ... on IdentityError { code } } }';
  // Only texts that are valid in a header: fetch rejects others. Spaces around the value do not
  // count.
  const mutant = mutantsOf(alice.tokens.refreshToken, bob.tokens.refreshToken)
    .filter((text) => /^[\x21-\x7e]*$/.test(text) && text.length < 10_000)
    .filter((text) => ![alice, bob].some(({ tokens }) => text.startsWith(`${tokens.refreshToken};`)));
  await fc.assert(
    fc.asyncProperty(mutant, async (text) => {
      const answer = await send(service, query, {}, { headers: { cookie: `refresh_token=${text}` } });
      assert.equal(answer.data?.refreshSession.__typename, 'InvalidSessionError', JSON.stringify(answer.errors));
    }),
    { numRuns: 100 },
  );
  for (const { tokens } of [alice, bob]) await refreshed(service, tokens.refreshToken);
});

function newToken(key: Buffer): string {
  return formatRefreshToken(key, newRefreshToken('01234567-89ab-4cde-8f01-23456789abcd'));
}
