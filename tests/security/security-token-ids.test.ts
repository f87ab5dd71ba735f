import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { securityTokenId, securityTokenIdPrefix } from '../../src/security/security-token-ids.js';
import { anyCharacters } from '../support/text.js';

const key = randomBytes(32);
const email = { kind: 'email', prefix: 'e' };
const phone = { kind: 'phone', prefix: 'p' };
const kind = fc.constantFrom(email, phone);

describe('the ID of a security token', () => {
  test('is deterministic for its address, and reveals its kind', () => {
    fc.assert(
      fc.property(kind, anyCharacters(), (of, addressKey) => {
        const id = securityTokenId(key, of, addressKey);
        assert.equal(securityTokenId(key, of, addressKey), id);
        assert.equal(securityTokenIdPrefix(key, id), of.prefix);
        assert.match(id, /^[ep][\w-]{32}$/);
      }),
    );
  });

  test('differs for another address, kind or key', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (first, second) => {
        fc.pre(first !== second);
        assert.notEqual(securityTokenId(key, email, first), securityTokenId(key, email, second));
        assert.notEqual(securityTokenId(key, email, first).slice(1), securityTokenId(key, phone, first).slice(1));
        assert.notEqual(securityTokenId(key, email, first), securityTokenId(randomBytes(32), email, first));
      }),
    );
  });

  test('is rejected after a change of any character', () => {
    const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n');
    fc.assert(
      fc.property(kind, fc.string(), fc.nat({ max: 32 }), character, (of, addressKey, at, replacement) => {
        const id = securityTokenId(key, of, addressKey);
        fc.pre(id[at] !== replacement);
        assert.equal(securityTokenIdPrefix(key, id.slice(0, at) + replacement + id.slice(at + 1)), undefined);
      }),
      { numRuns: 2000 },
    );
  });

  test('is rejected with another kind, truncated or extended', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ minLength: 1, maxLength: 40 }),
        fc.nat({ max: 32 }),
        (address, more, length) => {
          const id = securityTokenId(key, email, address);
          for (const made of [`p${id.slice(1)}`, id.slice(0, length), id + more, more + id])
            assert.equal(securityTokenIdPrefix(key, made), undefined);
        },
      ),
    );
  });

  test('is rejected when invented or made with another key', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[ep][\w-]{32}$/)), fc.string(), (made, address) => {
        assert.equal(securityTokenIdPrefix(key, made), undefined);
        assert.equal(securityTokenIdPrefix(key, securityTokenId(randomBytes(32), email, address)), undefined);
      }),
      { numRuns: 2000 },
    );
  });
});
