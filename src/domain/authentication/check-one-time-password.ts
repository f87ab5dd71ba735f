/** Checking a one-time password: it verifies its address, and signs its user in. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { spendOneTimePassword } from '../../database/one-time-passwords.queries.js';
import { giveBackRateLimits } from '../../database/rate-limits.queries.js';
import { getSecurityToken } from '../../database/security-tokens.queries.js';
import { deleteSessionsOf, markAuthenticated, revokeSessionsOf } from '../../database/sessions.queries.js';
import { type User, updatePasswordHash } from '../../database/users.queries.js';
import { authenticators } from '../authenticators/registry.js';
import { ownsSecurityToken } from '../authorization/authority.js';
import type { Caller } from '../caller.js';
import { InvalidOneTimePasswordError } from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { completeSignIn, type Proof } from './complete-sign-in.js';
import {
  attemptOneTimePassword,
  lockProvenUser,
  requireOwner,
  type TypedOneTimePassword,
  verifyAddress,
} from './one-time-password.js';
import { checkSecurityTokenId, inspect, type SecurityTokenView } from './security-tokens.js';

/**
 * Checks a one-time password and spends it: verifies the address and signs its user in, or notes the proof in the session of who is signed in.
 * One for `PASSWORD_RESET` is good for `resetPassword` alone and never valid here.
 * @throws {InvalidOneTimePasswordError} counted
 * @throws {TimeoutError} before `retryAt`; nothing is compared and nothing counted
 */
export async function checkOneTimePassword(
  app: App,
  caller: Caller,
  { tokenId, oneTimePassword, purpose }: TypedOneTimePassword,
): Promise<{ securityToken: SecurityTokenView; user: User; tokens: SessionTokens | null }> {
  checkSecurityTokenId(app, tokenId);
  if (purpose === 'VERIFICATION') requireOwner(caller, ownsSecurityToken(app, caller, tokenId));
  // The empty text is never right: an attempt at the purpose that is not checked here is counted like any other.
  const typed = purpose === 'PASSWORD_RESET' ? '' : oneTimePassword;
  const attempt = await attemptOneTimePassword(app, caller, { tokenId, oneTimePassword: typed, purpose });
  if (!(await spendOneTimePassword(app.db, attempt))) throw new InvalidOneTimePasswordError();

  return transact(app, caller, async (tx) => {
    const { user: before, token } = await lockProvenUser(tx, attempt);
    const { id: userId } = before;
    await giveBackRateLimits(tx, attempt.guesses);
    const session = caller.viewer?.user.id === userId ? caller.viewer.session : null;
    // Until now nobody had proved to be the owner: whoever came before may have signed up with somebody else's address.
    const isFirstProof = session === null && before.firstVerifiedAt === null;
    const ended = isFirstProof ? await forgetPredecessor(tx, userId) : 0;
    const replaced = await verifyAddress(tx, before, token);
    const verified = await getSecurityToken(tx, tokenId);
    const proof = {
      method: authenticators[token.kind].method.name,
      oneTimePassword: { securityTokenId: tokenId, purpose },
    };
    const { user, tokens } =
      session === null
        ? await completeSignIn(app, tx, caller, { user: verified.user, proofs: [proof], occasion: 'sign-in' })
        : await reauthenticate(tx, verified.user, session.id, proof);
    if (isFirstProof && before.passwordHash !== null) emit(tx, { type: 'password-removed', userId });
    emitRevocations(tx, { userId, count: ended, reason: 'address proved by its owner' });
    if (replaced !== null) emit(tx, { type: 'address-replaced', ...replaced, user });
    return { securityToken: inspect(verified), user, tokens };
  });
}

/** Takes away what came before the first proof: password, sessions, and the places that the user would be known by. @returns how many sessions were live */
async function forgetPredecessor(tx: Database, userId: string): Promise<number> {
  await updatePasswordHash(tx, userId, null);
  const ended = await revokeSessionsOf(tx, userId);
  await deleteSessionsOf(tx, userId);
  return ended;
}

/** Notes the proof in the session of a user who is signed in. */
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
