/** Authenticated encryption of what the database keeps but must not be able to read. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { misconfigured, StartupError } from '../startup-error.js';
import { deriveKey } from './hmac.js';

export interface Sealer {
  /** AES-256-GCM under the current secret; the result names the secret it was sealed with. */
  seal(plain: Buffer): Buffer;
  /** @throws {SealedByAnotherKeyError} when none of the secrets opens it */
  open(sealed: Buffer): Buffer;
  /** Whether the current secret sealed it, rather than one that is being replaced. */
  isCurrent(sealed: Buffer): boolean;
}

/** What is stored was sealed with a secret that is not among those given. */
export class SealedByAnotherKeyError extends StartupError {
  override readonly name = 'SealedByAnotherKeyError';

  constructor(message: string) {
    super(message, misconfigured);
  }
}

const idLength = 4;
const nonceLength = 12;
const tagLength = 16;

/** @param secrets the current one first, then those being replaced; `id` is eight hexadecimal digits */
export function createSealer(
  secrets: readonly [{ id: string; bytes: Buffer }, ...{ id: string; bytes: Buffer }[]],
): Sealer {
  const toKey = ({ id, bytes }: { id: string; bytes: Buffer }) => ({
    id: Buffer.from(id, 'hex'),
    key: deriveKey(bytes, 'sealing'),
  });
  const [newest, ...outgoing] = secrets;
  const current = toKey(newest);
  const keys = [current, ...outgoing.map(toKey)];
  return {
    seal(plain) {
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([current.id, nonce, cipher.getAuthTag(), body]);
    },
    open(sealed) {
      const id = sealed.subarray(0, idLength);
      const match = keys.find((candidate) => candidate.id.equals(id));
      if (match === undefined)
        throw new SealedByAnotherKeyError(
          `sealed with SECRET_KEY ${id.toString('hex')}, which is not among those given`,
        );
      const nonce = sealed.subarray(idLength, idLength + nonceLength);
      const tag = sealed.subarray(idLength + nonceLength, idLength + nonceLength + tagLength);
      const decipher = createDecipheriv('aes-256-gcm', match.key, nonce, { authTagLength: tagLength }).setAuthTag(tag);
      return Buffer.concat([decipher.update(sealed.subarray(idLength + nonceLength + tagLength)), decipher.final()]);
    },
    isCurrent(sealed) {
      return current.id.equals(sealed.subarray(0, idLength));
    },
  };
}
