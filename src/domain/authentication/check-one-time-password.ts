/** Checks one-time passwords: verifies the address and signs the user in. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { consumeOneTimePassword } from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import { getSecurityToken } from '../../database/security-tokens.queries.js';
import { deleteSessions, markAuthenticated, markSessionsRevoked } from '../../database/sessions.queries.js';
import { type User, updatePasswordHash } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { ownsSecurityToken } from '../authorization/authority.js';
import { InvalidOneTimePasswordError } from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { completeSignIn, type Proof } from './complete-sign-in.js';
import {
  attemptOneTimePassword,
  lockVerifiedUser,
  requireOwner,
  type TypedOneTimePassword,
  verifyAddress,
} from './one-time-password.js';
import { checkSecurityTokenId, type SecurityTokenView, toOwnerView } from './security-tokens.js';

/**
 * Checks and consumes a one-time password, and verifies its address.
 * Opens a session, or records the authentication in the caller's session.
 * Never accepts a password for `PASSWORD_RESET`; `resetPassword` does.
 * @throws {InvalidOneTimePasswordError} counted as a failure
 * @throws {TimeoutError} before `retryAt`; nothing is compared or counted
 */
export async function checkOneTimePassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
): Promise<{ securityToken: SecurityTokenView; user: User; tokens: SessionTokens | null }> {
  checkSecurityTokenId(app, tokenId);
  if (purpose === 'VERIFICATION') requireOwner(actor, ownsSecurityToken(app, actor, tokenId));
  // The empty text is always wrong, so an attempt with this purpose counts like any other.
  const typed = purpose === 'PASSWORD_RESET' ? '' : oneTimePassword;
  const attempt = await attemptOneTimePassword(app, actor, { tokenId, oneTimePassword: typed, purpose });
  if (!(await consumeOneTimePassword(app.db, attempt))) throw new InvalidOneTimePasswordError();

  return transact(app, actor, async (tx) => {
    const { user: before, token } = await lockVerifiedUser(tx, attempt);
    const { id: userId } = before;
    await refundRateLimits(tx, attempt.attemptEventIds);
    const session = actor.viewer?.user.id === userId ? actor.viewer.session : null;
    // The account is not owned yet: its creator may have signed up with another person's address.
    const isFirstVerification = session === null && before.firstVerifiedAt === null;
    const revokedCount = isFirstVerification ? await dropUnverifiedCredentials(tx, userId) : 0;
    const replaced = await verifyAddress(tx, before, token);
    const verified = await getSecurityToken(tx, tokenId);
    const proof = {
      method: authenticators[token.kind].method.name,
      oneTimePassword: { securityTokenId: tokenId, purpose },
    };
    const { user, tokens } =
      session === null
        ? await completeSignIn(app, tx, actor, { user: verified.user, proofs: [proof], occasion: 'sign-in' })
        : await reauthenticate(tx, verified.user, session.id, proof);
    if (isFirstVerification && before.passwordHash !== null) emit(tx, { type: 'password-removed', userId });
    emitRevocations(tx, { userId, count: revokedCount, reason: 'address verified by its owner' });
    if (replaced !== null) emit(tx, { type: 'address-replaced', ...replaced, user });
    return { securityToken: toOwnerView(verified), user, tokens };
  });
}

/**
 * Drops what existed before the account was owned: password, sessions and known devices.
 * @returns how many sessions were live
 */
async function dropUnverifiedCredentials(tx: Database, userId: string): Promise<number> {
  await updatePasswordHash(tx, userId, null);
  const revokedCount = await markSessionsRevoked(tx, userId);
  await deleteSessions(tx, userId);
  return revokedCount;
}

/** Records the authentication in the caller's session. */
async function reauthenticate(
  tx: Database,
  user: User,
  sessionId: string,
  { method, oneTimePassword }: Required<Proof>,
): Promise<{ user: User; tokens: null }> {
  await markAuthenticated(tx, sessionId, method);
  emit(tx, { type: 'one-time-password-accepted', userId: user.id, sessionId, ...oneTimePassword });
  return { user, tokens: null };
}
