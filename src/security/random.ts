/** Secrets made by chance. */
import { randomBytes, randomInt } from 'node:crypto';

/** Characters drawn evenly from the alphabet. */
export function randomText(length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** `length` random bytes in base64url. */
export function randomToken(length: number): string {
  return randomBytes(length).toString('base64url');
}
