/**
 * Parses password hashes of other systems and limits their cost. `imported-hash-verification.ts`
 * verifies them.
 */

export type ForeignHash =
  | { scheme: 'pbkdf2'; digest: string; iterations: number; salt: Uint8Array; key: Uint8Array }
  | { scheme: 'bcrypt'; sha256First: boolean; bcryptHash: string }
  | {
      scheme: 'argon2';
      variant: Argon2Variant;
      kibibytes: number;
      passes: number;
      lanes: number;
      salt: Uint8Array;
      key: Uint8Array;
    }
  | {
      scheme: 'scrypt';
      cost: number;
      blockSize: number;
      parallelism: number;
      salt: Uint8Array;
      key: Uint8Array;
      signerKey?: Uint8Array;
    };

const argon2Variants = ['argon2id', 'argon2i', 'argon2d'] as const;

export type Argon2Variant = (typeof argon2Variants)[number];

/** Why a stored hash is unverifiable. `TOO_COSTLY`: its cost exceeds {@link limits}. */
export type HashFault = 'UNKNOWN_SCHEME' | 'MALFORMED' | 'TOO_COSTLY';

/**
 * The maximum cost of a hash: one or two seconds of a thread and 256 MiB. A more costly hash could
 * stall the service.
 * The limits exceed the defaults of Django, passlib, Keycloak, Firebase, Supabase, Auth0,
 * better-auth and libsodium.
 * Only the `SENSITIVE` preset of libsodium exceeds them.
 */
const limits = {
  bcryptCost: { min: 4, max: 15 },
  /** of PBKDF2, summed over the blocks of the key */
  iterations: 5_000_000,
  kibibytes: 262_144,
  /** of memory, summed over the passes */
  totalKibibytes: 1_048_576,
  lanes: 255,
  saltBytes: 128,
  keyBytes: { min: 16, max: 64 },
};

/** Longer than every supported format. */
const longestHash = 1_024;

const base64 = '([A-Za-z0-9+/._-]{1,256}={0,2})';
const django = {
  pbkdf2: new RegExp(`^pbkdf2_(sha1|sha256)\\$(\\d{1,9})\\$([^$]{1,128})\\$${base64}$`),
  scrypt: new RegExp(`^scrypt\\$(\\d{1,9})\\$([^$]{1,128})\\$(\\d{1,5})\\$(\\d{1,5})\\$${base64}$`),
};
/** passlib writes plain iterations. PHC strings write parameters with the key length. */
const pbkdf2 = new RegExp(
  `^\\$pbkdf2(?:-(sha1|sha256|sha512))?\\$(?:i=)?(\\d{1,9})(?:,l=\\d{1,3})?\\$${base64}\\$${base64}$`,
);
const bcrypt = /^(?:bcrypt(_sha256)?\$)?(\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53})$/;
const phcBcrypt = /^\$bcrypt\$v=98\$r=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{31})$/;
const argon2 = new RegExp(
  `^(?:argon2)?\\$(argon2(?:id|i|d))\\$v=19\\$m=(\\d{1,9}),t=(\\d{1,9}),p=(\\d{1,9})\\$${base64}\\$${base64}$`,
);
const scrypt = new RegExp(`^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,5}),p=(\\d{1,5})\\$${base64}\\$${base64}$`);
/**
 * scrypt of libxcrypt and libsodium: logarithm, block size and parallelism in crypt's base 64, then
 * the plain salt.
 */
const cryptScrypt =
  /^\$7\$([./0-9A-Za-z])([./0-9A-Za-z]{5})([./0-9A-Za-z]{5})([./0-9A-Za-z]{1,128})\$([./0-9A-Za-z]{43})$/;
/**
 * Firebase scrypt as Supabase writes it, with the salt separator and the signer key of the project.
 */
const firebaseScrypt = new RegExp(
  `^\\$fbscrypt\\$v=1,n=(\\d{1,2}),r=(\\d{1,5}),p=(\\d{1,5})(?:,ss=${base64})?,sk=${base64}\\$${base64}\\$${base64}$`,
);

// The readers default each group to an empty text, because the type of a match has only optional
// groups.
type Reader = (text: string) => ForeignHash | HashFault;

