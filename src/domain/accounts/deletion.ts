/** Deleting accounts. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { findSecurityTokens } from '../../database/security-tokens.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { deleteUserRow, lockUser } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { type ProofNeed, requireFreshProof, requireRecentOrPassword } from '../authentication/re-authentication.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { NotFoundError } from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import { requireOtherSuperuser } from './superusers.js';

/**
 * Deletes the caller, or another user by id.
 * @throws {ValidationError} `LAST_SUPERUSER`
 * @throws {InvalidCredentialsError} see {@link requireFreshProof}
 * @throws {TimeoutError} see {@link requireFreshProof}
 * @throws {StepUpRequiredError} without fresh proof for every own address; without recent
 * authentication for another user
 * @throws {NotFoundError}
 * @throws {ForbiddenError} if a caller who is not a superuser deletes another user
 */
export async function deleteUser(
  app: App,
  actor: Actor,
  id: string | null,
  currentPassword: string | null,
): Promise<{ id: string }> {
  const viewer = requireViewer(actor);
  const self = id === null || id.toLowerCase() === viewer.user.id;
  if (self) await requireFreshProof(app, actor, currentPassword, await findDeletionNeeds(app, viewer.user.id));
  else {
    requirePermission(actor, 'identity.delete_user');
    await requireRecentOrPassword(app, actor, currentPassword);
  }
  const targetId = self ? viewer.user.id : id;
  if (!isId(targetId)) throw new NotFoundError();
  const remove = async (tx: Database) => {
    const user = await lockUser(tx, targetId);
    if (user === undefined) throw new NotFoundError();
    await requireOtherSuperuser(tx, user, null);
    await voidOneTimePasswords(tx, targetId);
    const revokedCount = await markSessionsRevoked(tx, targetId);
    await deleteUserRow(tx, targetId);
    emit(tx, { type: 'user-deleted', user });
    emitRevocations(tx, { userId: targetId, count: revokedCount, reason: 'user deleted' });
  };
  await transact(app, actor, remove, { lock: 'superusers' });
  return { id: targetId };
}

/** Deletion removes every address, so a code must prove the one that was verified first. */
async function findDeletionNeeds(app: App, userId: string): Promise<ProofNeed[]> {
  const tokens = await findSecurityTokens(app.db, { userId });
  return ['addition', ...tokens.flatMap(({ verifiedAt }) => (verifiedAt === null ? [] : [{ verifiedAt }]))];
}
