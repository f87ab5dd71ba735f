/** One-time passwords: issued per security token and purpose, single-use, and expiring. */
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
 * Issues a one-time password that replaces the previous one.
 * Runs the same statements for unknown and unusable addresses, without a valid password.
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
  // Check under the user's lock, so that no concurrent change misses the new password.
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

/** A one-time password as typed. */
export interface TypedOneTimePassword {
  tokenId: string;
  oneTimePassword: string;
  purpose: OneTimePasswordPurpose;
}

/** A correct attempt. It counts as a failure until the password is consumed. */
export interface CorrectAttempt {
  tokenId: string;
  purpose: OneTimePasswordPurpose;
  attemptId: string;
  codeDigest: Buffer;
  /** the user who owns the password */
  userId: string;
  /** events to refund, because the attempt was correct */
  attemptEventIds: bigint[];
}

/**
 * Reserves an attempt, then compares.
 * @throws {InvalidOneTimePasswordError} counted as a failure
 * @throws {TimeoutError} before `retryAt`; nothing is compared or counted
 */
export async function attemptOneTimePassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
): Promise<CorrectAttempt> {
  const { maxRetryDelaySeconds, maxFailures } = app.config.oneTimePassword;
  const attemptId = randomUUID();
  const schedule = waitSchedule({ maxRetryDelaySeconds, maxFailures });
  const limit = attemptLimit(app, actor.client);
  const attempt = await reserveAttempt(app.db, { tokenId, purpose, schedule, attemptId, limit });
  const facts = { subjectId: attempt.userId, securityTokenId: tokenId, detail: purpose };
  if (!attempt.reserved) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_THROTTLED', ...facts });
    throw new TimeoutError(attempt);
  }
  const { codeDigest, userId } = attempt;
  const isCorrect = codeDigest !== null && sameBytes(codeDigest, computeDigest(app, tokenId, purpose, oneTimePassword));
  if (!isCorrect || userId === null) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_REFUSED', ...facts });
    throw new InvalidOneTimePasswordError();
  }
  return { tokenId, purpose, attemptId, codeDigest, userId, attemptEventIds: attempt.attemptEventIds };
}

/**
 * Locks the user of a correct one-time password and checks the address again.
 * @throws {InvalidOneTimePasswordError} if the address no longer belongs to the user or is
 * unusable
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
 * Marks the address verified. A pending address replaces the verified one.
 * @returns the replaced address; null if none was replaced
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

/** Returns the HMAC over token, purpose and password. Ignores case, spaces and dashes. */
function computeDigest(app: App, tokenId: string, purpose: OneTimePasswordPurpose, oneTimePassword: string): Buffer {
  return hmac(app.keys.oneTimePasswords, tokenId, purpose, oneTimePassword.replace(/[\s-]/g, '').toUpperCase());
}

/** Whether a password for this purpose may be used. Verification needs an active user only. */
export function isUsableFor(purpose: OneTimePasswordPurpose, token: SecurityToken, user: User): boolean {
  return purpose === 'VERIFICATION' ? user.isActive : canSignInWith(token, user);
}

/**
 * @throws {UnauthenticatedError}
 * @throws {ForbiddenError} the same for another user's address and for an unknown one
 */
export function requireOwner(actor: Actor, own: boolean): void {
  requireViewer(actor);
  if (!own) throw new ForbiddenError('Only the signed-in owner can verify an address.');
}
