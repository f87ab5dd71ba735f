/**
 * Refresh tokens: `frt_` and, in base64url, the session ID, 256 bits of secret and a check value
 * made with a key.
 * The check value distinguishes a used token from an invented one. The database stores only the
 * last two hashes.
 */
import { randomBytes } from 'node:crypto';
import { hmac, sameBytes, sha256 } from './hmac.js';

const prefix = 'frt_';
const idLength = 16;
const secretLength = 32;
const checkLength = 16;

export interface RefreshToken {
  sessionId: string;
  secret: Buffer;
}

/** Creates a random refresh token of the session. */
export function newRefreshToken(sessionId: string): RefreshToken {
  return { sessionId, secret: randomBytes(secretLength) };
}

/** Derives the next token. The result is deterministic, and unpredictable without the key. */
export function deriveSuccessor(key: Buffer, { sessionId, secret }: RefreshToken): RefreshToken {
  return { sessionId, secret: hmac(key, 'refresh-token-successor', sessionId, secret) };
}

/**
 * Formats a refresh token with a check value, so {@link parseRefreshToken} rejects an invented one
 * without the database.
 */
export function formatRefreshToken(key: Buffer, { sessionId, secret }: RefreshToken): string {
  const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex');
  return prefix + Buffer.concat([id, secret, checkPart(key, id, secret)]).toString('base64url');
}

/** Parses a token that the service issued, used or not. Returns undefined for any other text. */
export function parseRefreshToken(key: Buffer, text: string): RefreshToken | undefined {
  if (!/^frt_[\w-]{86}$/.test(text)) return undefined;
  const bytes = Buffer.from(text.slice(prefix.length), 'base64url');
  // The last character has four unused bits. Accept only the canonical encoding.
  if (bytes.toString('base64url') !== text.slice(prefix.length)) return undefined;
  const id = bytes.subarray(0, idLength);
  const secret = bytes.subarray(idLength, idLength + secretLength);
  if (!sameBytes(bytes.subarray(idLength + secretLength), checkPart(key, id, secret))) return undefined;
  const hex = id.toString('hex');
  return { sessionId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), secret };
}

/**
 * Returns the hash that the database stores. A fast hash suffices, because the secret has 256
 * random bits.
 */
export function refreshTokenHash({ secret }: RefreshToken): Buffer {
  return sha256(secret);
}

function checkPart(key: Buffer, id: Buffer, secret: Buffer): Buffer {
  return hmac(key, 'refresh-token-check', id, secret).subarray(0, checkLength);
}
