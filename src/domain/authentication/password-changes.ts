/** New passwords: change, set by a superuser, and reset. Each revokes sessions and voids codes. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import {
  consumeOneTimePassword,
  refundAttempt,
  voidOneTimePasswords,
} from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import type { SecurityTokenKind } from '../../database/schema.js';
import { deleteYoungTokens } from '../../database/security-tokens.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import {
  addressColumns,
  findUser,
  getUser,
  lockUser,
  type User,
  updatePassword,
  updateUserRow,
} from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { mayObtainCredentials } from '../authorization/permissions.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import { droppableAddressSeconds } from '../durations.js';
import {
  ForbiddenError,
  InvalidCredentialsError,
  InvalidOneTimePasswordError,
  NotFoundError,
  throwIfInvalid,
} from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { signInProven } from './complete-sign-in.js';
import { attemptOneTimePassword, lockOf, type ProvenAccount, proveAddress } from './one-time-password.js';
import { passwordIssue } from './password-policy.js';
import { requireFreshProof } from './re-authentication.js';
import { checkSecurityTokenId } from './security-tokens.js';

/**
 * Changes the caller's password and revokes their other sessions.
 * Without the current password, requires fresh proof in this session.
 * @throws {ValidationError} for the new password
 * @throws {InvalidCredentialsError} counted as a failure
 * @throws {TimeoutError}
 * @throws {StepUpRequiredError} without fresh proof
 */
export async function changePassword(
  app: App,
  actor: Actor,
  input: { currentPassword?: string | null; newPassword: string },
): Promise<{ user: User }> {
  const viewer = requireViewer(actor);
  await validateNewPassword(app, input.newPassword, viewer.user);
  const need = viewer.user.passwordHash === null ? 'addition' : 'password';
  await requireFreshProof(app, actor, input.currentPassword ?? null, [need]);
  const passwordHash = await app.passwords.hash(input.newPassword);
  return transact(app, actor, async (tx) => {
    const locked = await lockUser(tx, viewer.user.id);
    // Another request changed it since the comparison.
    if (locked?.passwordHash !== viewer.user.passwordHash) throw new InvalidCredentialsError();
    const user = { ...locked, passwordHash };
    const revokedCount = await replacePassword(tx, user.id, passwordHash, viewer.session.id);
    emit(tx, { type: 'password-changed', user });
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'password changed' });
    return { user };
  });
}

/**
 * Sets another user's password and revokes their sessions. Not for other superusers.
 * @throws {ForbiddenError} if the caller is not a superuser, or is the user
 * @throws {NotFoundError}
 * @throws {StepUpRequiredError} without recent authentication
 * @throws {ValidationError}
 */
export async function setUserPassword(
  app: App,
  actor: Actor,
  { id, newPassword }: { id: string; newPassword: string },
): Promise<{ user: User }> {
  const viewer = requirePermission(actor, 'identity.set_user_password');
  if (id.toLowerCase() === viewer.user.id) throw new ForbiddenError('Use changePassword to change your own password.');
  await requireRecentAuthentication(app, actor);
  const target = isId(id) ? await findUser(app.db, id) : undefined;
  if (target !== undefined && !mayObtainCredentials(viewer.user, target)) throw new NotFoundError();
  return { user: await setPassword(app, actor, target, newPassword) };
}

/**
 * Sets a password. The caller checks the permission.
 * @param actor null on the command line
 * @throws {NotFoundError} if the user does not exist
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
    // The target may have become a superuser during the hashing.
    if (locked === undefined || (actor?.viewer && !mayObtainCredentials(actor.viewer.user, locked)))
      throw new NotFoundError();
    const user = { ...locked, passwordHash };
    const revokedCount = await replacePassword(tx, user.id, passwordHash);
    emit(tx, { type: 'password-set', user });
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'password set' });
    return user;
  });
}

/**
 * Sets a new password by a one-time password, revokes all sessions and opens one.
 * An invalid new password neither counts as a failure nor consumes the one-time password.
 * @throws {ValidationError}
 * @throws {InvalidOneTimePasswordError} counted as a failure
 * @throws {TimeoutError}
 */
