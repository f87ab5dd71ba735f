import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  lengthIssue,
  type PasswordPolicy,
  strengthIssue,
  toContextWords,
} from '../../../src/domain/authentication/password-policy.js';
import { type Identifier, parseEmail, parsePhone, parseUsername } from '../../../src/domain/identifiers.js';

const policy: PasswordPolicy = { minLength: 8, maxLength: 256, minScore: 2 };
const codeOf = (password: string) => lengthIssue('password', password, policy)?.code;

describe('the length of a password', () => {
  test('is from 8 to 256 code points', () => {
    assert.equal(codeOf(''), 'BLANK');
    assert.equal(codeOf('a'.repeat(7)), 'TOO_SHORT');
    assert.equal(codeOf('a'.repeat(8)), undefined);
    assert.equal(codeOf('a'.repeat(256)), undefined);
    assert.equal(codeOf('a'.repeat(257)), 'TOO_LONG');
  });

  test('is counted in code points, not in the units of UTF-16', () => {
    assert.equal(codeOf('𐐀'.repeat(7)), 'TOO_SHORT');
    assert.equal(codeOf('𐐀'.repeat(8)), undefined);
    assert.equal(codeOf('𐐀'.repeat(256)), undefined);
  });

  test('is that of what is hashed: the composed form', () => {
    assert.equal(codeOf('e\u0301'.repeat(4)), 'TOO_SHORT');
    assert.equal(codeOf('e\u0301'.repeat(256)), undefined);
    assert.equal(codeOf('ᾧ'.normalize('NFD').repeat(256)), undefined);
    assert.equal(codeOf('ᾧ'.normalize('NFD').repeat(257)), 'TOO_LONG');
    // Each of these is three code points once composed.
    assert.equal(codeOf('\u{1D160}'.repeat(85)), undefined);
    assert.equal(codeOf('\u{1D160}'.repeat(86)), 'TOO_LONG');
  });

  test('is of whole code points: half of a pair has no bytes of its own', () => {
    for (const half of ['\ud800', '\udfff']) assert.equal(codeOf(`aaaa${half}aaaa`), 'INVALID');
    assert.equal(codeOf('\ud800'), 'TOO_SHORT');
  });

  test('counts outer spaces, which are kept', () => {
    assert.equal(codeOf(' '.repeat(8)), undefined);
    assert.equal(codeOf(' aaaaaa '), undefined);
  });

  test('is the same by the shortcut for long texts as counted in full', () => {
    const unit = fc.constantFrom('a', '𐐀', 'e\u0301', 'ᾧ'.normalize('NFD'), '\u{1D160}', '\uFB2C', '\u0344', '\u1FFF');
    fc.assert(
      fc.property(unit, fc.nat({ max: 1800 }), policyOf(), (text, count, { minLength, maxLength }) => {
        const password = text.repeat(count);
        const length = [...password.normalize('NFC')].length;
        const expected =
          length === 0 ? 'BLANK' : length < minLength ? 'TOO_SHORT' : length > maxLength ? 'TOO_LONG' : undefined;
        assert.equal(lengthIssue('password', password, { minLength, maxLength, minScore: 2 })?.code, expected);
      }),
    );
  });

  test('of a megabyte is told at once', () => {
    for (const text of ['a', '\u0301', '\u{1D160}', 'e\u0301']) {
      const password = text.repeat(1_000_000 / text.length);
      const startedAt = performance.now();
      assert.equal(codeOf(password), 'TOO_LONG');
      assert.ok(performance.now() - startedAt < 100);
    }
  });

  test('is said of the field that the caller names', () => {
    assert.equal(lengthIssue('newPassword', '', policy)?.field, 'newPassword');
    assert.match(lengthIssue('password', 'a', policy)!.message, /at least 8 characters/);
    assert.match(lengthIssue('password', 'a'.repeat(300), policy)!.message, /at most 256 characters/);
  });
});

describe('the strength of a password', () => {
  const codeFor = (scoreWithoutContext: number, score: number, minScore = 2) =>
    strengthIssue('password', { score, scoreWithoutContext }, { ...policy, minScore })?.code;

  test('is too common by itself, or too similar only in the light of its user', () => {
    assert.equal(codeFor(1, 1), 'TOO_COMMON');
    assert.equal(codeFor(1, 0), 'TOO_COMMON');
    assert.equal(codeFor(2, 1), 'TOO_SIMILAR');
    assert.equal(codeFor(4, 0), 'TOO_SIMILAR');
    assert.equal(codeFor(2, 2), undefined);
  });

  test('is measured by the least score of the policy', () => {
    for (let least = 0; least <= 4; least += 1)
      for (let score = 0; score <= 4; score += 1)
        assert.equal(codeFor(score, score, least), score < least ? 'TOO_COMMON' : undefined);
  });
});

describe('the words of a user', () => {
  const identifiers = (...all: (Identifier | string)[]) =>
    all.map((each) => (typeof each === 'string' ? assert.fail(each) : each));

  test('are the username, and the email and phone with their parts', () => {
    const words = toContextWords(
      identifiers(
        parseUsername('Alice'),
        parseEmail('alice.liddell+news@mail.example.co.uk'),
        parsePhone('+12025550123', 'US'),
      ),
    );
    for (const word of ['Alice', 'alice.liddell+news@mail.example.co.uk', 'alice.liddell+news', 'liddell', 'example'])
      assert.ok(words.includes(word), word);
    for (const word of ['+12025550123', '12025550123']) assert.ok(words.includes(word), word);
  });

  test('leave out what is so short that any password holds it', () => {
    const words = toContextWords(identifiers(parseEmail('a.b-cd@ef.example.com')));
    assert.deepEqual(
      words.filter((word) => word.length < 3),
      [],
    );
  });

  test('are none where nothing is known', () => {
    assert.deepEqual(toContextWords([]), []);
  });
});

function policyOf() {
  return fc.record({ minLength: fc.integer({ min: 1, max: 128 }), maxLength: fc.integer({ min: 128, max: 256 }) });
}
