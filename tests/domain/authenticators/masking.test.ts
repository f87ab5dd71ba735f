import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { maskEmail, maskPhone } from '../../../src/domain/authenticators/masking.js';

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,12}[a-z0-9])?$/);
const localPart = fc.stringMatching(/^[\w+-]{1,12}(?:\.[\w+-]{1,12}){0,2}$/);
/** Suffixes of one, two and three labels, with a wildcard, and in punycode. */
const suffix = fc.constantFrom('com', 'co.uk', 'museum', 'xn--p1ai', 'xn--55qx5d.cn', 'anything.ck', 'k12.ca.us');

describe('masked email', () => {
  test('keeps two characters of each part', () => {
    assert.equal(maskEmail('alice@example.com'), 'al***@ex*****.***');
    assert.equal(maskEmail('alice@mail.example.co.uk'), 'al***@ma**.ex*****.**.**');
  });

  test('keeps fewer characters of a short part', () => {
    assert.equal(maskEmail('abc@ab.com'), 'a**@a*.***');
    assert.equal(maskEmail('a@b.com'), '*@*.***');
  });

  test('treats all subdomains as one part', () => {
    assert.equal(maskEmail('alice@a.b.c.example.com'), 'al***@a.***.ex*****.***');
  });

  test('shows the domain as it is stored, in ASCII', () => {
    assert.equal(maskEmail('bob@xn--bcher-kva.de'), 'b**@xn***********.**');
  });

  test('treats only ICANN suffixes as public', () => {
    assert.equal(maskEmail('alice@foo.github.io'), 'al***@f**.gi****.**');
    assert.equal(maskEmail('alice@localhost'), 'al***@lo*******');
    assert.equal(maskEmail('alice@example.internal'), 'al***@ex*****.in******');
  });

  test('throws for a text that is not an address', () => {
    assert.throws(() => maskEmail('alice'), TypeError);
    assert.throws(() => maskEmail('a@b@c.com'), TypeError);
  });

  test('has the length of the email and the dots of its suffix', () => {
    fc.assert(
      fc.property(localPart, fc.array(label, { maxLength: 3 }), label, suffix, (local, labels, registered, tail) => {
        const email = `${local}@${[...labels, registered, tail].join('.')}`;
        const obscured = maskEmail(email);
        assert.equal(obscured.length, email.length);
        assert.equal(obscured.slice(-tail.length), tail.replace(/[^.]/g, '*'));
      }),
    );
  });

  test('shows at most half of any part, unchanged', () => {
    fc.assert(
      fc.property(localPart, fc.array(label, { maxLength: 3 }), label, suffix, (local, labels, registered, tail) => {
        const subdomain = labels.join('.');
        const obscured = maskEmail(`${local}@${[...labels, registered, tail].join('.')}`);
        let rest = obscured;
        for (const part of [local, subdomain, registered].filter((each) => each !== '')) {
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
