/** Checks one-time passwords: verifies the address and signs the user in. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { consumeOneTimePassword } from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import type { User } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import type { SecurityTokenView } from '../authenticators/security-token-view.js';
import { toOwnerView } from '../authenticators/views.js';
import { ownsSecurityToken } from '../authorization/authority.js';
import { InvalidOneTimePasswordError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { signInProven } from './complete-sign-in.js';
import {
  attemptOneTimePassword,
  lockOf,
  proveAddress,
  requireOwner,
  type TypedOneTimePassword,
} from './one-time-password.js';
import { recordAddressProof, requireFreshProof } from './re-authentication.js';
import { checkSecurityTokenId } from './security-tokens.js';

/**
 * Checks and consumes a one-time password, and verifies its address.
 * Opens a session, or records the authentication in the caller's session.
 * Never accepts a password for `PASSWORD_RESET`; `resetPassword` does.
 * @throws {InvalidOneTimePasswordError} counted as a failure
 * @throws {TimeoutError} before `retryAt`; nothing is compared or counted
 * @throws {StepUpRequiredError} without fresh proof, if the address would replace a verified one;
 * nothing is compared or counted
 */
export async function checkOneTimePassword(
  app: App,
  actor: Actor,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
): Promise<{ securityToken: SecurityTokenView; user: User; tokens: SessionTokens | null }> {
  checkSecurityTokenId(app, tokenId);
  // The empty text is always wrong, so an attempt with this purpose counts like any other.
  const typed = { tokenId, oneTimePassword: purpose === 'PASSWORD_RESET' ? '' : oneTimePassword, purpose };
  const own = purpose === 'VERIFICATION' ? await findOwnToken(app, actor, tokenId) : undefined;
  if (own?.pending) await requireProofToReplace(app, actor, own);
  const attempt = await attemptOneTimePassword(app, actor, typed, own?.counterId);
  if (!(await consumeOneTimePassword(app.db, attempt))) throw new InvalidOneTimePasswordError();

  const check = async (tx: Database) => {
    await refundRateLimits(tx, attempt.attemptEventIds);
    const ownUserId = actor.viewer?.user.id ?? null;
    const proven = await proveAddress(app, tx, attempt, { tokenId, ownUserId });
    const proof = {
      method: authenticators[proven.token.kind].method.name,
      oneTimePassword: { securityTokenId: tokenId, purpose },
    };
    const { verifiedAt } = proven.token;
    const securityToken = toOwnerView(proven.token);
    if (actor.viewer !== null && actor.viewer.user.id === proven.user.id) {
      const { id: sessionId } = actor.viewer.session;
      // A thief of the session could add an address of their own, so its code proves nothing.
      if (!own?.pending && verifiedAt !== null)
        await recordAddressProof(tx, sessionId, { method: proof.method, verifiedAt });
      emit(tx, { type: 'one-time-password-accepted', userId: proven.user.id, sessionId, ...proof.oneTimePassword });
      return { securityToken, user: proven.user, tokens: null };
    }
    return { securityToken, ...(await signInProven(app, tx, actor, { ...proven, proof })) };
  };
  return transact(app, actor, check, { retriesConflicts: true, lock: lockOf(attempt, tokenId) });
}

/** Otherwise a stolen session could replace an address by a pending one that its owner mistyped. */
async function requireProofToReplace(app: App, actor: Actor, { kind, userId }: SecurityToken): Promise<void> {
  const tokens = await findSecurityTokens(app.db, { userId });
  const verifiedAt = tokens.find((token) => token.kind === kind && !token.pending)?.verifiedAt;
  if (verifiedAt) await requireFreshProof(app, actor, null, [{ verifiedAt }]);
}

/**
 * Returns the token of the signed-in caller, pending or not.
 * @throws {UnauthenticatedError}
 * @throws {ForbiddenError} the same for another user's address and for an unknown one
 */
async function findOwnToken(app: App, actor: Actor, tokenId: string): Promise<SecurityToken | undefined> {
  requireOwner(actor, ownsSecurityToken(app, actor, tokenId));
  const userId = actor.viewer?.user.id ?? '';
  const [token] = await findSecurityTokens(app.db, { id: tokenId, userId });
  return token;
}
