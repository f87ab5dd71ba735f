import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { getCountries, getExampleNumber } from 'libphonenumber-js/max';
import examples from 'libphonenumber-js/mobile/examples';
import {
  comparisonKey,
  getCallingCode,
  type Identifier,
  type IdentifierFault,
  inferKind,
  parseEmail,
  parseIdentifier,
  parsePhone,
  parseUsername,
} from '../../src/domain/identifiers.js';
import { anyCharacters } from '../support/text.js';
import { usernameCases } from '../support/usernames.js';

const runs = { numRuns: 2000 };

const anyCodeUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));
const anyText = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), anyCharacters(), anyCodeUnits);

const casedLetters = 'aZſKÅéÉßẞİıΣσςǅﬁᴮа\u0301\u0307\u0327\u0345𐐀Აｱ가ﷺ①²';
const usernameText = fc
  .tuple(
    fc.constantFrom(...casedLetters),
    fc.string({ unit: fc.constantFrom(...casedLetters, '0', '٣', '.', '_', '-'), maxLength: 30 }),
  )
  .map((parts) => parts.join(''));

const domainText = fc
  .array(fc.string({ unit: fc.constantFrom(...'abcXYZ019-ßςéБ例א。．ａ'), minLength: 1, maxLength: 8 }), {
    minLength: 2,
    maxLength: 4,
  })
  .map((labels) => labels.join('.'));
const emailText = fc
  .tuple(fc.string({ unit: fc.constantFrom(...'abcABC019.+_-\'!#$%&*/=?^`{|}~"@ '), maxLength: 12 }), domainText)
  .map((parts) => parts.join('@'));

const region = fc.constantFrom(...getCountries());
const exampleNumber = region.map((country) => getExampleNumber(country, examples)!.number as string);
const phoneText = fc
  .tuple(
    fc.oneof(exampleNumber, fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 6, maxLength: 14 })),
    fc.infiniteStream(fc.constantFrom('', '', '', ' ', '-', '(', ')', '.', '/', '\u00A0', 'x', ',')),
  )
  .map(([number, separators]) => [...number].map((digit) => digit + separators.next().value).join(''));
const candidate = fc.oneof(usernameText, emailText, phoneText, anyText);

const accepted = (parsed: Identifier | IdentifierFault): Identifier => {
  assert.ok(typeof parsed === 'object', `rejected: ${parsed}`);
  return parsed;
};

/** The tables hold several texts in a row, between bars. */
const split = (rows: string[]) => rows.flatMap((row) => row.split(' | '));

describe('username', () => {
  for (const { username, about, outcome, stored = username } of usernameCases) {
    test(`is ${outcome}ed: ${JSON.stringify(username).slice(0, 40)}, ${about}`, () => {
      const parsed = parseUsername(username);
      if (outcome === 'reject') assert.equal(typeof parsed, 'string');
      else assert.equal(accepted(parsed).value, stored);
    });
  }

  test('collides with earlier usernames as the table states', () => {
    const keys = new Map<string, string>();
    for (const { username, outcome, collidesWith } of usernameCases) {
      if (outcome === 'reject') continue;
      const { key } = accepted(parseUsername(username));
      assert.equal(keys.get(key), collidesWith, JSON.stringify(username));
      if (!keys.has(key)) keys.set(key, username);
    }
  });

  test('counts the length in code points after NFKC', () => {
    assert.equal(parseUsername('x'.repeat(151)), 'TOO_LONG');
    assert.equal(parseUsername('𐐨'.repeat(151)), 'TOO_LONG');
    assert.equal(parseUsername('ﷺ'.repeat(9)), 'TOO_LONG');
    assert.equal(parseUsername(' '.repeat(151)), 'TOO_LONG');
    // The strongest shrinking by NFKC: four code points become one.
    const longest = '\u03B1\u0313\u0300\u0345'.repeat(150);
    assert.equal(accepted(parseUsername(longest)).value, '\u1F82'.repeat(150));
  });

  test('parses its stored form to the same value and key', () => {
    fc.assert(
      fc.property(candidate, (text) => {
        const parsed = parseUsername(text);
        if (typeof parsed === 'object') assert.deepEqual(parseUsername(parsed.value), parsed);
      }),
      runs,
    );
  });
});