export async function resetPassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, newPassword }: { tokenId: string; oneTimePassword: string; newPassword: string },
): Promise<{ user: User; tokens: SessionTokens }> {
  checkSecurityTokenId(app, tokenId);
  // Check user-independent rules first: the others would reveal whether the address is known.
  await validateNewPassword(app, newPassword, null);
  const purpose = 'PASSWORD_RESET';
  const attempt = await attemptOneTimePassword(app, actor, { tokenId, oneTimePassword, purpose });
  let passwordHash: string;
  try {
    const target = attempt.userId === null ? undefined : await findUser(app.db, attempt.userId);
    if (target !== undefined) await validateNewPassword(app, newPassword, target);
    passwordHash = await app.passwords.hash(newPassword);
  } catch (error) {
    await refundAttempt(app.db, attempt);
    await refundRateLimits(app.db, attempt.attemptEventIds);
    throw error;
  }
  const reset = async (tx: Database) => {
    // A reset gives up the caller's session, so it is the first proof even in an own one.
    const proven = await proveAddress(app, tx, attempt, { tokenId, ownUserId: null });
    if (!(await consumeOneTimePassword(tx, attempt))) throw new InvalidOneTimePasswordError();
    await refundRateLimits(tx, attempt.attemptEventIds);
    return completeReset(app, tx, actor, { ...proven, passwordHash });
  };
  const options = { retriesConflicts: true, lock: lockOf(attempt, tokenId) };
  return transact(app, { ...actor, viewer: null }, reset, options);
}

async function completeReset(
  app: App,
  tx: Database,
  actor: Actor,
  { user: before, token, created, firstProof, passwordHash }: ProvenAccount & { passwordHash: string },
): Promise<{ user: User; tokens: SessionTokens }> {
  const { id: userId } = before;
  const dropped = token.verifiedAt === null ? [] : await dropYoungAddresses(tx, userId, token.verifiedAt);
  const revokedCount = await replacePassword(tx, userId, passwordHash);
  const user = await getUser(tx, userId);
  emit(tx, { type: 'password-reset', before, user, securityTokenId: token.id, dropped });
  const proof = {
    method: authenticators[token.kind].method.name,
    oneTimePassword: { securityTokenId: token.id, purpose: 'PASSWORD_RESET' },
  } as const;
  const signedIn = await signInProven(app, tx, actor, { user, created, firstProof, proof });
  emitRevocations(tx, { userId, count: revokedCount, reason: 'password reset' });
  return signedIn;
}

/**
 * Drops addresses that were verified lately, and after the one that the reset proves. A thief of
 * the account may have added them.
 */
async function dropYoungAddresses(tx: Database, userId: string, verifiedAt: Date): Promise<SecurityTokenKind[]> {
  const dropped = await deleteYoungTokens(tx, userId, { verifiedAt, maxAgeSeconds: droppableAddressSeconds });
  for (const kind of dropped) await updateUserRow(tx, userId, addressColumns(kind, null));
  return dropped;
}

/**
 * @param user whose identifiers the password must not resemble; null to skip that rule
 * @throws {ValidationError}
 */
async function validateNewPassword(app: App, password: string, user: User | null): Promise<void> {
  const identifiers = (['username', 'email', 'phone'] as const).flatMap((kind) => {
    const value = user?.[kind] ?? null;
    return value === null ? [] : [{ kind, value }];
  });
  const issue = await passwordIssue(app, 'newPassword', password, identifiers);
  if (issue !== undefined) throwIfInvalid([issue]);
}

/** @returns how many sessions were revoked */
async function replacePassword(
  tx: Database,
  userId: string,
  passwordHash: string,
  exceptSessionId: string | null = null,
): Promise<number> {
  await updatePassword(tx, userId, passwordHash);
  await voidOneTimePasswords(tx, userId);
  return markSessionsRevoked(tx, userId, exceptSessionId);
}
