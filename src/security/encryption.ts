/** Authenticated encryption for values stored in the database. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { misconfigured, StartupError } from '../startup-error.js';
import { deriveKey } from './hmac.js';

export interface Encrypter {
  /**
   * Encrypts with AES-256-GCM and the current secret. The result starts with the ID of the secret.
   */
  encrypt(plain: Buffer): Buffer;
  /**
   * Decrypts with the secret that encrypted the value.
   * @throws {UnknownKeyError} if that secret is not configured
   */
  decrypt(encrypted: Buffer): Buffer;
  /** Returns whether the current secret encrypted the value. */
  isCurrent(encrypted: Buffer): boolean;
}

/** A stored value was encrypted with a secret that is not configured. */
export class UnknownKeyError extends StartupError {
  override readonly name = 'UnknownKeyError';

  constructor(message: string) {
    super(message, misconfigured);
  }
}

const idLength = 4;
const nonceLength = 12;
const tagLength = 16;

/**
 * Creates an encrypter.
 * @param secrets the current secret first, then outgoing secrets; `id` has eight hexadecimal digits
 */
export function createEncrypter(
  secrets: readonly [{ id: string; bytes: Buffer }, ...{ id: string; bytes: Buffer }[]],
): Encrypter {
  const toKey = ({ id, bytes }: { id: string; bytes: Buffer }) => ({
    id: Buffer.from(id, 'hex'),
    // Keep the label: another label would make stored values unreadable.
    key: deriveKey(bytes, 'sealing'),
  });
  const [newest, ...outgoing] = secrets;
  const current = toKey(newest);
  const keys = [current, ...outgoing.map(toKey)];
  return {
    encrypt(plain) {
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([current.id, nonce, cipher.getAuthTag(), body]);
    },
    decrypt(encrypted) {
      const id = encrypted.subarray(0, idLength);
      const match = keys.find((candidate) => candidate.id.equals(id));
      if (match === undefined)
        throw new UnknownKeyError(`encrypted with SECRET_KEY ${id.toString('hex')}, which is not configured`);
      const nonce = encrypted.subarray(idLength, idLength + nonceLength);
      const tag = encrypted.subarray(idLength + nonceLength, idLength + nonceLength + tagLength);
      const decipher = createDecipheriv('aes-256-gcm', match.key, nonce, { authTagLength: tagLength }).setAuthTag(tag);
      return Buffer.concat([decipher.update(encrypted.subarray(idLength + nonceLength + tagLength)), decipher.final()]);
    },
    isCurrent(encrypted) {
      return current.id.equals(encrypted.subarray(0, idLength));
    },
  };
}
