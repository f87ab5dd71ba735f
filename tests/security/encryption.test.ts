import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createSealer, SealedByAnotherKeyError } from '../../src/security/encryption.js';

const secret = () => {
  const bytes = randomBytes(32);
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes };
};
const [old, current, foreign] = [secret(), secret(), secret()];
const before = createSealer([old]);
const during = createSealer([current, old]);
const after = createSealer([current]);
const plain = Buffer.from('a key');

describe('what is sealed', () => {
  test('opens to what it was, whatever that was', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (array) => {
        const bytes = Buffer.from(array);
        assert.deepEqual(after.open(after.seal(bytes)), bytes);
      }),
    );
  });

  test('shows nothing of what it was, and is never sealed the same twice', () => {
    const bytes = randomBytes(16);
    const [first, second] = [after.seal(bytes), after.seal(bytes)];
    assert.notDeepEqual(first, second);
    assert.equal(first.includes(bytes), false);
  });

  test('does not open when any of its bits is changed', () => {
    const sealed = after.seal(plain);
    fc.assert(
      fc.property(fc.nat({ max: sealed.length * 8 - 1 }), (bit) => {
        const forged = Buffer.from(sealed);
        forged[bit >> 3]! ^= 1 << (bit & 7);
        assert.throws(() => after.open(forged));
      }),
      { numRuns: 500 },
    );
  });

  test('does not open when it is cut short or goes on', () => {
    const sealed = after.seal(plain);
    for (let length = 0; length < sealed.length; length += 1)
      assert.throws(() => after.open(sealed.subarray(0, length)));
    assert.throws(() => after.open(Buffer.concat([sealed, Buffer.alloc(1)])));
  });
});

describe('a secret that is being replaced', () => {
  test('still opens what it sealed, and seals nothing more', () => {
    const sealed = before.seal(plain);
    assert.deepEqual(during.open(sealed), plain);
    assert.equal(during.isCurrent(sealed), false);
    assert.equal(during.isCurrent(during.seal(plain)), true);
    assert.deepEqual(after.open(during.seal(plain)), plain);
  });

  test('opens nothing once it is off the list, and the failure names it', () => {
    const sealed = before.seal(plain);
    assert.throws(
      () => after.open(sealed),
      (error) => error instanceof SealedByAnotherKeyError && error.message.includes(old.id),
    );
  });

  test('is told from another one by more than its name', () => {
    const impostor = createSealer([{ id: current.id, bytes: foreign.bytes }]);
    assert.throws(() => after.open(impostor.seal(plain)));
  });
});
