/**
 * IDs of security tokens: an HMAC of the address and a check value.
 * An address has the same ID with and without an account. The check value detects an invented ID.
 */
import { hmac, sameBytes } from './hmac.js';

const bodyLength = 16;
const checkLength = 8;

/**
 * Computes the ID of an address.
 * @param kind kind of the address; `prefix` is the first letter of its IDs
 * @param addressKey the canonical form of the address
 */
export function securityTokenId(key: Buffer, { kind, prefix }: { kind: string; prefix: string }, addressKey: string) {
  const body = hmac(key, 'security-token', kind, addressKey).subarray(0, bodyLength);
  return prefix + Buffer.concat([body, checkPart(key, prefix, body)]).toString('base64url');
}

/**
 * Returns the first letter of the ID, or undefined if {@link securityTokenId} did not create the
 * ID.
 */
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
