/** Sessions of the tests: their state, and almost valid access tokens. */
import { webcrypto } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { type Answer, expectMember, operations, send } from './client.js';
import type { SessionAndTokensFragment } from './generated/graphql.js';
import { rows, type Service } from './service.js';

type Url = { url: string };

/** Refreshes, and returns the new tokens. */
export async function refreshed(
  service: Url,
  refreshToken: string,
): Promise<SessionAndTokensFragment & { refreshToken: string }> {
  const { tokens } = expectMember(await operations(service).refreshSession(refreshToken), 'RefreshSessionSuccess');
  // It is null if a cookie carries it.
  return { ...tokens, refreshToken: tokens.refreshToken ?? '' };
}

export async function assertRefreshRefused(service: Url, refreshToken: string, about?: string): Promise<void> {
  expectMember(await operations(service).refreshSession(refreshToken), 'InvalidSessionError', about);
}

/** Returns the code of the only top-level error; undefined without one. */
export function codeOf({ errors }: Answer): string | undefined {
  return errors?.[0]?.extensions.code;
}

/** Returns the ID of the user of an access token, or the error code. */
export async function whoIs(service: Url, accessToken: string): Promise<string> {
  const answer = await send(service, '{ me { id } }', {}, { token: accessToken });
  return codeOf(answer) ?? answer.data.me?.id ?? 'nobody';
}

/** Returns the time of the database in whole seconds. */
export async function databaseSeconds(service: Service): Promise<number> {
  const [row] = await rows<{ now: number }>(
    service,
    sql`select floor(extract(epoch from statement_timestamp()))::int as now`,
  );
  return row!.now;
}

export type Json = Record<string, unknown>;

export interface Jwt {
  header: Json;
  payload: Json;
}

export function decodeJwt(token: string): Jwt {
  const [header, payload] = token.split('.', 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
  return { header, payload };
}

/** Signs a JWT with any header and payload. */
export async function encodeJwt(
  { header, payload }: { header: unknown; payload: unknown },
  sign: (input: Buffer) => Promise<Buffer> | Buffer,
): Promise<string> {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${(await sign(Buffer.from(input))).toString('base64url')}`;
}

/** Signs with ES256 like the service. */
export function signerOf(privateKey: webcrypto.CryptoKey): (input: Buffer) => Promise<Buffer> {
  return async (input) =>
    Buffer.from(await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, input));
}

/**
 * Changes claims or header fields of an access token, and signs it with the key of the service.
 * Undefined removes one.
 */
export async function resigned(
  { app }: Service,
  token: string,
  changes: { header?: Json; payload?: Json },
): Promise<string> {
  const { header, payload } = decodeJwt(token);
  const { signing } = app.keys.accessTokens();
  return encodeJwt(
    { header: { ...header, kid: signing.id, ...changes.header }, payload: { ...payload, ...changes.payload } },
    signerOf(signing.privateKey),
  );
}
