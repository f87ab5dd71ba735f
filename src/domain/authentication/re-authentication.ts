/**
 * Authentication of a user who is signed in: recent authentication and fresh proof.
 * Recent authentication may have opened the session. Fresh proof is given after that, by something
 * that the account had before: a stolen session adds no way in and removes none.
 */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { AuthenticationMethod, SessionRow } from '../../database/schema.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import { findUsableProofs, recordOneTimePassword, recordPassword } from '../../database/sessions.queries.js';
import { getUser } from '../../database/users.queries.js';
import type { Actor, Viewer } from '../actor.js';
import { toOwnerView } from '../authenticators/views.js';
import { hasVerifiedAddress, requireViewer } from '../authorization/authority.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import { minProofAgeSeconds, newAccountSeconds, recentAuthenticationSeconds } from '../durations.js';
import { InvalidCredentialsError, StepUpRequiredError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import { checkCurrentPassword } from './password.js';

const ages = { minAgeSeconds: minProofAgeSeconds, newAccountSeconds };

/**
 * Gives fresh proof by the current password.
 * @throws {InvalidCredentialsError} counted as a failure
 * @throws {TimeoutError} before the next attempt is allowed
 * @throws {StepUpRequiredError} if the password is too new to prove anything
 */
export async function reauthenticate(
  app: App,
  actor: Actor,
  currentPassword: string,
): Promise<{ session: SessionRow }> {
  const { session, proves } = await authenticateByPassword(app, actor, currentPassword);
  if (!proves) throw await stepUp(app, requireViewer(actor), ({ verifiedAt }) => verifiedAt !== null);
  return { session };
}

/**
 * Checks the current password, and records the authentication in the session.
 * @returns the session, and whether the password is old enough to give fresh proof
 * @throws {InvalidCredentialsError} counted as a failure
 * @throws {TimeoutError} before the next attempt is allowed
 */
async function authenticateByPassword(
  app: App,
  actor: Actor,
  currentPassword: string,
): Promise<{ session: SessionRow; proves: boolean }> {
  const { user, session } = requireViewer(actor);
  await checkCurrentPassword(app, actor, currentPassword);
  return transact(app, actor, async (tx) => {
    const current = await getUser(tx, user.id);
    // Another request changed it since the comparison.
    if (current.passwordHash !== user.passwordHash) throw new InvalidCredentialsError();
    emit(tx, { type: 'reauthenticated', userId: user.id, sessionId: session.id });
    return recordPassword(tx, session.id, ages);
  });
}

/**
 * Requires recent authentication, or authenticates by the password.
 * @param currentPassword null without one
 * @throws {StepUpRequiredError}
 * @throws {InvalidCredentialsError} for a wrong password, which is counted
 * @throws {TimeoutError} before the next attempt is allowed
 */
export async function requireRecentOrPassword(app: App, actor: Actor, currentPassword: string | null): Promise<void> {
  if (currentPassword === null) await requireRecentAuthentication(app, actor);
  else await authenticateByPassword(app, actor, currentPassword);
}

/** Records the authentication by a code to an address in a live session. */
export async function recordAddressProof(
  tx: Database,
  sessionId: string,
  { method, verifiedAt }: { method: AuthenticationMethod; verifiedAt: Date },
): Promise<void> {
  await recordOneTimePassword(
    tx,
    sessionId,
    { method, verifiedAt },
    { ...ages, recentSeconds: recentAuthenticationSeconds },
  );
}

/**
 * What fresh proof must hold for: a way in that is added, the password, or an address by when it
 * was verified. A code proves for its own address and for those verified after it.
 */
export type ProofNeed = 'addition' | 'password' | { verifiedAt: Date };

/**
 * Requires fresh proof for each of the needs. An account without a password and a verified address
 * has nothing that could give it, and its first session needs none at first.
 * @param currentPassword gives the proof in this request; null without one
 * @throws {StepUpRequiredError}
 * @throws {InvalidCredentialsError} for a wrong password, which is counted
 * @throws {TimeoutError} before the next attempt is allowed
 */
export async function requireFreshProof(
  app: App,
  actor: Actor,
  currentPassword: string | null,
  needs: readonly ProofNeed[],
): Promise<void> {
  const viewer = requireViewer(actor);
  const { user } = viewer;
  if (currentPassword !== null && (await authenticateByPassword(app, actor, currentPassword)).proves) return;
  const hasNothing = user.passwordHash === null && !hasVerifiedAddress(user);
  if (needs.length === 0 || hasNothing || viewer.openedForNewOwner || viewer.passwordProof) return;
  const provenBy = (verifiedAt: Date | null) => verifiedAt !== null && needs.every((need) => isMet(need, verifiedAt));
  if (!provenBy(viewer.addressProofVerifiedAt)) throw await stepUp(app, viewer, (token) => provenBy(token.verifiedAt));
}

/** @param verifiedAt when the address of the proof was verified */
function isMet(need: ProofNeed, verifiedAt: Date): boolean {
  if (need === 'password') return false;
  return need === 'addition' || verifiedAt <= need.verifiedAt;
}

/** Returns the error with what is old enough to give fresh proof, of the tokens that suffice. */
async function stepUp(
  app: App,
  { user }: Viewer,
  suffices: (token: SecurityToken) => boolean,
): Promise<StepUpRequiredError> {
  const usable = await findUsableProofs(app.db, user.id, ages);
  const tokens = await findSecurityTokens(app.db, { userId: user.id });
  return new StepUpRequiredError({
    securityTokens: tokens.filter((token) => usable.tokenIds.includes(token.id) && suffices(token)).map(toOwnerView),
    password: usable.password,
  });
}
