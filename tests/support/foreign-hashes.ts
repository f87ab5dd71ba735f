/** Imported password hashes and their tests. Expensive hashes run with the slow tests. */
import assert from 'node:assert/strict';
import { pbkdf2Sync, scryptSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { readForeignHash } from '../../src/security/imported-hashes.js';
import { createPasswords, type Passwords } from '../../src/security/passwords.js';
import { anyCharacters } from './text.js';

/** One thread never rejects a single client. */
export function openPasswords(onUnverifiableHash: (scheme: string, fault: string) => void = () => {}): Passwords {
  const passwords = createPasswords({
    peppers: [{ id: '01234567', bytes: Buffer.alloc(32, 1) }],
    cost: 4,
    threads: 1,
    onUnverifiableHash,
  });
  return passwords;
}

export const b64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64').replaceAll('=', '');

interface Example {
  password: string;
  hash: string;
}

/** Hashes of the original implementations, from their documentation, tests or databases. */
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

/** Hashes made with functions of Node, for formats without an example. */
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

export const foreignHashes = { ...published, ...made };
/** Hashes that take at least 0.1 s. Every scheme except argon2 has a cheaper format. */
export const dearForms = [
  "Django's pbkdf2_sha256",
  "Django's pbkdf2_sha1",
  "Django's argon2",
  "Django's bcrypt_sha256",
  "Django's bcrypt",
  'argon2i of the reference',
  'scrypt of libxcrypt',
];

const cheap: Record<string, string> = Object.fromEntries(
  Object.entries(foreignHashes).map(([form, { hash }]) => [
    form,
    hash.replace('260000', '1000').replace('$2b$12$', '$2b$04$'),
  ]),
);

/** @param options.wrong number of wrong passwords; cheap formats of the same scheme try them all */
export function testForeignHash(form: string, passwords: Passwords, { wrong: count = 4 } = {}): void {
  const { password, hash } = foreignHashes[form]!;
  test(`by ${form} accepts only its password, and is outdated`, async () => {
    assert.equal(passwords.findHashFault(hash), null);
    assert.equal(await passwords.verify(password, hash), true);
    for (const wrong of [`${password} `, '', `x${password}`, hash].slice(0, count))
      assert.equal(await passwords.verify(wrong, hash), false, wrong);
    assert.equal(passwords.isOutdated(hash), true);
  });
}

/** @param times how often a damaged hash is parsed, and computed if it is cheap */
export function testDamagedForeignHash(
  form: string,
  passwords: Passwords,
  times: { read: number; computed: number },
): void {
  const hash = cheap[form]!;
  test(`by ${form} that is damaged is rejected without a crash or a delay`, async () => {
    const damaged = fc
      .array(fc.tuple(fc.nat(hash.length), fc.nat(2), anyCharacters({ maxLength: 6 })), {
        minLength: 1,
        maxLength: 4,
      })
      .map((cuts) => cuts.reduce((text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length), hash));
    fc.assert(
      fc.property(damaged, (text) => {
        const read = readForeignHash(text);
        if (typeof read !== 'string') assert.ok(costOf(read) <= 5_242_880, text);
      }),
      { numRuns: times.read },
    );
    await fc.assert(
      fc.asyncProperty(damaged, async (text) => {
        const read = readForeignHash(text);
        if (typeof read !== 'string' && costOf(read) > 140_000) return;
        assert.equal(await passwords.verify('violin under the stairs', text), false, text);
      }),
      { numRuns: times.computed },
    );
  });
}

/** Texts of a million letters. */
export function* endlessHashes(): Generator<string> {
  for (const start of [
    'pbkdf2_sha256$1000$',
    '$argon2id$v=19$m=',
    '$scrypt$ln=',
    '$7$',
    '$fbscrypt$v=1,n=',
    'bcrypt$$2b$12$',
  ])
    for (const letter of ['a', '1', '$', '=', '/']) yield start + letter.repeat(1_000_000);
}

/** Work in units of about one microsecond of a thread. */
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
