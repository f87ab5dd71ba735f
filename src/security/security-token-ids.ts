/**
 * Ids of security tokens: a keyed function of the address, so that an address has the same id whether somebody has it or not,
 * and a part that only the holder of the key can make, so that an id that was not given out is told from one that was.
 */
import { hmac, sameBytes } from './hmac.js';

const letters = { email: 'e', phone: 'p' } as const;
const bodyLength = 16;
const checkLength = 8;

/** @param addressKey the comparison key of the address */
export function securityTokenId(key: Buffer, kind: 'email' | 'phone', addressKey: string): string {
  const body = hmac(key, 'security-token', kind, addressKey).subarray(0, bodyLength);
  return letters[kind] + Buffer.concat([body, checkPart(key, letters[kind], body)]).toString('base64url');
}

/** The kind of address that the id stands for; undefined for an id that {@link securityTokenId} did not make. */
export function kindOfSecurityTokenId(key: Buffer, id: string): 'email' | 'phone' | undefined {
  if (!/^[ep][\w-]{32}$/.test(id)) return undefined;
  const bytes = Buffer.from(id.slice(1), 'base64url');
  if (!sameBytes(bytes.subarray(bodyLength), checkPart(key, id[0]!, bytes.subarray(0, bodyLength)))) return undefined;
  return id[0] === letters.email ? 'email' : 'phone';
}

function checkPart(key: Buffer, letter: string, body: Buffer): Buffer {
  return hmac(key, 'security-token-check', letter, body).subarray(0, checkLength);
}
