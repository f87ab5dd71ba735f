/** Imported hashes verify only the right password, in every stored format. */
import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { describe, test } from 'node:test';
import { readForeignHash } from '../../src/security/imported-hashes.js';
import {
  b64,
  dearForms,
  endlessHashes,
  foreignHashes,
  openPasswords,
  testForeignHash,
} from '../support/foreign-hashes.js';

const passwords = openPasswords();

describe('a hash of another system', () => {
  for (const form of Object.keys(foreignHashes)) if (!dearForms.includes(form)) testForeignHash(form, passwords);

  test('of bcrypt in PHC format is equivalent', async () => {
    // The bytes of a 2b hash in both alphabets.
    const { hash } = foreignHashes['bcrypt of crypt']!;
    const [salt, digest] = [hash.slice(7, 29), hash.slice(29)].map((part) => b64(fromBcryptBase64(part)));
    const phc = `$bcrypt$v=98$r=5$${salt}$${digest}`;
    assert.equal(await passwords.verify('U*U', phc), true);
    assert.equal(await passwords.verify('U*V', phc), false);
  });

  test('accepts the Unicode form of the password of its source', async () => {
    for (const typed of ['ﬁne Ångström', 'ﬁne Ångström'.normalize('NFD'), 'ﬁne Ångström'.normalize('NFC')]) {
      const hash = (form: string) =>
        `pbkdf2_sha256$1000$salt$${pbkdf2Sync(form, 'salt', 1000, 32, 'sha256').toString('base64')}`;
      for (const there of [typed, typed.normalize('NFC'), typed.normalize('NFKC')])
        assert.equal(await passwords.verify(typed, hash(there)), true);
      assert.equal(await passwords.verify(typed, hash('fine Angstrom')), false);
    }
  });

  test('of an unknown scheme is rejected and reported', async () => {
    const told: string[] = [];
    const passwords = openPasswords((scheme, fault) => void told.push(`${scheme} ${fault}`));
    const digest = createHash('md5').update('saltviolin').digest('hex');
    const unknown = [
      `md5$salt$${digest}`,
      digest,
      '!unusable',
      '',
      '$',
      '$1$salt$x',
      `$2x$05$${'a'.repeat(53)}`,
      '__proto__$x',
    ];
    for (const hash of unknown) {
      told.length = 0;
      assert.equal(passwords.findHashFault(hash), 'UNKNOWN_SCHEME', hash);
      assert.equal(await passwords.verify('violin', hash), false, hash);
      assert.deepEqual(told, ['other UNKNOWN_SCHEME'], hash);
    }
    told.length = 0;
    assert.equal(await passwords.verify('violin', null), false);
    assert.deepEqual(told, []);
  });

  const tooCostly = [
    'pbkdf2_sha256$5000001$salt$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=',
    `pbkdf2_sha1$2000000$salt$${b64(Buffer.alloc(64))}`,
    `$pbkdf2-sha512$999999999$${b64('salt')}$${b64(Buffer.alloc(64))}`,
    `bcrypt$$2b$16$${'a'.repeat(53)}`,
    `$2y$31$${'a'.repeat(53)}`,
    '$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2i$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2i$v=19$m=65536,t=1,p=300$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    `scrypt$524288$salt$8$1$${b64(Buffer.alloc(64))}`,
    `$scrypt$ln=17,r=8,p=9$${b64('salt')}$${b64(Buffer.alloc(64))}`,
    `$scrypt$ln=99,r=99999,p=99999$${b64('salt')}$${b64(Buffer.alloc(64))}`,
    '$7$zzzzz.zzzz.SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D',
  ];
  test('above the maximum cost is not computed', async () => {
    for (const hash of tooCostly) {
      assert.equal(passwords.findHashFault(hash), 'TOO_COSTLY', hash);
      assert.equal(await passwords.verify('violin', hash), false, hash);
    }
  });

  const degenerate = [
    'pbkdf2_sha256$0$salt$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=',
    'pbkdf2_sha256$1000$salt$AA==',
    'pbkdf2_sha256$1000$$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=',
    `$2b$00$${'a'.repeat(53)}`,
    '$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    `scrypt$16383$salt$8$1$${b64(Buffer.alloc(64))}`,
    `scrypt$1$salt$8$1$${b64(Buffer.alloc(64))}`,
    `$scrypt$ln=10,r=0,p=1$${b64('salt')}$${b64(Buffer.alloc(64))}`,
  ];
  test('with impossible parameters is not computed', async () => {
    for (const hash of degenerate) {
      assert.equal(passwords.findHashFault(hash), 'MALFORMED', hash);
      assert.equal(await passwords.verify('violin', hash), false, hash);
    }
  });

  test('of any length is rejected', () => {
    for (const hash of endlessHashes()) assert.equal(readForeignHash(hash), 'MALFORMED');
  });
});

function fromBcryptBase64(text: string): Buffer {
  const [from, to] = [
    './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  ];
  return Buffer.from([...text].map((letter) => to[from.indexOf(letter)]).join(''), 'base64');
}
