/** Creation and protection of superusers. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { hasOtherActiveSuperuser, hasSuperuser, type User } from '../../database/users.queries.js';
import { sameBytes, sha256 } from '../../security/hmac.js';
import type { Actor } from '../actor.js';
import { requirePermission } from '../authorization/authority.js';
import { hasPermission } from '../authorization/permissions.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import { ForbiddenError, UnauthenticatedError, ValidationError } from '../errors.js';
import { emit } from '../events/events.js';
import { claimIdentifiers } from './claim-identifiers.js';
import { insertAccount, type NewAccountInput, readAccount } from './new-account.js';

/**
 * Creates a superuser, for a superuser or for the holder of the bootstrap secret.
 * @throws {ValidationError} with the issues of all fields
 * @throws {UnauthenticatedError} if the caller is not signed in and the secret is wrong or absent
 * @throws {ForbiddenError} for other callers, and for the secret if a superuser exists
 * @throws {StepUpRequiredError} for a superuser without recent authentication
 */
export async function createSuperuser(
  app: App,
  actor: Actor,
  bootstrapSecret: string | null,
  input: NewAccountInput,
): Promise<{ user: User }> {
  const holdsSecret = bootstrapSecret !== null && isBootstrapSecret(app, bootstrapSecret);
  const bootstrap = holdsSecret && !hasPermission(actor.viewer?.user, 'identity.add_superuser');
  if (!bootstrap) {
    if (actor.viewer === null && bootstrapSecret !== null)
      throw new UnauthenticatedError('The bootstrap secret is not valid.');
    requirePermission(actor, 'identity.add_superuser');
    await requireRecentAuthentication(app, actor);
  }
  return { user: await insertSuperuser(app, actor, input, bootstrap) };
}

/**
 * Inserts a superuser. The caller checks the permission.
 * @param actor null on the command line
 * @param first whether no superuser may exist yet
 */
export async function insertSuperuser(
  app: App,
  actor: Actor | null,
  input: NewAccountInput,
  first = false,
): Promise<User> {
  const { identifiers, password } = await readAccount(app, input);
  const passwordHash = password === null ? null : await app.passwords.hash(password);
  const by = actor === null ? 'command line' : first ? 'bootstrap secret' : 'by a superuser';
  return claimIdentifiers(app, actor, { identifiers, lock: 'superusers' }, async (tx) => {
    if (first && (await hasSuperuser(tx)))
      throw new ForbiddenError('The bootstrap secret has already been used: a superuser exists.');
    const user = await insertAccount(app, tx, identifiers, { passwordHash, isStaff: true, isSuperuser: true });
    emit(tx, { type: 'superuser-created', user, by });
    return user;
  });
}

/** Whether the bootstrap secret can still create a superuser. */
export async function needsBootstrap(app: App): Promise<boolean> {
  return app.bootstrapSecret !== null && !(await hasSuperuser(app.db));
}

function isBootstrapSecret({ bootstrapSecret }: App, secret: string): boolean {
  return bootstrapSecret !== null && sameBytes(sha256(secret), sha256(bootstrapSecret));
}

/**
 * Rejects a change that would leave no active superuser. The caller holds the lock `superusers`,
 * so that two superusers cannot demote each other.
 * @param field named by the issue
 * @throws {ValidationError} `LAST_SUPERUSER`
 */
export async function requireOtherSuperuser(tx: Database, user: User, field: string | null): Promise<void> {
  if (!user.isSuperuser || !user.isActive || (await hasOtherActiveSuperuser(tx, user.id))) return;
  throw new ValidationError([{ field, code: 'LAST_SUPERUSER', message: 'This is the last active superuser.' }]);
}
