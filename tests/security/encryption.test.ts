import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createEncrypter, UnknownKeyError } from '../../src/security/encryption.js';

const secret = () => {
  const bytes = randomBytes(32);
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes };
};
const [old, current, foreign] = [secret(), secret(), secret()];
const before = createEncrypter([old]);
const during = createEncrypter([current, old]);
const after = createEncrypter([current]);
const plain = Buffer.from('a key');

describe('an encrypted value', () => {
  test('decrypts to its plain text', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (array) => {
        const bytes = Buffer.from(array);
        assert.deepEqual(after.decrypt(after.encrypt(bytes)), bytes);
      }),
    );
  });

  test('does not reveal its plain text, and differs each time', () => {
    const bytes = randomBytes(16);
    const [first, second] = [after.encrypt(bytes), after.encrypt(bytes)];
    assert.notDeepEqual(first, second);
    assert.equal(first.includes(bytes), false);
  });

  test('does not decrypt after any bit changes', () => {
    const encrypted = after.encrypt(plain);
    fc.assert(
      fc.property(fc.nat({ max: encrypted.length * 8 - 1 }), (bit) => {
        const forged = Buffer.from(encrypted);
        forged[bit >> 3]! ^= 1 << (bit & 7);
        assert.throws(() => after.decrypt(forged));
      }),
      { numRuns: 500 },
    );
  });

  test('does not decrypt after truncation or extension', () => {
    const encrypted = after.encrypt(plain);
    for (let length = 0; length < encrypted.length; length += 1)
      assert.throws(() => after.decrypt(encrypted.subarray(0, length)));
    assert.throws(() => after.decrypt(Buffer.concat([encrypted, Buffer.alloc(1)])));
  });
});

describe('a secret that is being replaced', () => {
  test('still decrypts its values, and encrypts no new values', () => {
    const encrypted = before.encrypt(plain);
    assert.deepEqual(during.decrypt(encrypted), plain);
    assert.equal(during.isCurrent(encrypted), false);
    assert.equal(during.isCurrent(during.encrypt(plain)), true);
    assert.deepEqual(after.decrypt(during.encrypt(plain)), plain);
  });

  test('decrypts nothing after its removal, and the error contains its ID', () => {
    const encrypted = before.encrypt(plain);
    assert.throws(
      () => after.decrypt(encrypted),
      (error) => error instanceof UnknownKeyError && error.message.includes(old.id),
    );
  });

  test('is distinguished by more than its ID', () => {
    const impostor = createEncrypter([{ id: current.id, bytes: foreign.bytes }]);
    assert.throws(() => after.decrypt(impostor.encrypt(plain)));
  });
});
