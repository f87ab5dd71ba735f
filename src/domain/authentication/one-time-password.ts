/** One-time passwords: issued per security token and purpose, single-use, and expiring. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { replaceOneTimePassword, reserveAttempt } from '../../database/one-time-passwords.queries.js';
import type { OneTimePasswordPurpose, SecurityTokenKind } from '../../database/schema.js';
import { findSecurityTokens, getSecurityToken, type SecurityToken } from '../../database/security-tokens.queries.js';
import { lockUser, nilUuid, type User } from '../../database/users.queries.js';
import { hmac, sameBytes } from '../../security/hmac.js';
import { randomText } from '../../security/random.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { canSignInWith, requireViewer } from '../authorization/authority.js';
import { ForbiddenError, InvalidOneTimePasswordError, TimeoutError } from '../errors.js';
import { auditAttempt } from '../events/audit.js';
import {
  findOrCreateOwnAccount,
  takeOwnership,
  verifyPendingAddress,
  verifyReservedAddress,
} from '../ownership/verification.js';
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
  const [current] = await findSecurityTokens(tx, { id: tokenId, userId: user?.id ?? nilUuid });
  const live = user !== undefined && current !== undefined && isUsableFor(purpose, current, user);
  const expiresAt = await replaceOneTimePassword(tx, {
    tokenId: token?.counterId ?? tokenId,
    purpose,
    ttlSeconds,
    live: live
      ? { userId: user.id, codeDigest, unverifiedAddress: current.verifiedAt === null ? current.address : null }
      : null,
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
  /** of the one-time password and its counter */
  counterId: string;
  purpose: OneTimePasswordPurpose;
  attemptId: string;
  codeDigest: Buffer;
  /** the user who owns the password; null if they were deleted since */
  userId: string | null;
  /** the address, if it was not verified when the password was issued */
  unverifiedAddress: string | null;
  /** events to refund, because the attempt was correct */
  attemptEventIds: bigint[];
}

/**
 * Reserves an attempt, then compares.
 * @param counterId of the security token; differs from its id for a pending address
 * @throws {InvalidOneTimePasswordError} counted as a failure
 * @throws {TimeoutError} before `retryAt`; nothing is compared or counted
 */
export async function attemptOneTimePassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
  counterId = tokenId,
): Promise<CorrectAttempt> {
  const { maxRetryDelaySeconds, maxFailures } = app.config.oneTimePassword;
  const attemptId = randomUUID();
  const schedule = waitSchedule({ maxRetryDelaySeconds, maxFailures });
  const limit = attemptLimit(app, actor.client);
  const attempt = await reserveAttempt(app.db, { tokenId: counterId, purpose, schedule, attemptId, limit });
  const facts = { subjectId: attempt.userId, securityTokenId: tokenId, detail: purpose };
  if (!attempt.reserved) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_THROTTLED', ...facts });
    throw new TimeoutError(attempt);
  }
  const { codeDigest, userId, unverifiedAddress, attemptEventIds } = attempt;
  const isCorrect = codeDigest !== null && sameBytes(codeDigest, computeDigest(app, tokenId, purpose, oneTimePassword));
  if (!isCorrect || (userId === null && unverifiedAddress === null)) {
    auditAttempt(app, actor, { kind: 'ONE_TIME_PASSWORD_REFUSED', ...facts });
    throw new InvalidOneTimePasswordError();
  }
  return { counterId, purpose, attemptId, codeDigest, userId, unverifiedAddress, attemptEventIds };
}

/**
 * Returns the lock for {@link proveAddress}. A verification locks every account that claims the
 * address. Two at once would wait for each other's account.
 */
export function lockOf({ unverifiedAddress }: CorrectAttempt, tokenId: string): { tokenId: string } | undefined {
  return unverifiedAddress === null ? undefined : { tokenId };
}

/** The account that a correct one-time password leads to. */
export interface ProvenAccount {
  user: User;
  token: SecurityToken;
  /** the code made the prover the owner, so everything that came before was dropped */
  firstProof: boolean;
  /** the account was created for the prover */
  created: boolean;
}

/**
 * Locks the account of a correct one-time password, and verifies its address if necessary.
 * @param ownUserId the user of the caller's session, who keeps what the account has
 * @throws {InvalidOneTimePasswordError} if the address no longer signs in the prover
 */
export async function proveAddress(
  app: App,
  tx: Database,
  { userId, unverifiedAddress, purpose }: CorrectAttempt,
  { tokenId, ownUserId }: { tokenId: string; ownUserId: string | null },
): Promise<ProvenAccount> {
  // A code for verification works in a session of its user only.
  if (purpose === 'VERIFICATION' && userId !== ownUserId) throw new InvalidOneTimePasswordError();
  const user = userId === null ? undefined : await lockUser(tx, userId);
  const [token] = await findSecurityTokens(tx, { id: tokenId, userId: user?.id ?? nilUuid });
  if (user !== undefined && token !== undefined && isUsableFor(purpose, token, user)) {
    const firstProof = token.verifiedAt === null && user.id !== ownUserId;
    if (firstProof) await takeOwnership(tx, user, token);
    else if (token.pending) await verifyPendingAddress(tx, user, token);
    else if (token.verifiedAt === null) await verifyReservedAddress(tx, user, token);
    const proven = await getSecurityToken(tx, tokenId);
    return { user: proven.user, token: proven, firstProof, created: false };
  }
  if (unverifiedAddress === null || purpose === 'VERIFICATION') throw new InvalidOneTimePasswordError();
  const claim = { tokenId, address: unverifiedAddress, ownUserId };
  const owner = await findOrCreateOwnAccount(app, tx, claim);
  return { ...owner, token: await getSecurityToken(tx, tokenId) };
}

/** Returns the HMAC over token, purpose and password. Ignores case, spaces and dashes. */
function computeDigest(app: App, tokenId: string, purpose: OneTimePasswordPurpose, oneTimePassword: string): Buffer {
  return hmac(app.keys.oneTimePasswords, tokenId, purpose, oneTimePassword.replace(/[\s-]/g, '').toUpperCase());
}

/**
 * Whether a password for this purpose may be used. Verification needs an active user only: its code
 * works in a session of the user.
 */
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