const readers: Record<string, Reader> = {
  pbkdf2_sha256: readDjangoPbkdf2,
  pbkdf2_sha1: readDjangoPbkdf2,
  pbkdf2: readPbkdf2,
  'pbkdf2-sha1': readPbkdf2,
  'pbkdf2-sha256': readPbkdf2,
  'pbkdf2-sha512': readPbkdf2,
  bcrypt: (text) => (text.startsWith('$') ? readPhcBcrypt(text) : readBcrypt(text)),
  bcrypt_sha256: readBcrypt,
  '2a': readBcrypt,
  '2b': readBcrypt,
  '2y': readBcrypt,
  argon2: readArgon2,
  argon2id: readArgon2,
  argon2i: readArgon2,
  argon2d: readArgon2,
  scrypt: (text) => (text.startsWith('$') ? readScrypt(text) : readDjangoScrypt(text)),
  '7': readCryptScrypt,
  fbscrypt: readFirebaseScrypt,
};

/** Parses a password hash of another system. */
export function readForeignHash(text: string): ForeignHash | HashFault {
  const reader = readers[getForeignScheme(text)];
  if (reader === undefined) return 'UNKNOWN_SCHEME';
  return text.length > longestHash ? 'MALFORMED' : reader(text);
}

/** Returns the scheme of a stored hash, or `other` for an unknown scheme. */
export function getForeignScheme(text: string): string {
  const name = /^\$?(\w[\w-]{0,31})\$/.exec(text)?.[1] ?? '';
  return Object.hasOwn(readers, name) ? name : 'other';
}

function readDjangoPbkdf2(text: string): ForeignHash | HashFault {
  const match = django.pbkdf2.exec(text);
  if (match === null) return 'MALFORMED';
  const [, digest = '', iterations = '', salt = '', key = ''] = match;
  return checkPbkdf2(digest, iterations, Buffer.from(salt), decodeBase64(key));
}

function readPbkdf2(text: string): ForeignHash | HashFault {
  const match = pbkdf2.exec(text);
  if (match === null) return 'MALFORMED';
  const [, digest = 'sha1', iterations = '', salt = '', key = ''] = match;
  return checkPbkdf2(digest, iterations, decodeBase64(salt), decodeBase64(key));
}

const digestBytes: Record<string, number> = { sha1: 20, sha256: 32, sha512: 64 };

function checkPbkdf2(digest: string, iterations: string, salt: Buffer, key: Buffer): ForeignHash | HashFault {
  const hash = { scheme: 'pbkdf2' as const, digest, iterations: Number(iterations), salt, key };
  const blockBytes = digestBytes[digest];
  if (blockBytes === undefined || hash.iterations < 1 || !isSized(hash)) return 'MALFORMED';
  const blocks = Math.ceil(key.length / blockBytes);
  return hash.iterations * blocks > limits.iterations ? 'TOO_COSTLY' : hash;
}

function readBcrypt(text: string): ForeignHash | HashFault {
  const [, sha256First, bcryptHash, cost] = bcrypt.exec(text) ?? [];
  if (bcryptHash === undefined) return 'MALFORMED';
  return checkBcrypt({ scheme: 'bcrypt', sha256First: sha256First !== undefined, bcryptHash }, Number(cost));
}

function readPhcBcrypt(text: string): ForeignHash | HashFault {
  const match = phcBcrypt.exec(text);
  if (match === null) return 'MALFORMED';
  const [, cost = '', salt = '', key = ''] = match;
  const [cryptSalt, cryptKey] = [salt, key].map((part) => bcryptBase64(decodeBase64(part)));
  const bcryptHash = `$2b$${cost.padStart(2, '0')}$${cryptSalt}${cryptKey}`;
  return checkBcrypt({ scheme: 'bcrypt', sha256First: false, bcryptHash }, Number(cost));
}

function checkBcrypt(hash: ForeignHash, cost: number): ForeignHash | HashFault {
  if (cost < limits.bcryptCost.min || cost > 31) return 'MALFORMED';
  return cost > limits.bcryptCost.max ? 'TOO_COSTLY' : hash;
}

function readArgon2(text: string): ForeignHash | HashFault {
  const match = argon2.exec(text);
  if (match === null) return 'MALFORMED';
  const [kibibytes, passes, lanes] = [Number(match[2]), Number(match[3]), Number(match[4])];
  const [, name, , , , saltText = '', keyText = ''] = match;
  const [salt, key] = [decodeBase64(saltText), decodeBase64(keyText)];
  const variant = argon2Variants.find((each) => each === name);
  // Minimum of RFC 9106 §3.1: eight bytes of salt, eight blocks for each lane.
  const isSound = passes >= 1 && lanes >= 1 && kibibytes >= 8 * lanes && salt.length >= 8;
  if (variant === undefined || !isSound || !isSized({ salt, key })) return 'MALFORMED';
  if (kibibytes > limits.kibibytes || kibibytes * passes > limits.totalKibibytes || lanes > limits.lanes)
    return 'TOO_COSTLY';
  return { scheme: 'argon2', variant, kibibytes, passes, lanes, salt, key };
}

