import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { obscureEmail, obscurePhone } from '../../../src/domain/authenticators/masking.js';

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,12}[a-z0-9])?$/);
const localPart = fc.stringMatching(/^[\w+-]{1,12}(?:\.[\w+-]{1,12}){0,2}$/);
/** Suffixes of one, two and three labels, with a wildcard, in punycode; none of them is the registrable part of another. */
const suffix = fc.constantFrom('com', 'co.uk', 'museum', 'xn--p1ai', 'xn--55qx5d.cn', 'anything.ck', 'k12.ca.us');

describe('an obscured email', () => {
  test('keeps two characters of each part', () => {
    assert.equal(obscureEmail('alice@example.com'), 'al***@ex*****.***');
    assert.equal(obscureEmail('alice@mail.example.co.uk'), 'al***@ma**.ex*****.**.**');
  });

  test('keeps less of a short part', () => {
    assert.equal(obscureEmail('abc@ab.com'), 'a**@a*.***');
    assert.equal(obscureEmail('a@b.com'), '*@*.***');
  });

  test('treats all subdomains as one part', () => {
    assert.equal(obscureEmail('alice@a.b.c.example.com'), 'al***@a.***.ex*****.***');
  });

  test('shows the domain as it is stored, in ASCII', () => {
    assert.equal(obscureEmail('bob@xn--bcher-kva.de'), 'b**@xn***********.**');
  });

  test('takes only what registries own for a suffix', () => {
    assert.equal(obscureEmail('alice@foo.github.io'), 'al***@f**.gi****.**');
    assert.equal(obscureEmail('alice@localhost'), 'al***@lo*******');
    assert.equal(obscureEmail('alice@example.internal'), 'al***@ex*****.in******');
  });

  test('is not made of what is no address', () => {
    assert.throws(() => obscureEmail('alice'), TypeError);
    assert.throws(() => obscureEmail('a@b@c.com'), TypeError);
  });

  test('has the length of the email and the dots of its suffix', () => {
    fc.assert(
      fc.property(localPart, fc.array(label, { maxLength: 3 }), label, suffix, (local, labels, registered, tail) => {
        const email = `${local}@${[...labels, registered, tail].join('.')}`;
        const obscured = obscureEmail(email);
        assert.equal(obscured.length, email.length);
        assert.equal(obscured.slice(-tail.length), tail.replace(/[^.]/g, '*'));
      }),
    );
  });

  test('never tells more than half of any part, nor anything else than what stood there', () => {
    fc.assert(
      fc.property(localPart, fc.array(label, { maxLength: 3 }), label, suffix, (local, labels, registered, tail) => {
        const subdomain = labels.join('.');
        const obscured = obscureEmail(`${local}@${[...labels, registered, tail].join('.')}`);
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

describe('an obscured phone', () => {
  test('keeps its last two digits', () => {
    assert.equal(obscurePhone('+12025551234'), '+*********34');
    assert.equal(obscurePhone('(202) 555-1234'), '(***) ***-**34');
    assert.equal(obscurePhone('+7 912 345-67-8-9'), '+* *** ***-**-8-9');
  });

  test('shows two digits of any number, and everything that is no digit', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\+?(?:[ ()-]?\d){3,15}$/), (phone) => {
        const obscured = obscurePhone(phone);
        assert.equal(obscured.replace(/\D/g, ''), phone.replace(/\D/g, '').slice(-2));
        assert.equal(obscured.replace(/[\d*]/g, '#'), phone.replace(/\d/g, '#'));
      }),
    );
  });
});
