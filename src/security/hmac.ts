/** Keyed digests, the keys they use, and comparison in constant time. */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * Derives the key of a purpose, so a digest for one purpose is invalid for another.
 * @see RFC 5869
 */
export function deriveKey(secret: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `flex-identity/${purpose}`, 32));
}

/**
 * Returns the HMAC-SHA-256 of the parts. Each length is included, so `('ab', 'c')` and `('a',
 * 'bc')` differ.
 */
export function hmac(key: Buffer, ...parts: (string | Buffer)[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    mac.update(length).update(bytes);
  }
  return mac.digest();
}

/** Returns the SHA-256 digest of 32 bytes. */
export function sha256(bytes: string | Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Compares in constant time for inputs of equal length. */
export function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