function readDjangoScrypt(text: string): ForeignHash | HashFault {
  const match = django.scrypt.exec(text);
  if (match === null) return 'MALFORMED';
  const [, cost, salt = '', blockSize, parallelism, key = ''] = match;
  return checkScrypt({
    cost: Number(cost),
    blockSize: Number(blockSize),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt),
    key: decodeBase64(key),
  });
}

function readScrypt(text: string): ForeignHash | HashFault {
  const match = scrypt.exec(text);
  if (match === null) return 'MALFORMED';
  const [, costLog2, blockSize, parallelism, salt = '', key = ''] = match;
  return checkScrypt({
    cost: 2 ** Number(costLog2),
    blockSize: Number(blockSize),
    parallelism: Number(parallelism),
    salt: decodeBase64(salt),
    key: decodeBase64(key),
  });
}

function readCryptScrypt(text: string): ForeignHash | HashFault {
  const match = cryptScrypt.exec(text);
  if (match === null) return 'MALFORMED';
  const [, costLog2 = '', blockSize = '', parallelism = '', salt = '', key = ''] = match;
  return checkScrypt({
    cost: 2 ** cryptNumber(costLog2),
    blockSize: cryptNumber(blockSize),
    parallelism: cryptNumber(parallelism),
    salt: Buffer.from(salt),
    key: cryptBytes(key),
  });
}

function readFirebaseScrypt(text: string): ForeignHash | HashFault {
  const match = firebaseScrypt.exec(text);
  if (match === null) return 'MALFORMED';
  const [, costLog2, blockSize, parallelism, separator = '', signerKey = '', salt = '', key = ''] = match;
  return checkScrypt({
    cost: 2 ** Number(costLog2),
    blockSize: Number(blockSize),
    parallelism: Number(parallelism),
    salt: Buffer.concat([decodeBase64(salt), decodeBase64(separator)]),
    key: decodeBase64(key),
    signerKey: decodeBase64(signerKey),
  });
}

function checkScrypt(parameters: Omit<ForeignHash & { scheme: 'scrypt' }, 'scheme'>): ForeignHash | HashFault {
  const { cost, blockSize, parallelism, key, signerKey } = parameters;
  const isSound = cost >= 2 && Number.isInteger(Math.log2(cost)) && blockSize >= 1 && parallelism >= 1;
  if (!isSound || !isSized(parameters) || (signerKey !== undefined && signerKey.length !== key.length))
    return 'MALFORMED';
  const kibibytes = (128 * cost * blockSize) / 1024;
  // RFC 7914 needs one block of memory for each unit of parallelism.
  const isCostly = kibibytes > limits.kibibytes || kibibytes * parallelism > limits.totalKibibytes;
  return isCostly || blockSize * parallelism > limits.kibibytes / 8
    ? 'TOO_COSTLY'
    : { scheme: 'scrypt', ...parameters };
}

/** Rejects keys that are short enough to collide. */
function isSized({ salt, key }: { salt: Uint8Array; key: Uint8Array }): boolean {
  const { min, max } = limits.keyBytes;
  return salt.length >= 1 && salt.length <= limits.saltBytes && key.length >= min && key.length <= max;
}

/** Decodes base 64. passlib writes `.` for `+`. */
function decodeBase64(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}

const standardAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const cryptAlphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Encodes bytes in bcrypt's base 64. */
function bcryptBase64(bytes: Buffer): string {
  const standard = bytes.toString('base64').replaceAll('=', '');
  return [...standard].map((letter) => bcryptAlphabet[standardAlphabet.indexOf(letter)]).join('');
}

/** Decodes a number in crypt's base 64, the lowest six bits first. */
function cryptNumber(text: string): number {
  return [...text].reduceRight((number, letter) => number * 64 + cryptAlphabet.indexOf(letter), 0);
}

/** Decodes bytes in crypt's base 64: groups of three, the lowest bits first. */
function cryptBytes(text: string): Buffer {
  const groups = text.match(/.{1,4}/g) ?? [];
  return Buffer.concat(
    groups.map((group) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(cryptNumber(group));
      return bytes.subarray(0, Math.floor((group.length * 6) / 8));
    }),
  );
}
