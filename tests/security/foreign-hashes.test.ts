/** Hashes that other systems have made: the right password and no other, whatever stands in the table. */
import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync, scryptSync } from 'node:crypto';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { readForeignHash } from '../../src/security/foreign-hashes.js';
import { createPasswords } from '../../src/security/passwords.js';

function open(onUselessHash: (scheme: string, fault: string) => void = () => {}) {
  const passwords = createPasswords({
    peppers: [{ id: '01234567', bytes: Buffer.alloc(32, 1) }],
    cost: 4,
    threads: 1,
    onUselessHash,
  });
  after(() => passwords.end());
  return passwords;
}

const passwords = open();

const b64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64').replaceAll('=', '');

interface Example {
  password: string;
  hash: string;
}

/** By the originals, as their documentation, their tests or a database of theirs has them. */
const published: Record<string, Example> = {
  "Django's pbkdf2_sha256": {
    password: 'Correct-horse-5-é battery',
    hash: 'pbkdf2_sha256$260000$LzuLPfizXqqsLLRcicGrjS$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=',
  },
  "Django's pbkdf2_sha1": {
    password: 'Correct-horse-1-é battery',
    hash: 'pbkdf2_sha1$260000$TDfV2h9Fb1raLuwwOYPEkd$jJALvZLTs36YKIYEhQQboFZScrk=',
  },
  "Django's argon2": {
    password: 'Correct-horse-7-é battery',
    hash: 'argon2$argon2id$v=19$m=102400,t=2,p=8$YmcwYkV6ZnF2UzdEbzNBeG5zaTJEMw$yr0rZcoZFRYHHJivj+1Ckw',
  },
  "Django's bcrypt_sha256": {
    password: 'Correct-horse-3-é battery',
    hash: 'bcrypt_sha256$$2b$12$TEXDvplUqcCK/AFZs8G5Uu/Eky6e7V5G0yXFM/H1MvXp5PP24cjr6',
  },
  "Django's bcrypt": {
    password: 'Correct-horse-9-é battery',
    hash: 'bcrypt$$2b$12$cc5Fm.od0dn72kNiy31mbuVmKVLPEnoBy3YHpo7P3jf9wln0KDjS.',
  },
  "Django's scrypt": {
    password: 'lètmein',
    hash: 'scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==',
  },
  'argon2i of the reference': {
    password: 'password',
    hash: '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  },
  'argon2id of the reference': {
    password: 'password',
    hash: '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  },
  "passlib's pbkdf2": {
    password: 'password',
    hash: '$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI',
  },
  "passlib's pbkdf2-sha256": {
    password: 'password',
    hash: '$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ',
  },
  "passlib's pbkdf2-sha512": {
    password: 'password',
    hash: '$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww',
  },
  'scrypt of libxcrypt': {
    password: 'pleaseletmein',
    hash: '$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D',
  },
  "Firebase's scrypt": {
    password: 'mytestpassword',
    hash: '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==',
  },
  'bcrypt of crypt': {
    password: 'U*U',
    hash: '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  },
  'bcrypt of PHP': {
    password: 'U*U',
    hash: '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
  },
};

const key = (digest: string, length: number) => pbkdf2Sync('violin', 'sea salt', 1000, length, digest);

/** The same by Node's own functions, for the forms of which no example is at hand. */
const made: Record<string, Example> = {
  'pbkdf2-sha256 as PHC writes it': {
    password: 'violin',
    hash: `$pbkdf2-sha256$i=1000,l=32$${b64('sea salt')}$${b64(key('sha256', 32))}`,
  },
  'pbkdf2-sha512 as PHC writes it': {
    password: 'violin',
    hash: `$pbkdf2-sha512$i=1000$${b64('sea salt')}$${b64(key('sha512', 64))}`,
  },
  'scrypt as PHC writes it': {
    password: 'violin',
    hash: `$scrypt$ln=10,r=16,p=2$${b64('sea salt')}$${b64(scryptSync('violin', 'sea salt', 64, { N: 1024, r: 16, p: 2 }))}`,
  },
};

const examples = { ...published, ...made };
const cheap = Object.fromEntries(
  Object.entries(examples).map(([form, { hash }]) => [
    form,
    hash.replace('260000', '1000').replace('$2b$12$', '$2b$04$'),
  ]),
);

describe('a hash of another system', { concurrency: 2 }, () => {
  for (const [form, { password, hash }] of Object.entries(examples))
    test(`by ${form} takes its password and no other, and is outdated`, async () => {
      assert.equal(passwords.faultOf(hash), null);
      assert.equal(await passwords.verify(password, hash), true);
      for (const wrong of ['', `${password} `, `x${password}`, hash])
        assert.equal(await passwords.verify(wrong, hash), false, wrong);
      assert.equal(passwords.isOutdated(hash), true);
    });

  test('of bcrypt is the same where PHC writes it', async () => {
    // The digits of 2b in the one alphabet, and the same bits in the other.
    const { hash } = published['bcrypt of crypt']!;
    const [salt, digest] = [hash.slice(7, 29), hash.slice(29)].map((part) => b64(fromBcryptBase64(part)));
    const phc = `$bcrypt$v=98$r=5$${salt}$${digest}`;
    assert.equal(await passwords.verify('U*U', phc), true);
    assert.equal(await passwords.verify('U*V', phc), false);
  });

  test('takes the password in the form in which it was typed there', async () => {
    for (const typed of ['ﬁne Ångström', 'ﬁne Ångström'.normalize('NFD'), 'ﬁne Ångström'.normalize('NFC')]) {
      const hash = (form: string) =>
        `pbkdf2_sha256$1000$salt$${pbkdf2Sync(form, 'salt', 1000, 32, 'sha256').toString('base64')}`;
      for (const there of [typed, typed.normalize('NFC'), typed.normalize('NFKC')])
        assert.equal(await passwords.verify(typed, hash(there)), true);
      assert.equal(await passwords.verify(typed, hash('fine Angstrom')), false);
    }
  });

  test('of no known scheme is refused, and somebody is told', async () => {
    const told: string[] = [];
    const passwords = open((scheme, fault) => void told.push(`${scheme} ${fault}`));
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
      assert.equal(passwords.faultOf(hash), 'UNKNOWN_SCHEME', hash);
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
  test('that asks for more than its bound is not computed', async () => {
    for (const hash of tooCostly) {
      assert.equal(passwords.faultOf(hash), 'TOO_COSTLY', hash);
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
  test('that no system makes is not computed', async () => {
    for (const hash of degenerate) {
      assert.equal(passwords.faultOf(hash), 'MALFORMED', hash);
      assert.equal(await passwords.verify('violin', hash), false, hash);
    }
  });

  for (const [form, hash] of Object.entries(cheap))
    test(`by ${form} that is damaged is refused, without a crash and without a stall`, async () => {
      const damaged = fc
        .array(fc.tuple(fc.nat(hash.length), fc.nat(2), fc.string({ unit: 'binary', maxLength: 6 })), {
          minLength: 1,
          maxLength: 4,
        })
        .map((cuts) =>
          cuts.reduce((text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length), hash),
        );
      // Read thousands of times, which must be quick, and computed as often as there is time for it.
      fc.assert(
        fc.property(damaged, (text) => {
          const read = readForeignHash(text);
          if (typeof read !== 'string') assert.ok(costOf(read) <= 5_242_880, text);
        }),
        { numRuns: 2000 },
      );
      await fc.assert(
        fc.asyncProperty(damaged, async (text) => {
          const read = readForeignHash(text);
          if (typeof read !== 'string' && costOf(read) > 140_000) return;
          assert.equal(await passwords.verify('violin under the stairs', text), false, text);
        }),
        { numRuns: 25 },
      );
    });

  test('however long it is, is read at once', () => {
    for (const start of [
      'pbkdf2_sha256$1000$',
      '$argon2id$v=19$m=',
      '$scrypt$ln=',
      '$7$',
      '$fbscrypt$v=1,n=',
      'bcrypt$$2b$12$',
    ])
      for (const letter of ['a', '1', '$', '=', '/']) {
        const started = performance.now();
        assert.equal(readForeignHash(start + letter.repeat(1_000_000)), 'MALFORMED');
        assert.ok(performance.now() - started < 200);
      }
  });
});

/** Work in units of about a microsecond of one thread. */
function costOf(hash: Exclude<ReturnType<typeof readForeignHash>, string>): number {
  switch (hash.scheme) {
    case 'pbkdf2':
      return hash.iterations;
    case 'bcrypt':
      return 2 ** Number(hash.bcryptHash.slice(4, 6)) * 50;
    case 'argon2':
      return hash.kibibytes * hash.passes;
    case 'scrypt':
      return (hash.cost * hash.blockSize * hash.parallelism) / 8;
  }
}

function fromBcryptBase64(text: string): Buffer {
  const [from, to] = [
    './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  ];
  return Buffer.from([...text].map((letter) => to[from.indexOf(letter)]).join(''), 'base64');
}
