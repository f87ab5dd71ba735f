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

describe('password length', () => {
  test('is from 8 to 256 code points, not UTF-16 units', () => {
    assert.equal(codeOf(''), 'BLANK');
    for (const character of ['a', '𐐀']) {
      const codes = [7, 8, 256, 257].map((length) => codeOf(character.repeat(length)));
      assert.deepEqual(codes, ['TOO_SHORT', undefined, undefined, 'TOO_LONG']);
    }
  });

  test('counts the composed form, which is hashed', () => {
    assert.equal(codeOf('e\u0301'.repeat(4)), 'TOO_SHORT');
    assert.equal(codeOf('e\u0301'.repeat(256)), undefined);
    assert.equal(codeOf('ᾧ'.normalize('NFD').repeat(256)), undefined);
    assert.equal(codeOf('ᾧ'.normalize('NFD').repeat(257)), 'TOO_LONG');
    // Each of these has three code points in composed form.
    assert.equal(codeOf('\u{1D160}'.repeat(85)), undefined);
    assert.equal(codeOf('\u{1D160}'.repeat(86)), 'TOO_LONG');
  });

  test('rejects lone surrogates, which have no UTF-8 form', () => {
    for (const half of ['\ud800', '\udfff']) assert.equal(codeOf(`aaaa${half}aaaa`), 'INVALID');
    assert.equal(codeOf('\ud800'), 'TOO_SHORT');
  });

  test('counts leading and trailing spaces', () => {
    assert.equal(codeOf(' '.repeat(8)), undefined);
    assert.equal(codeOf(' aaaaaa '), undefined);
  });

  test('is the same with and without the shortcut for long texts', () => {
    const unit = fc.constantFrom('a', '𐐀', 'e\u0301', 'ᾧ'.normalize('NFD'), '\u{1D160}', '\uFB2C', '\u0344', '\u1FFF');
    const lengths = fc.record({
      minLength: fc.integer({ min: 1, max: 128 }),
      maxLength: fc.integer({ min: 128, max: 256 }),
    });
    fc.assert(
      fc.property(unit, fc.nat({ max: 1800 }), lengths, (text, count, { minLength, maxLength }) => {
        const password = text.repeat(count);
        const length = [...password.normalize('NFC')].length;
        const expected =
          length === 0 ? 'BLANK' : length < minLength ? 'TOO_SHORT' : length > maxLength ? 'TOO_LONG' : undefined;
        assert.equal(lengthIssue('password', password, { minLength, maxLength, minScore: 2 })?.code, expected);
      }),
    );
  });

  test('is checked at once for a megabyte', () => {
    for (const text of ['a', '\u0301', '\u{1D160}', 'e\u0301']) {
      const password = text.repeat(1_000_000 / text.length);
      const startedAt = performance.now();
      assert.equal(codeOf(password), 'TOO_LONG');
      assert.ok(performance.now() - startedAt < 100);
    }
  });

  test('names the field that the caller passes', () => {
    assert.equal(lengthIssue('newPassword', '', policy)?.field, 'newPassword');
    assert.match(lengthIssue('password', 'a', policy)!.message, /at least 8 characters/);
    assert.match(lengthIssue('password', 'a'.repeat(300), policy)!.message, /at most 256 characters/);
  });
});

describe('password strength', () => {
  const codeFor = (scoreWithoutContext: number, score: number, minScore = 2) =>
    strengthIssue('password', { score, scoreWithoutContext }, { ...policy, minScore })?.code;

  test('is too common without context, or too similar with the context of the user', () => {
    assert.equal(codeFor(1, 1), 'TOO_COMMON');
    assert.equal(codeFor(1, 0), 'TOO_COMMON');
    assert.equal(codeFor(2, 1), 'TOO_SIMILAR');
    assert.equal(codeFor(4, 0), 'TOO_SIMILAR');
    assert.equal(codeFor(2, 2), undefined);
  });

  test('is compared to the minimum score of the policy', () => {
    for (let least = 0; least <= 4; least += 1)
      for (let score = 0; score <= 4; score += 1)
        assert.equal(codeFor(score, score, least), score < least ? 'TOO_COMMON' : undefined);
  });
});

describe('context words', () => {
  const identifiers = (...all: (Identifier | string)[]) =>
    all.map((each) => (typeof each === 'string' ? assert.fail(each) : each));

  test('are the username, and email and phone with their parts', () => {
    const [email, phone] = ['alice.liddell+news@mail.example.co.uk', '+12025550123'];
    const words = toContextWords(identifiers(parseUsername('Alice'), parseEmail(email), parsePhone(phone, 'US')));
    for (const word of ['Alice', email, 'alice.liddell+news', 'liddell', 'example', phone, phone.slice(1)])
      assert.ok(words.includes(word), word);
    assert.deepEqual(toContextWords([]), []);
  });

  test('omit parts that are too short to matter', () => {
    const words = toContextWords(identifiers(parseEmail('a.b-cd@ef.example.com')));
    assert.ok(words.length > 0 && words.every((word) => word.length >= 3));
  });
});