describe('email', () => {
  test('keeps the local part as typed and compares case-insensitively', () => {
    assert.deepEqual(parseEmail("O'Hara+Tag@BÜCHER.Example"), {
      kind: 'email',
      value: "O'Hara+Tag@xn--bcher-kva.example",
      key: "o'hara+tag@xn--bcher-kva.example",
    });
  });

  test('stores the domain in ASCII by UTS 46', () => {
    const stored = (domain: string) => accepted(parseEmail(`a@${domain}`)).value.slice(2);
    assert.equal(stored('straße.de'), 'xn--strae-oqa.de');
    assert.equal(stored('XN--BCHER-KVA.de'), 'xn--bcher-kva.de');
    assert.equal(stored('XN--B.de'), 'xn--b.de');
    assert.equal(stored('例え。テスト'), 'xn--r8jz45g.xn--zckzah');
    assert.equal(stored('ＥＸＡＭＰＬＥ．com'), 'example.com');
    assert.equal(stored('ex\u00ADample.com'), 'example.com');
    assert.equal(stored('example.123'), 'example.123');
    assert.equal(stored('bücher.123'), 'xn--bcher-kva.123');
    assert.equal(stored('localhost'), 'localhost');
  });

  const invalid: Record<string, string[]> = {
    'is more than one address': ['a@b.example,c@d.example', 'a@b.example c@d.example', 'a@b.example;c@d.example'],
    'is a mailbox with a name, a comment or a route': [
      'A <a@b.example> | <a@b.example> | a(b)@c.example | @a:b@c.example | mailto:a@b.example',
    ],
    'has a quoted local part': ['"e@attacker.example"@victim.example', '"a"@b.example', '"a b"@c.example'],
    'has no local part or a malformed one': [
      '@b.example | .a@b.example | a.@b.example | a..b@c.example | a b@c.example | a@b@c.example',
    ],
    'has a local part outside ASCII': [
      'é@b.example | mıke@b.example | \u212A@b.example | ａ@b.example | a\uFF20b.example',
    ],
    'contains a control character': [
      'a@b.example\r\nBcc: c@d.example | a\n@b.example | a@b.example\n | a@b\u0000.example | a\t@b.example',
      'a@b\t.example',
    ],
    'has an IP address as its domain': [
      'a@127.0.0.1 | a@10.0.0.10 | a@0x7f.1 | a@0x7f.11 | a@2130706433 | a@017700000001 | a@[127.0.0.1]',
      'a@[IPv6:::1] | a@１２７.0.0.10',
    ],
    'contains characters that a URL parser cuts or decodes': [
      'a@b.example:25 | a@b.example/path | a@b.example?x | a@b.example#x | a@b.example\\x | a@%62.example',
      'a@b.ex％61mple | a@user:pw@b.example | a@bücher.example:25 | a@bücher.example/path | a@%62ücher.example',
      'a@bü\tcher.example',
    ],
    'has a domain that is not a hostname': [
      'a@b | a@LOCALHOST | a@b.c | a@b.example. | a@.b.example | a@b..example | a@-b.example | a@b-.example',
      'a@b.example- | a@b_c.example | a@ | a@. | a@ b.example',
    ],
    'has a label that no hostname allows': [
      'a@xn--é.example | a@\u200D.example | a@a\uD800.example | a@\uE000.example',
    ],
    'has a label that is too long': [`a@${'b'.repeat(64)}.example`, `a@${'ü'.repeat(58)}.example`],
  };
  for (const [reason, emails] of Object.entries(invalid)) {
    test(`is invalid if it ${reason}`, () => {
      for (const email of split(emails)) assert.equal(parseEmail(email), 'INVALID', JSON.stringify(email));
    });
  }

  test('accepts at most 254 bytes and does not parse longer texts', () => {
    assert.equal(accepted(parseEmail(`${'a'.repeat(242)}@example.com`)).value.length, 254);
    assert.equal(parseEmail(`${'a'.repeat(243)}@example.com`), 'INVALID');
    assert.equal(accepted(parseEmail(`a@${`${'ü'.repeat(57)}.`.repeat(3)}${'a'.repeat(60)}`)).value.length, 254);
    assert.equal(parseEmail(`a@${`${'ü'.repeat(57)}.`.repeat(3)}${'a'.repeat(61)}`), 'INVALID');
    assert.equal(parseEmail(`a@${'\u00AD'.repeat(254)}example.com`), 'INVALID');
  });

  test('is one address in printable ASCII and parses its stored form to itself', () => {
    fc.assert(
      fc.property(fc.oneof(emailText, candidate), (text) => {
        const parsed = parseEmail(text);
        if (typeof parsed === 'string') return;
        assert.match(parsed.value, /^[!-?A-~]{1,252}@[-.a-z0-9]{2,252}$/);
        assert.ok(text.startsWith(parsed.value.slice(0, parsed.value.indexOf('@'))));
        assert.deepEqual(parseEmail(parsed.value), parsed);
        assert.deepEqual(parseEmail(parsed.key), { ...parsed, value: parsed.key });
      }),
      runs,
    );
  });
});

