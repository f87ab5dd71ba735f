/** One-time passwords: made for a security token and a purpose, valid for a while, checked once. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import {
  replaceOneTimePassword,
  reserveAttempt,
  voidOneTimePasswords,
} from '../../database/one-time-passwords.queries.js';
import type { OneTimePasswordPurpose, SecurityTokenKind } from '../../database/schema.js';
import {
  deleteSecurityTokens,
  findSecurityTokens,
  markVerified,
  type SecurityToken,
} from '../../database/security-tokens.queries.js';
import { addressColumns, lockUser, nilUuid, type User, updateUserRow } from '../../database/users.queries.js';
import { hmac, sameBytes } from '../../security/hmac.js';
import { randomText } from '../../security/random.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { canSignInWith, requireViewer } from '../authorization/authority.js';
import { ForbiddenError, InvalidOneTimePasswordError, TimeoutError } from '../errors.js';
import { auditAttempt } from '../events/audit.js';
import { type AddressKind, comparisonKey } from '../identifiers.js';
import { attemptLimit } from '../rate-limits.js';
import { waitSchedule } from './throttling.js';

export type { OneTimePasswordPurpose } from '../../database/schema.js';

/**
 * Makes one in the place of the one before it. For an address that nobody has or that is not good for the purpose the same is done,
 * statement by statement, and nothing can be right.
 */
export async function issueOneTimePassword(
  app: App,
  tx: Database,
  { tokenId, kind, purpose }: { tokenId: string; kind: SecurityTokenKind; purpose: OneTimePasswordPurpose },
  token: SecurityToken | undefined,
): Promise<{ oneTimePassword: string; codeDigest: Buffer; expiresAt: Date; live: boolean }> {
  const { ttlSeconds } = app.config.oneTimePassword;
  const format = authenticators[kind].oneTimePasswordFormat(app);
  const oneTimePassword = randomText(format.length, format.alphabet);
  const codeDigest = computeDigest(app, tokenId, purpose, oneTimePassword);
  // Judged under the lock that every change of the user takes, so that none can make void what is not there yet.
  const user = await lockUser(tx, token?.userId ?? nilUuid);
  const [current] = await findSecurityTokens(tx, { id: tokenId });
  const live = user !== undefined && current?.userId === user.id && isUsableFor(purpose, current, user);
  const expiresAt = await replaceOneTimePassword(tx, {
    tokenId,
    purpose,
    ttlSeconds,
    live: live ? { userId: user.id, codeDigest } : null,
  });
  return { oneTimePassword, codeDigest, expiresAt, live };
}

/** A one-time password as somebody typed it. */
export interface TypedOneTimePassword {
  tokenId: string;
  oneTimePassword: string;
  purpose: OneTimePasswordPurpose;
}

/** An attempt that was right, and is counted as a failure until it is spent. */
export interface CorrectAttempt {
  tokenId: string;
  purpose: OneTimePasswordPurpose;
  attemptId: string;
  codeDigest: Buffer;
  /** whom the one-time password was made for */
  userId: string;
  /** to be given back, since it was none */
  attemptEventIds: bigint[];
}

/**
 * Reserves an attempt and compares.
 * @throws {InvalidOneTimePasswordError} counted
 * @throws {TimeoutError} before `retryAt`; nothing is compared and nothing counted
 */
export async function attemptOneTimePassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
): Promise<CorrectAttempt> {
  const { maxWaitSeconds, maxFailures } = app.config.oneTimePassword;
  const attemptId = randomUUID();
  const schedule = waitSchedule({ maxWaitSeconds, maxFailures });
  const limit = attemptLimit(app, actor.client);
  const attempt = await reserveAttempt(app.db, { tokenId, purpose, schedule, attemptId, limit });
  const told = { subjectId: attempt.userId, securityTokenId: tokenId, detail: purpose };
  if (!attempt.reserved) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_THROTTLED', ...told });
    throw new TimeoutError(attempt);
  }
  const { codeDigest, userId } = attempt;
  const right = codeDigest !== null && sameBytes(codeDigest, computeDigest(app, tokenId, purpose, oneTimePassword));
  if (!right || userId === null) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_REFUSED', ...told });
    throw new InvalidOneTimePasswordError();
  }
  return { tokenId, purpose, attemptId, codeDigest, userId, attemptEventIds: attempt.attemptEventIds };
}

/**
 * The user whom a one-time password proved, locked, and judged again now that nobody can change it.
 * @throws {InvalidOneTimePasswordError} where the address is not theirs any more, or does not prove them
 */
export async function lockVerifiedUser(
  tx: Database,
  { userId, tokenId, purpose }: CorrectAttempt,
): Promise<{ user: User; token: SecurityToken }> {
  const user = await lockUser(tx, userId);
  const [token] = await findSecurityTokens(tx, { id: tokenId });
  if (user === undefined || token?.userId !== userId || !isUsableFor(purpose, token, user))
    throw new InvalidOneTimePasswordError();
  return { user, token };
}

/**
 * Marks the address of the token verified; one that was pending takes the place of the verified one.
 * @returns the address that was replaced; null where none was
 */
export async function verifyAddress(
  tx: Database,
  user: User,
  { id, kind, address, verifiedAt, pending }: SecurityToken,
): Promise<{ kind: AddressKind; previous: string | null } | null> {
  if (verifiedAt !== null) return null;
  if (pending) {
    await deleteSecurityTokens(tx, { userId: user.id, kind, pending: false });
    await updateUserRow(tx, user.id, addressColumns(kind, { value: address, key: comparisonKey(address) }));
  }
  await markVerified(tx, id, user.id);
  await voidOneTimePasswords(tx, user.id);
  const { identifies, getAddresses } = authenticators[kind];
  return pending && identifies !== null ? { kind: identifies, previous: getAddresses(user).address } : null;
}

/** Bound to token and purpose. Case, spaces and dashes do not count. */
function computeDigest(app: App, tokenId: string, purpose: OneTimePasswordPurpose, oneTimePassword: string): Buffer {
  return hmac(app.keys.oneTimePasswords, tokenId, purpose, oneTimePassword.replace(/[\s-]/g, '').toUpperCase());
}

/** The signed-in owner's own verification asks for no proof but the one-time password itself. */
export function isUsableFor(purpose: OneTimePasswordPurpose, token: SecurityToken, user: User): boolean {
  return purpose === 'VERIFICATION' ? user.isActive : canSignInWith(token, user);
}

/**
 * @throws {UnauthenticatedError}
 * @throws {ForbiddenError} alike for another's address and for one that nobody has
 */
export function requireOwner(actor: Actor, own: boolean): void {
  requireViewer(actor);
  if (!own) throw new ForbiddenError('Only its signed-in owner verifies an address.');
}
