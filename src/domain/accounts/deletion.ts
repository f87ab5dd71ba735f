/** Deleting accounts. */
import type { App } from '../../app/app.js';
import { acquireLock } from '../../database/locks.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { deleteUserRow, lockUser } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { requireProof } from '../authentication/password.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { NotFoundError } from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';
import { requireOtherSuperuser } from './superusers.js';

/**
 * Deletes the caller, or another user by id.
 * @throws {ValidationError} `LAST_SUPERUSER`
 * @throws {InvalidCredentialsError} see {@link requireProof}
 * @throws {TimeoutError} see {@link requireProof}
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
  if (self) await requireProof(app, actor, currentPassword);
  else requirePermission(actor, 'identity.delete_user');
  const targetId = self ? viewer.user.id : id;
  if (!isId(targetId)) throw new NotFoundError();
  await transact(app, actor, async (tx) => {
    await acquireLock(tx, 'superusers');
    const user = await lockUser(tx, targetId);
    if (user === undefined) throw new NotFoundError();
    await requireOtherSuperuser(tx, user, null);
    await voidOneTimePasswords(tx, targetId);
    const revokedCount = await markSessionsRevoked(tx, targetId);
    await deleteUserRow(tx, targetId);
    emit(tx, { type: 'user-deleted', user });
    emitRevocations(tx, { userId: targetId, count: revokedCount, reason: 'user deleted' });
  });
  return { id: targetId };
}
