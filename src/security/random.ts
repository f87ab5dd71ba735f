/** Random secrets. */
import { randomBytes, randomInt } from 'node:crypto';

/** Returns characters of the alphabet with equal probability. */
export function randomText(length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** Returns `length` random bytes in base64url. */
export function randomToken(length: number): string {
  return randomBytes(length).toString('base64url');
}