describe('phone', () => {
  const e164 = (input: string, defaultRegion: 'US' | 'GB' = 'US') => accepted(parsePhone(input, defaultRegion)).value;

  test('is stored as E.164, whatever its punctuation', () => {
    for (const typed of split([
      '+12025551234 | 2025551234 | (202) 555-1234 | 1.202.555.1234 | +1/202/555/1234',
      '\u202A+1\u00A0(202)\u2011555\u20111234\u202C |  +1 202 555 1234\n | ＋１２０２５５５１２３４ | ٢٠٢٥٥٥١٢٣٤',
      '२०२५५५१२३४ | 𝟚𝟘𝟚𝟝𝟝𝟝𝟙𝟚𝟛𝟜',
    ]))
      assert.equal(e164(typed), '+12025551234', typed);
  });

  test('belongs to the default region without a country code', () => {
    assert.equal(e164('020 7946 0123', 'GB'), '+442079460123');
    assert.equal(parsePhone('020 7946 0123', 'US'), 'INVALID');
    assert.equal(e164('011 44 20 7946 0123', 'US'), '+442079460123');
  });

  const invalid: Record<string, string[]> = {
    'has words around it': [
      'phone: 2025551234 | 2025551234 (home) | a2025551234 | call 2025551234 | 2025551234 or 2025551235',
      '"2025551234" | <+12025551234> | $2025551234 | 👍2025551234',
    ],
    'is a URI': ['tel:+12025551234', 'tel:2025551234;phone-context=+1', 'sip:+12025551234@example.com'],
    'has letters for digits': ['1-800-FLOWERS', '(800) GO-FEDEX'],
    'has an extension': [
      '2025551234x5 | 2025551234 ext. 5 | 2025551234#5 | 2025551234,,5 | 2025551234~5 | 2025551234;ext=5',
      '2025551234 доб 5',
    ],
    'is more than one number': [
      '+1+2025551234 | 2025551234;2025551235 | 2025551234\n2025551235 | 2025551234, 2025551235',
    ],
    'is not a number that can be dialled': [
      '+1 | 911 | 555-1234 | +15555555555 | +999123456789 | + | - | ²02555123④',
      '1'.repeat(250),
      '1'.repeat(251),
      ' ',
    ],
  };
  for (const [reason, phones] of Object.entries(invalid)) {
    test(`is invalid if it ${reason}`, () => {
      for (const phone of split(phones)) assert.equal(parsePhone(phone, 'US'), 'INVALID', JSON.stringify(phone));
    });
  }

  test('is its own key and parses alike in every region', () => {
    fc.assert(
      fc.property(phoneText, region, region, (text, first, second) => {
        const parsed = parsePhone(text, first);
        if (typeof parsed === 'string') return;
        assert.match(parsed.value, /^\+[1-9]\d{5,16}$/);
        assert.equal(parsed.key, parsed.value);
        assert.deepEqual(parsePhone(parsed.value, second), parsed);
      }),
      runs,
    );
  });

  test('has a calling code', () => {
    assert.equal(getCallingCode('+442079460123'), '44');
    assert.equal(getCallingCode('+12423221234'), '1');
    assert.equal(getCallingCode('+80012345678'), '800');
    assert.throws(() => getCallingCode('alice'), TypeError);
  });
});

