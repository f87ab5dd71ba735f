/** New passwords: chosen by the owner, set by a superuser, or after a reset. Each ends sessions and makes live one-time passwords void. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import {
  consumeOneTimePassword,
  refundAttempt,
  voidOneTimePasswords,
} from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import { deleteSessions, markSessionsRevoked } from '../../database/sessions.queries.js';
import { findUser, getUser, lockUser, type User, updatePasswordHash } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import {
  ForbiddenError,
  InvalidCredentialsError,
  InvalidOneTimePasswordError,
  NotFoundError,
  throwIfInvalid,
} from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { completeSignIn } from './complete-sign-in.js';
import { attemptOneTimePassword, lockVerifiedUser, verifyAddress } from './one-time-password.js';
import { requireProof } from './password.js';
import { passwordIssue } from './password-policy.js';
import { checkSecurityTokenId } from './security-tokens.js';

/**
 * Changes the caller's password and ends all their sessions but the one that asks.
 * Without the current password the caller must have authenticated by a one-time password in this session within ten minutes.
 * @throws {ValidationError} for the new password
 * @throws {InvalidCredentialsError} counted
 * @throws {TimeoutError}
 */
export async function changePassword(
  app: App,
  actor: Actor,
  input: { currentPassword?: string | null; newPassword: string },
): Promise<{ user: User }> {
  const viewer = requireViewer(actor);
  await validateNewPassword(app, input.newPassword, viewer.user);
  await requireProof(app, actor, input.currentPassword ?? null, viewer.recentOneTimePassword);
  const passwordHash = await app.passwords.hash(input.newPassword);
  return transact(app, actor, async (tx) => {
    const locked = await lockUser(tx, viewer.user.id);
    // Changed by somebody else since it was compared.
    if (locked?.passwordHash !== viewer.user.passwordHash) throw new InvalidCredentialsError();
    const user = { ...locked, passwordHash };
    const ended = await replacePassword(tx, user.id, passwordHash, viewer.session.id);
    emit(tx, { type: 'password-changed', user });
    emitRevocations(tx, { userId: user.id, count: ended, reason: 'password changed' });
    return { user };
  });
}

/**
 * Sets another's password and ends all their sessions.
 * @throws {ForbiddenError} for anyone but superusers, and for oneself
 * @throws {NotFoundError}
 * @throws {ValidationError}
 */
export async function setUserPassword(
  app: App,
  actor: Actor,
  { id, newPassword }: { id: string; newPassword: string },
): Promise<{ user: User }> {
  const viewer = requirePermission(actor, 'identity.set_user_password');
  if (id.toLowerCase() === viewer.user.id) throw new ForbiddenError('Change your own password by changePassword.');
  return { user: await setPassword(app, actor, isId(id) ? await findUser(app.db, id) : undefined, newPassword) };
}

/**
 * Sets a password for whoever has the right to, which is not asked here.
 * @param actor null on the command line
 * @throws {NotFoundError} where there is no such user
 * @throws {ValidationError}
 */
export async function setPassword(
  app: App,
  actor: Actor | null,
  target: User | undefined,
  newPassword: string,
): Promise<User> {
  if (target === undefined) throw new NotFoundError();
  await validateNewPassword(app, newPassword, target);
  const passwordHash = await app.passwords.hash(newPassword);
  return transact(app, actor, async (tx) => {
    const locked = await lockUser(tx, target.id);
    if (locked === undefined) throw new NotFoundError();
    const user = { ...locked, passwordHash };
    const ended = await replacePassword(tx, user.id, passwordHash);
    emit(tx, { type: 'password-set', user });
    emitRevocations(tx, { userId: user.id, count: ended, reason: 'password set' });
    return user;
  });
}

/**
 * Sets a new password by a one-time password, ends every session and opens one.
 * A new password that the rules refuse neither counts as a failure nor spends the one-time password.
 * @throws {ValidationError}
 * @throws {InvalidOneTimePasswordError} counted
 * @throws {TimeoutError}
 */
export async function resetPassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, newPassword }: { tokenId: string; oneTimePassword: string; newPassword: string },
): Promise<{ user: User; tokens: SessionTokens }> {
  checkSecurityTokenId(app, tokenId);
  // First what can be said without knowing the user: the rest would tell whether somebody has the address.
  await validateNewPassword(app, newPassword, null);
  const purpose = 'PASSWORD_RESET';
  const attempt = await attemptOneTimePassword(app, actor, { tokenId, oneTimePassword, purpose });
  const target = await findUser(app.db, attempt.userId);
  if (target === undefined) throw new InvalidOneTimePasswordError();
  let passwordHash: string;
  try {
    await validateNewPassword(app, newPassword, target);
    passwordHash = await app.passwords.hash(newPassword);
  } catch (error) {
    await refundAttempt(app.db, attempt);
    await refundRateLimits(app.db, attempt.attemptEventIds);
    throw error;
  }
  return transact(app, actor, async (tx) => {
    const { user: before, token } = await lockVerifiedUser(tx, attempt);
    if (!(await consumeOneTimePassword(tx, attempt))) throw new InvalidOneTimePasswordError();
    await refundRateLimits(tx, attempt.attemptEventIds);
    await verifyAddress(tx, before, token);
    const ended = await replacePassword(tx, before.id, passwordHash);
    // Where whoever came before the first proof signed in from is no place that the owner is known by.
    if (before.firstVerifiedAt === null) await deleteSessions(tx, before.id);
    const user = await getUser(tx, before.id);
    emit(tx, { type: 'password-reset', user, securityTokenId: tokenId });
    const proof = {
      method: authenticators[token.kind].method.name,
      oneTimePassword: { securityTokenId: tokenId, purpose },
    } as const;
    const signedIn = await completeSignIn(app, tx, actor, { user, proofs: [proof], occasion: 'sign-in' });
    emitRevocations(tx, { userId: user.id, count: ended, reason: 'password reset' });
    return signedIn;
  });
}

/** @param user whose identifiers the password must not be made of; null where that is not to be asked yet */
async function validateNewPassword(app: App, password: string, user: User | null): Promise<void> {
  const identifiers = (['username', 'email', 'phone'] as const).flatMap((kind) => {
    const value = user?.[kind] ?? null;
    return value === null ? [] : [{ kind, value }];
  });
  const issue = await passwordIssue(app, 'newPassword', password, identifiers);
  if (issue !== undefined) throwIfInvalid([issue]);
}

/** @returns how many sessions have ended by it */
async function replacePassword(
  tx: Database,
  userId: string,
  passwordHash: string,
  exceptSessionId: string | null = null,
): Promise<number> {
  await updatePasswordHash(tx, userId, passwordHash);
  await voidOneTimePasswords(tx, userId);
  return markSessionsRevoked(tx, userId, exceptSessionId);
}
