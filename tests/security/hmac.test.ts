import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { deriveKey, hmac, sameBytes, sha256 } from '../../src/security/hmac.js';
import { anyCharacters } from '../support/text.js';

const bytes = (options: { minLength?: number; maxLength?: number } = {}) =>
  fc.uint8Array(options).map((array) => Buffer.from(array));
const key = bytes({ minLength: 32, maxLength: 32 });
const part = fc.oneof(anyCharacters(), bytes());
const asBytes = (each: string | Buffer) => Buffer.from(each as string);

describe('a keyed digest', () => {
  test('depends on the boundaries of its parts', () => {
    const secret = Buffer.alloc(32, 1);
    assert.notDeepEqual(hmac(secret, 'ab', 'c'), hmac(secret, 'a', 'bc'));
    assert.notDeepEqual(hmac(secret, 'ab'), hmac(secret, 'ab', ''));
    assert.notDeepEqual(hmac(secret, 'a', 'b'), hmac(secret, 'b', 'a'));
  });

  test('is deterministic, and distinct for other parts', () => {
    fc.assert(
      fc.property(key, fc.array(part), fc.array(part), (secret, first, second) => {
        const alike =
          first.length === second.length && first.every((each, index) => asBytes(each).equals(asBytes(second[index]!)));
        assert.equal(hmac(secret, ...first).equals(hmac(secret, ...second)), alike);
        assert.deepEqual(hmac(secret, ...first), hmac(secret, ...first.map(asBytes)));
      }),
    );
  });

  test('differs for another key', () => {
    fc.assert(
      fc.property(key, key, part, (first, second, each) => {
        fc.pre(!first.equals(second));
        assert.notDeepEqual(hmac(first, each), hmac(second, each));
      }),
    );
  });
});

describe('a derived key', () => {
  test('is deterministic, and distinct for another secret or purpose', () => {
    fc.assert(
      fc.property(key, key, fc.string(), fc.string(), (secret, otherSecret, purpose, otherPurpose) => {
        fc.pre(purpose !== otherPurpose && !secret.equals(otherSecret));
        const derived = deriveKey(secret, purpose);
        assert.equal(derived.length, 32);
        assert.deepEqual(deriveKey(secret, purpose), derived);
        assert.notDeepEqual(deriveKey(secret, otherPurpose), derived);
        assert.notDeepEqual(deriveKey(otherSecret, purpose), derived);
      }),
    );
  });

  test('never changes, because stored values depend on it', () => {
    const secret = Buffer.alloc(32, 7);
    assert.equal(
      deriveKey(secret, 'security-token-ids').toString('hex'),
      'a909b78103ffc3d7150fae60ced5c26e14ceadfeec967cc5eb41629b0bd9ad77',
    );
    assert.equal(
      hmac(secret, 'a', 'b').toString('hex'),
      'c6861df1b72831dc69bfb7df7b27624a6b58045e6dc875c15fec1fba3c0b46d9',
    );
  });
});

describe('comparison', () => {
  test('distinguishes different bytes', () => {
    fc.assert(
      fc.property(bytes(), bytes(), (first, second) => {
        assert.equal(sameBytes(first, Buffer.from(first)), true);
        assert.equal(sameBytes(first, second), first.equals(second));
      }),
    );
  });

  test('rejects a prefix', () => {
    assert.equal(sameBytes(Buffer.from('abc'), Buffer.from('ab')), false);
    assert.equal(sameBytes(Buffer.alloc(0), Buffer.from('a')), false);
  });
});

test('sha256 is SHA-256', () => {
  // FIPS 180-2, appendix B.1.
  assert.equal(sha256('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