test('an identifier of any kind is blank if it is empty', () => {
  const faults = [parseUsername(''), parseEmail(''), parsePhone('', 'US'), parseIdentifier('', 'US')];
  assert.deepEqual(faults, Array(4).fill('BLANK'));
  assert.equal(parseUsername(' '), 'INVALID');
});

describe('identifier of unknown kind', () => {
  test('has its kind inferred from the text', () => {
    for (const username of ['alice', 'ﬁnance', 'юзер', 'a1', 'a'.repeat(2000)])
      assert.equal(inferKind(username), 'username');
    for (const email of ['a@b.example', '@', '+1@b.example', '@'.repeat(2000)]) assert.equal(inferKind(email), 'email');
    for (const phone of ['+1', '2025551234', '1alice', '٣', '①', ' alice', 'a b', 'tel:+12025551234', ''])
      assert.equal(inferKind(phone), 'phone');
  });

  test('is parsed by the parser of its kind', () => {
    assert.equal(accepted(parseIdentifier('Alice', 'US')).key, 'alice');
    assert.equal(accepted(parseIdentifier('Alice@EXAMPLE.com', 'US')).value, 'Alice@example.com');
    assert.equal(accepted(parseIdentifier('020 7946 0123', 'GB')).value, '+442079460123');
    assert.equal(parseIdentifier('a'.repeat(2000), 'US'), 'TOO_LONG');
  });

  test('has one kind: only the parser of the inferred kind accepts it', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(candidate, region, (text, defaultRegion) => {
        const all = [parseUsername(text), parseEmail(text), parsePhone(text, defaultRegion)];
        const found = all.filter((parsed) => typeof parsed === 'object');
        assert.ok(found.length <= 1, JSON.stringify(found));
        for (const identifier of found) {
          kinds.add(identifier.kind);
          assert.equal(inferKind(text), identifier.kind);
          assert.deepEqual(parseIdentifier(text, defaultRegion), identifier);
        }
      }),
      runs,
    );
    assert.equal(kinds.size, 3, 'the generator must reach every kind');
  });

  test('never has the key of an identifier of another kind', () => {
    fc.assert(
      fc.property(candidate, candidate, (first, second) => {
        const [a, b] = [parseIdentifier(first, 'US'), parseIdentifier(second, 'US')];
        if (typeof a === 'object' && typeof b === 'object' && a.kind !== b.kind) assert.notEqual(a.key, b.key);
      }),
      runs,
    );
  });
});

describe('comparison key', () => {
  test('is idempotent for any string', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, usernameText), (text) => {
        const key = comparisonKey(text);
        assert.equal(comparisonKey(key), key);
      }),
      { numRuns: 4_000 },
    );
  });

  test('is idempotent for every code point', () => {
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += 1) {
      const key = comparisonKey(String.fromCodePoint(codePoint));
      if (comparisonKey(key) !== key) assert.fail(codePoint.toString(16));
    }
  });

  test('reorders combining marks that lower case produces', () => {
    assert.equal(comparisonKey('İ\u0327'), 'i\u0327\u0307');
  });

  test('is the same for every normalisation form and for lower case', () => {
    fc.assert(
      fc.property(usernameText, (text) => {
        const key = comparisonKey(text);
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD']) assert.equal(comparisonKey(text.normalize(form)), key);
        assert.equal(comparisonKey(text.normalize('NFKC').toLowerCase()), key);
      }),
      runs,
    );
  });
});

test('parsers answer a megabyte of any text at once', () => {
  const parsers = { parseUsername, parseEmail, parsePhone, inferKind, parseIdentifier };
  for (const unit of ['a', '@', '(', '.', ' ', '1', '+', '-', 'é', 'e\u0301', 'ﷺ', '\u00AD', 'a@', 'a.', '@a.', 'xn--'])
    for (const length of [150, 254, 250, 1200, 1_000_000])
      for (const [name, parse] of Object.entries(parsers)) {
        const text = unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
        const startedAt = performance.now();
        parse(text, 'US');
        const milliseconds = performance.now() - startedAt;
        assert.ok(milliseconds < 100, `${name} of ${length} × ${JSON.stringify(unit)}: ${milliseconds} ms`);
      }
});
