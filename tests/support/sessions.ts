/** Sessions of the tests: who holds them, whether they live, and access tokens that are almost right. */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { type Answer, operations, outbox, type RequestOptions, send } from './client.js';
import type { Service } from './service.js';

type Url = { url: string };

export const password = 'correct horse battery';

/** Somebody with a session: what the sign-up or sign-in answered, and the operations asked by its access token. */
export interface Holder {
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  user: any;
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  tokens: any;
  as: ReturnType<typeof operations>;
}

export async function signUp(
  service: Url,
  input: Record<string, unknown>,
  options: RequestOptions = {},
): Promise<Holder> {
  return holder(service, await operations(service, options).createUser({ password, ...input }), options);
}

/** Opens one more session. */
export async function signIn(service: Url, identifier: string, options: RequestOptions = {}): Promise<Holder> {
  return holder(service, await operations(service, options).authenticate({ identifier, password }), options);
}

/** Signs somebody up who then proves the email address. */
export async function signUpVerified(service: Url, email: string, options: RequestOptions = {}): Promise<Holder> {
  const owner = await signUp(service, { email }, options);
  const [{ id }] = owner.user.securityTokens;
  await verify(service, owner, id, email);
  return owner;
}

/** Proves to the service that the signed-in owner reads what is sent to the address. */
export async function verify(service: Url, owner: Holder, tokenId: string, address: string): Promise<void> {
  const options = { token: owner.tokens.accessToken };
  const purpose = 'purpose: VERIFICATION';
  await send(
    service,
    `mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, ${purpose}) { __typename } }`,
    { tokenId },
    options,
  );
  const { oneTimePassword } = await lastMessageTo(service, address);
  const { data } = await send(
    service,
    `mutation ($tokenId: ID!, $oneTimePassword: String!) {
      checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, ${purpose}) { __typename }
    }`,
    { tokenId, oneTimePassword },
    options,
  );
  assert.equal(data.checkOneTimePassword.__typename, 'CheckOneTimePasswordSuccess');
}

/** Makes the first superuser, and signs in. */
export async function makeSuperuser(service: Service, username = 'root'): Promise<Holder> {
  const answer = await send(
    service,
    'mutation ($input: CreateSuperuserInput!) { createSuperuser(input: $input) { __typename } }',
    { input: { username, password } },
    { headers: { 'x-bootstrap-secret': service.app.bootstrapSecret! } },
  );
  assert.equal(answer.data?.createSuperuser.__typename, 'CreateSuperuserSuccess', JSON.stringify(answer.errors));
  return signIn(service, username);
}

// biome-ignore lint/suspicious/noExplicitAny: an answer of a sign-up or sign-in
function holder(service: Url, answer: any, options: RequestOptions): Holder {
  assert.ok(answer.tokens, JSON.stringify(answer));
  const { user, tokens } = answer;
  return { user, tokens, as: operations(service, { ...options, token: tokens.accessToken }) };
}

export async function lastMessageTo(service: Url, address: string) {
  const message = (await outbox(service)).find(({ to }) => to === address);
  assert.ok(message, `no message to ${address} was kept`);
  return message;
}

/** Refreshes, and gives the new tokens. */
export async function refreshed(service: Url, refreshToken: string): Promise<Holder['tokens']> {
  const answer = await operations(service).refreshSession(refreshToken);
  assert.equal(answer.__typename, 'RefreshSessionSuccess', JSON.stringify(answer));
  return answer.tokens;
}

export async function assertRefreshRefused(service: Url, refreshToken: string, about?: string): Promise<void> {
  const answer = await operations(service).refreshSession(refreshToken);
  assert.equal(answer.__typename, 'InvalidSessionError', about);
}

/** The code of the top-level error that an answer consists of; undefined where it has none. */
export function codeOf({ errors }: Answer): string | undefined {
  return errors?.[0]?.extensions.code;
}

/** The id of whom the access token signs in, or the code with which it is refused. */
export async function whoIs(service: Url, accessToken: string): Promise<string> {
  const answer = await send(service, '{ me { id } }', {}, { token: accessToken });
  return codeOf(answer) ?? answer.data.me?.id ?? 'nobody';
}

/** By the clock that decides, in whole seconds. */
export async function databaseSeconds({ app: { db } }: Service): Promise<number> {
  const { rows } = (await db.execute(
    'select floor(extract(epoch from statement_timestamp()))::int as now',
  )) as unknown as {
    rows: { now: number }[];
  };
  return rows[0]!.now;
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

/** A JWT with that header and payload as they stand, whatever they are, signed by whatever signs. */
export async function encodeJwt(
  { header, payload }: { header: unknown; payload: unknown },
  sign: (input: Buffer) => Promise<Buffer> | Buffer,
): Promise<string> {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${(await sign(Buffer.from(input))).toString('base64url')}`;
}

/** ES256 as the service does it. */
export function signerOf(privateKey: webcrypto.CryptoKey): (input: Buffer) => Promise<Buffer> {
  return async (input) =>
    Buffer.from(await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, input));
}

/** The access token with other claims or header fields (undefined removes one), signed by the service's own key. */
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
