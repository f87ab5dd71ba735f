/**
 * Verifies imported password hashes. Run it only in worker threads, because the hash determines the
 * cost.
 */
import { createCipheriv, createHash, pbkdf2Sync, scryptSync, timingSafeEqual } from 'node:crypto';
import { bcrypt } from './bcrypt.js';
import type { ForeignHash } from './imported-hashes.js';

/**
 * Compares the password as typed, and its NFC and NFKC forms, because other systems normalise
 * differently.
 */
export async function verifyForeign(password: string, hash: ForeignHash): Promise<boolean> {
  for (const typed of new Set([password, password.normalize('NFC'), password.normalize('NFKC')]))
    if (await matches(typed, hash)) return true;
  return false;
}

async function matches(password: string, hash: ForeignHash): Promise<boolean> {
  switch (hash.scheme) {
    case 'pbkdf2':
      return isSame(pbkdf2Sync(password, hash.salt, hash.iterations, hash.key.length, hash.digest), hash.key);
    case 'bcrypt': {
      const secret = hash.sha256First ? createHash('sha256').update(password, 'utf8').digest('hex') : password;
      return bcrypt.compareSync(secret, hash.bcryptHash);
    }
    case 'argon2':
      return isSame(await deriveByArgon2(password, hash), hash.key);
    case 'scrypt':
      return isSame(deriveByScrypt(password, hash), hash.key);
  }
}

async function deriveByArgon2(password: string, hash: ForeignHash & { scheme: 'argon2' }): Promise<Uint8Array> {
  // Loads the WebAssembly module only for an Argon2 hash.
  const { [hash.variant]: derive } = await import('hash-wasm');
  return derive({
    // The library rejects an empty password. No account has the replacement.
    password: Buffer.from(password === '' ? '\0' : password, 'utf8'),
    salt: hash.salt,
    memorySize: hash.kibibytes,
    iterations: hash.passes,
    parallelism: hash.lanes,
    hashLength: hash.key.length,
    outputType: 'binary',
  });
}

function deriveByScrypt(password: string, hash: ForeignHash & { scheme: 'scrypt' }): Uint8Array {
  const { cost: N, blockSize: r, parallelism: p, salt, key, signerKey } = hash;
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) + 1_048_576 };
  if (signerKey === undefined) return scryptSync(password, salt, key.length, options);
  const cipher = createCipheriv('aes-256-ctr', scryptSync(password, salt, 32, options), Buffer.alloc(16));
  return cipher.update(signerKey);
}

function isSame(derived: Uint8Array, key: Uint8Array): boolean {
  return derived.length === key.length && timingSafeEqual(derived, key);
}
