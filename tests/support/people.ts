/** Users for tests: signed up, signed in, with access to their messages. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { eq, sql } from 'drizzle-orm';
import type { App } from '../../src/app/app.js';
import {
  pendingAddresses,
  type SecurityTokenKind,
  securityTokens,
  sessions,
  storedNow,
  users,
} from '../../src/database/schema.js';
import { findSecurityTokens } from '../../src/database/security-tokens.queries.js';
import { issueOneTimePassword as issue } from '../../src/domain/authentication/one-time-password.js';
import { computeTokenId, getTokenKind } from '../../src/domain/authenticators/registry.js';
import { comparisonKey } from '../../src/domain/identifiers.js';
import { signAccessToken } from '../../src/security/access-tokens.js';
import { formatRefreshToken, newRefreshToken, refreshTokenHash } from '../../src/security/refresh-tokens.js';
import { expectMember, type OutboxEntry, operations, outbox, type RequestOptions, send } from './client.js';
import type {
  AccountFragment,
  AuthenticateInput,
  CreateSuperuserInput,
  CreateUserInput,
  OneTimePasswordPurpose,
  SessionAndTokensFragment,
} from './generated/graphql.js';
import type { Service } from './service.js';

type Url = { url: string };

export const password = 'correct horse battery';

/** All operations and any document, with the caller of the options. */
export function caller(service: Url, options: RequestOptions = {}) {
  return {
    ...operations(service, options),
    /** Returns the whole response to a document. */
    ask: (document: string, variables: Record<string, unknown> = {}) => send(service, document, variables, options),
  };
}

export type Caller = ReturnType<typeof caller>;

/** A user with an account and a session, whose access token is sent. */
export interface Person extends Caller {
  id: string;
  tokens: { accessToken: string; refreshToken: string; session: { id: string } };
  /** the security token IDs of email and phone */
  emailToken: string;
  phoneToken: string;
}

/** A person with the response of the sign-up or sign-in. */
export interface SignedIn extends Person {
  account: AccountFragment;
  tokens: SessionAndTokensFragment & { refreshToken: string };
}

/** Signs a user up, and uses the access token of the new session. */
export async function signUp(service: Url, input: CreateUserInput, options: RequestOptions = {}): Promise<SignedIn> {
  const { user, tokens } = expectMember(await caller(service, options).createUser(input), 'CreateUserSuccess');
  return person(service, user, tokens, options);
}

/** Signs a user in, and uses the access token of the new session. */
export async function signIn(service: Url, input: AuthenticateInput, options: RequestOptions = {}): Promise<SignedIn> {
  const { user, tokens } = expectMember(await caller(service, options).authenticate(input), 'AuthenticateSuccess');
  return person(service, user, tokens, options);
}

/** Signs a user up and verifies the email. */
export async function signUpVerified(service: Url, email: string, options: RequestOptions = {}): Promise<SignedIn> {
  const owner = await signUp(service, { email, password }, options);
  await verify(service, owner, owner.emailToken);
  return owner;
}

/** Returns whether a sign-in succeeds. Otherwise asserts an error of wrong credentials. */
export async function signsIn(service: Url, identifier: string, typed: string): Promise<boolean> {
  const result = await caller(service).authenticate({ identifier, password: typed });
  if (result.__typename !== 'AuthenticateSuccess') expectMember(result, 'InvalidCredentialsError');
  return result.__typename === 'AuthenticateSuccess';
}

/** Creates the first superuser with a session. */
export async function makeSuperuser(service: Service, input: CreateSuperuserInput = {}): Promise<SignedIn> {
  const bootstrap = caller(service, { headers: { 'x-bootstrap-secret': service.app.bootstrapSecret! } });
  const made = await bootstrap.createSuperuser({ username: 'root', password, ...input });
  const { username } = expectMember(made, 'CreateSuperuserSuccess').user;
  return signIn(service, { username, password });
}

