import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { maskEmail, maskPhone } from '../../../src/domain/authenticators/masking.js';

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,12}[a-z0-9])?$/);
const localPart = fc.stringMatching(/^[\w+-]{1,12}(?:\.[\w+-]{1,12}){0,2}$/);
/** Suffixes of one, two and three labels, with a wildcard, and in punycode. */
const suffix = fc.constantFrom('com', 'co.uk', 'museum', 'xn--p1ai', 'xn--55qx5d.cn', 'anything.ck', 'k12.ca.us');

describe('masked email', () => {
  for (const [about, ...cases] of [
    [
      'keeps two characters of each part',
      ['alice@example.com', 'al***@ex*****.***'],
      ['alice@mail.example.co.uk', 'al***@ma**.ex*****.**.**'],
    ],
    ['keeps fewer characters of a short part', ['abc@ab.com', 'a**@a*.***'], ['a@b.com', '*@*.***']],
    ['treats all subdomains as one part', ['alice@a.b.c.example.com', 'al***@a.***.ex*****.***']],
    ['shows the domain as it is stored, in ASCII', ['bob@xn--bcher-kva.de', 'b**@xn***********.**']],
    [
      'treats only ICANN suffixes as public',
      ['alice@foo.github.io', 'al***@f**.gi****.**'],
      ['alice@localhost', 'al***@lo*******'],
      ['alice@example.internal', 'al***@ex*****.in******'],
    ],
  ] as const)
    test(about, () => {
      for (const [email, masked] of cases) assert.equal(maskEmail(email), masked);
    });

  test('throws for a text that is not an address', () => {
    assert.throws(() => maskEmail('alice'), TypeError);
    assert.throws(() => maskEmail('a@b@c.com'), TypeError);
  });

  test('has the length of the email, the dots of its suffix, and shows at most half of any part', () => {
    fc.assert(
      fc.property(localPart, fc.array(label, { maxLength: 3 }), label, suffix, (local, labels, registered, tail) => {
        const email = `${local}@${[...labels, registered, tail].join('.')}`;
        const obscured = maskEmail(email);
        assert.equal(obscured.length, email.length);
        assert.equal(obscured.slice(-tail.length), tail.replace(/[^.]/g, '*'));
        let rest = obscured;
        for (const part of [local, labels.join('.'), registered].filter((each) => each !== '')) {
          const shown = rest.slice(0, part.length).replace(/\*+$/, '');
          assert.ok(part.startsWith(shown), `${shown} of ${part}`);
          assert.ok(shown.length <= Math.min(2, part.length / 2), `${shown} of ${part}`);
          rest = rest.slice(part.length + 1);
        }
      }),
    );
  });
});

describe('masked phone', () => {
  test('keeps its last two digits', () => {
    assert.equal(maskPhone('+12025551234'), '+*********34');
    assert.equal(maskPhone('(202) 555-1234'), '(***) ***-**34');
    assert.equal(maskPhone('+7 912 345-67-8-9'), '+* *** ***-**-8-9');
  });

  test('shows two digits of any number, and all other characters', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\+?(?:[ ()-]?\d){3,15}$/), (phone) => {
        const obscured = maskPhone(phone);
        assert.equal(obscured.replace(/\D/g, ''), phone.replace(/\D/g, '').slice(-2));
        assert.equal(obscured.replace(/[\d*]/g, '#'), phone.replace(/\d/g, '#'));
      }),
    );
  });
});
