import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
  refreshTokenHash,
} from '../../src/security/refresh-tokens.js';

const key = randomBytes(32);
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('a refresh token', () => {
  test('is parsed as it was issued', () => {
    fc.assert(
      fc.property(fc.uuid(), (sessionId) => {
        const token = newRefreshToken(sessionId);
        assert.deepEqual(parseRefreshToken(key, formatRefreshToken(key, token)), token);
      }),
    );
  });

  test('has 256 random bits, which the stored hash does not reveal', () => {
    const sessionId = '00000000-0000-4000-8000-000000000000';
    const [first, second] = [newRefreshToken(sessionId), newRefreshToken(sessionId)];
    assert.equal(first.secret.length, 32);
    assert.notDeepEqual(first.secret, second.secret);
    assert.notDeepEqual(refreshTokenHash(first), refreshTokenHash(second));
    assert.equal(refreshTokenHash(first).includes(first.secret), false);
    assert.deepEqual(refreshTokenHash(first), refreshTokenHash({ ...first }));
  });

  test('is rejected after a change of any character, because it has one encoding', () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.nat({ max: 89 }),
        fc.constantFrom(...base64url, '+', '/', '=', ' '),
        (sessionId, at, replacement) => {
          const text = formatRefreshToken(key, newRefreshToken(sessionId));
          fc.pre(text[at] !== replacement);
          assert.equal(parseRefreshToken(key, text.slice(0, at) + replacement + text.slice(at + 1)), undefined);
        },
      ),
      { numRuns: 2000 },
    );
    // The unused bits of the last character would permit a second encoding.
    const text = formatRefreshToken(key, newRefreshToken('00000000-0000-4000-8000-000000000000'));
    const taken = [...base64url].filter((last) => parseRefreshToken(key, text.slice(0, -1) + last) !== undefined);
    assert.deepEqual(taken, [text.at(-1)]);
  });

  test('is rejected when truncated or extended', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string({ minLength: 1 }), fc.nat({ max: 89 }), (sessionId, more, length) => {
        const text = formatRefreshToken(key, newRefreshToken(sessionId));
        for (const made of [text.slice(0, length), text + more, more + text, text.slice(4)])
          assert.equal(parseRefreshToken(key, made), undefined);
      }),
    );
  });

  test('is rejected when invented, made with another key, or joined from two tokens', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), fc.stringMatching(/^frt_[\w-]{86}$/), (first, second, made) => {
        fc.pre(first !== second);
        assert.equal(parseRefreshToken(key, made), undefined);
        const token = newRefreshToken(first);
        assert.equal(parseRefreshToken(key, formatRefreshToken(randomBytes(32), token)), undefined);
        const [mine, other] = [token, newRefreshToken(second)].map((each) =>
          Buffer.from(formatRefreshToken(key, each).slice(4), 'base64url'),
        );
        const stolen = Buffer.concat([other!.subarray(0, 16), mine!.subarray(16)]);
        assert.equal(parseRefreshToken(key, `frt_${stolen.toString('base64url')}`), undefined);
      }),
    );
  });
});