/** Returns the caller of a session that an operation opened. */
export function person(
  service: Url,
  account: AccountFragment,
  tokens: SessionAndTokensFragment | null,
  options: RequestOptions = {},
): SignedIn {
  assert.ok(tokens, 'a session was opened');
  const { refreshToken } = tokens;
  const tokenOf = (kind: 'EmailToken' | 'PhoneToken') =>
    account.securityTokens.find(({ __typename }) => __typename === kind)?.id ?? '';
  return {
    ...caller(service, { ...options, token: tokens.accessToken }),
    id: account.id,
    account,
    // It is null if a cookie carries it.
    tokens: { ...tokens, refreshToken: refreshToken ?? '' },
    emailToken: tokenOf('EmailToken'),
    phoneToken: tokenOf('PhoneToken'),
  };
}

/** Returns the latest captured message. */
export async function lastMessage(service: Url): Promise<OutboxEntry> {
  const [message] = await outbox(service);
  assert.ok(message, 'no message was captured');
  return message;
}

/** Returns the security token ID of an address, with or without an account. */
export async function securityTokenOf(service: Url, address: string): Promise<string> {
  const [token] = await caller(service).securityTokens(address);
  assert.ok(token, `${address} is an address`);
  return token.id;
}

/** Verifies an address of the signed-in owner. */
export async function verify(service: Url, owner: Caller, tokenId: string): Promise<void> {
  expectMember(await owner.sendOneTimePassword(tokenId, 'VERIFICATION'), 'SendOneTimePasswordSuccess');
  const { oneTimePassword } = await lastMessage(service);
  const checked = await owner.checkOneTimePassword(tokenId, oneTimePassword, 'VERIFICATION');
  expectMember(checked, 'CheckOneTimePasswordSuccess');
}

/** A user that a test inserts into the database. */
export interface PersonRow {
  username?: string;
  email?: string;
  phone?: string;
  /** whether the account has {@link password} */
  hasPassword?: boolean;
  /** whether every address of the account is verified */
  verified?: boolean;
  role?: 'ordinary' | 'staff' | 'superuser';
  /** the network of the session, by default that of the tests */
  ipAddress?: string;
  userAgent?: string;
}

/**
 * Inserts accounts with a session each, ten times faster than sign-ups, without messages and
 * events.
 */
export async function insertPeople<const T extends readonly PersonRow[]>(
  service: Service,
  rows: T,
): Promise<{ [K in keyof T]: Person }> {
  const { app } = service;
  const { db, config } = app;
  const passwordHash = rows.some(({ hasPassword }) => hasPassword) ? await hashOfPassword(app) : null;
  const accounts = rows.map((row) => ({ ...row, id: randomUUID(), refreshToken: newRefreshToken(randomUUID()) }));
  await db.insert(users).values(
    accounts.map(({ id, username, email, phone, hasPassword, verified, role = 'ordinary' }) => ({
      id,
      username: username ?? null,
      usernameKey: username === undefined ? null : comparisonKey(username),
      email: email ?? null,
      emailKey: email === undefined ? null : comparisonKey(email),
      phone: phone ?? null,
      passwordHash: hasPassword ? passwordHash : null,
      isStaff: role !== 'ordinary',
      isSuperuser: role === 'superuser',
      firstVerifiedAt: verified ? storedNow : null,
    })),
  );
  const tokens = accounts.flatMap(({ id, email, phone, verified }) =>
    Object.entries({ email, phone }).flatMap(([kind, address]) =>
      address === undefined
        ? []
        : [
            {
              id: idOfAddress(service, address),
              userId: id,
              kind: kind as SecurityTokenKind,
              address,
              givenAtSignUp: true,
              verifiedAt: verified ? storedNow : null,
            },
          ],
    ),
  );
  if (tokens.length > 0) await db.insert(securityTokens).values(tokens);
  const inSeconds = (seconds: number) => sql<Date>`${storedNow} + make_interval(secs => ${seconds})`;
  const opened = await db
    .insert(sessions)
    .values(
      accounts.map(({ id, refreshToken, hasPassword, ipAddress = '127.0.0.1', userAgent = null }) => ({
        id: refreshToken.sessionId,
        userId: id,
        refreshTokenHash: refreshTokenHash(refreshToken),
        idleExpiresAt: inSeconds(config.sessionIdleTtlSeconds),
        expiresAt: inSeconds(config.sessionTtlSeconds),
        authenticationMethods: hasPassword ? ['PASSWORD' as const] : [],
        openedBySignUp: true,
        // Sign-ins of the test come from the same device, so owners get no notice.
        ipAddress,
        userAgent,
      })),
    )
    .returning({ createdAt: sessions.createdAt });
  const people: Promise<Person[]> = Promise.all(
    accounts.map(async ({ id, refreshToken, email, phone }, index) => {
      const { createdAt } = opened[index]!;
      const accessToken = await signAccessToken(app.keys.accessTokens().signing, config.publicUrl, {
        userId: id,
        sessionId: refreshToken.sessionId,
        issuedAt: createdAt,
        expiresAt: new Date(createdAt.getTime() + config.accessTokenTtlSeconds * 1_000),
        authenticatedAt: createdAt,
        methods: [],
        emailVerified: false,
        phoneNumberVerified: false,
        roles: [],
      });
      return {
        ...caller(service, { token: accessToken }),
        id,
        tokens: {
          accessToken,
          refreshToken: formatRefreshToken(app.keys.refreshTokens, refreshToken),
          session: { id: refreshToken.sessionId },
        },
        emailToken: email === undefined ? '' : idOfAddress(service, email),
        phoneToken: phone === undefined ? '' : idOfAddress(service, phone),
      };
    }),
  );
  return (await people) as { [K in keyof T]: Person };
}

