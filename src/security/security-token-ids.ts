/**
 * Ids of security tokens: a keyed function of the address, so that an address has the same id whether somebody has it or not,
 * and a part that only the holder of the key can make, so that an id that was not given out is told from one that was.
 */
import { hmac, sameBytes } from './hmac.js';

const bodyLength = 16;
const checkLength = 8;

/**
 * @param kind of the address; `prefix`: the letter that its ids begin with
 * @param addressKey the comparison key of the address
 */
export function securityTokenId(key: Buffer, { kind, prefix }: { kind: string; prefix: string }, addressKey: string) {
  const body = hmac(key, 'security-token', kind, addressKey).subarray(0, bodyLength);
  return prefix + Buffer.concat([body, checkPart(key, prefix, body)]).toString('base64url');
}

/** The letter that the id begins with; undefined for an id that {@link securityTokenId} did not make. */
export function securityTokenIdPrefix(key: Buffer, id: string): string | undefined {
  const [, prefix, rest] = /^([a-z])([\w-]{32})$/.exec(id) ?? [];
  if (prefix === undefined || rest === undefined) return undefined;
  const bytes = Buffer.from(rest, 'base64url');
  const isOurs = sameBytes(bytes.subarray(bodyLength), checkPart(key, prefix, bytes.subarray(0, bodyLength)));
  return isOurs ? prefix : undefined;
}

function checkPart(key: Buffer, prefix: string, body: Buffer): Buffer {
  return hmac(key, 'security-token-check', prefix, body).subarray(0, checkLength);
}
