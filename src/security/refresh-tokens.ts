/**
 * Refresh tokens: `frt_` and, in base64url, the session's id, 256 bits of secret and a part that only the holder of the key can make.
 * That part tells a spent token from a made-up one, although the database keeps hashes of the last two only.
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

/** Makes a random refresh token of the session. */
export function newRefreshToken(sessionId: string): RefreshToken {
  return { sessionId, secret: randomBytes(secretLength) };
}

/** The one that follows: the same however often it is asked for, and nothing that could be told without the key. */
export function successorOf(key: Buffer, { sessionId, secret }: RefreshToken): RefreshToken {
  return { sessionId, secret: hmac(key, 'refresh-token-successor', sessionId, secret) };
}

/** Formats a refresh token with a check value, so {@link parseRefreshToken} rejects an invented one without the database. */
export function formatRefreshToken(key: Buffer, { sessionId, secret }: RefreshToken): string {
  const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex');
  return prefix + Buffer.concat([id, secret, checkPart(key, id, secret)]).toString('base64url');
}

/** The parts of a token that was once given out, spent or not; undefined for anything else. */
export function parseRefreshToken(key: Buffer, text: string): RefreshToken | undefined {
  if (!/^frt_[\w-]{86}$/.test(text)) return undefined;
  const bytes = Buffer.from(text.slice(prefix.length), 'base64url');
  // 64 bytes leave four bits of the last character unused: one spelling only.
  if (bytes.toString('base64url') !== text.slice(prefix.length)) return undefined;
  const id = bytes.subarray(0, idLength);
  const secret = bytes.subarray(idLength, idLength + secretLength);
  if (!sameBytes(bytes.subarray(idLength + secretLength), checkPart(key, id, secret))) return undefined;
  const hex = id.toString('hex');
  return { sessionId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), secret };
}

/** What the database keeps. The secret has 256 bits, so a fast hash hides it. */
export function refreshTokenHash({ secret }: RefreshToken): Buffer {
  return sha256(secret);
}

function checkPart(key: Buffer, id: Buffer, secret: Buffer): Buffer {
  return hmac(key, 'refresh-token-check', id, secret).subarray(0, checkLength);
}