export async function insertPerson(service: Service, row: PersonRow): Promise<Person> {
  const [person] = await insertPeople(service, [row]);
  return person;
}

/** Hashes of {@link password} by the pepper of the service. */
const hashes = new WeakMap<App, Promise<string>>();

function hashOfPassword(app: App): Promise<string> {
  const hash = hashes.get(app) ?? app.passwords.hash(password);
  hashes.set(app, hash);
  return hash;
}

/** Computes the security token ID of an address without a request. */
export function idOfAddress({ app }: Service, address: string): string {
  const kind = address.includes('@') ? 'email' : 'phone';
  return computeTokenId(app, { kind, key: kind === 'email' ? comparisonKey(address) : address });
}

/**
 * Issues a one-time password as a send does, without a request, a message or a rate limit.
 * @param byUserId who asks for a verification; by default, a user who holds the address pending
 */
export async function issueOneTimePassword(
  { app }: Service,
  tokenId: string,
  purpose: OneTimePasswordPurpose = 'AUTHENTICATION',
  byUserId?: string,
): Promise<string> {
  const kind = getTokenKind(app, tokenId);
  assert.ok(kind !== undefined, 'the service has issued the id');
  const pending = await app.db.select().from(pendingAddresses).where(eq(pendingAddresses.tokenId, tokenId));
  const userId = purpose === 'VERIFICATION' ? (byUserId ?? pending[0]?.userId) : undefined;
  return app.db.transaction(async (tx) => {
    const [token] = await findSecurityTokens(tx, { id: tokenId, ...(userId !== undefined && { userId }) });
    const issued = await issue(app, tx, { tokenId, kind, purpose }, token);
    assert.ok(issued.live, 'the address is usable');
    return issued.oneTimePassword;
  });
}

/** Verifies an address like {@link verify}, without a message. */
export async function verifyUnsent(service: Service, owner: Caller, tokenId: string): Promise<void> {
  const code = await issueOneTimePassword(service, tokenId, 'VERIFICATION', (await owner.me()).id);
  expectMember(await owner.checkOneTimePassword(tokenId, code, 'VERIFICATION'), 'CheckOneTimePasswordSuccess');
}

/** Operations by address instead of by security token ID. */
export function byAddress(service: Service) {
  const anonymous = caller(service);
  const tokenOf = (address: string) => idOfAddress(service, address);
  return {
    tokenOf,
    makeCode: (address: string, purpose?: OneTimePasswordPurpose) =>
      issueOneTimePassword(service, tokenOf(address), purpose),
    check: (by: Caller, address: string, code: string, purpose?: OneTimePasswordPurpose) =>
      by.checkOneTimePassword(tokenOf(address), code, purpose),
    signInBy: (address: string, code: string) => anonymous.checkOneTimePassword(tokenOf(address), code),
    resetBy: (address: string, oneTimePassword: string, newPassword = 'another horse battery') =>
      anonymous.resetPassword({ tokenId: tokenOf(address), oneTimePassword, newPassword }),
    verifyAddress: (owner: Caller, address: string) => verifyUnsent(service, owner, tokenOf(address)),
  };
}
