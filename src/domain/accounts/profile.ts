/** Changes identifiers, activation and roles of an account. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { acquireLock } from '../../database/locks.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { getUser, lockUser, type User, updateUserRow } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { requireProof } from '../authentication/password.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { hasPermission, isWithinReach, type Permission } from '../authorization/permissions.js';
import { ForbiddenError, NotFoundError, throwIfInvalid, type ValidationIssue } from '../errors.js';
import { emit, emitRevocations } from '../events/events.js';
import { identifierKinds } from '../identifiers.js';
import { limitIdentifierChanges } from '../rate-limits.js';
import { claimIdentifiers } from './claim-identifiers.js';
import { isIssue, readIdentifier } from './identifier-input.js';
import { applyIdentifiers, type IdentifierChanges } from './identifiers.js';
import { requireOtherSuperuser } from './superusers.js';

/** An absent field stays unchanged; null removes an identifier. */
export interface UserChanges {
  username?: string | null | undefined;
  email?: string | null | undefined;
  phone?: string | null | undefined;
  isActive?: boolean | null | undefined;
  isStaff?: boolean | null | undefined;
  isSuperuser?: boolean | null | undefined;
}

/** Permission to change a field of another user. */
const permissionByField: Record<keyof UserChanges, Permission> = {
  username: 'identity.change_user',
  email: 'identity.change_user',
  phone: 'identity.change_user',
  isActive: 'identity.change_user_activation',
  isStaff: 'identity.change_user_roles',
  isSuperuser: 'identity.change_user_roles',
};

const flagFields = ['isActive', 'isStaff', 'isSuperuser'] as const;

type Flags = Partial<Record<(typeof flagFields)[number], boolean>>;

/**
 * Changes the caller, or another user by id. A new address stays pending while the current one
 * is verified; it replaces an unverified one at once.
 * @throws {ValidationError} with the issues of all fields
 * @throws {InvalidCredentialsError} see {@link requireProof}
 * @throws {TimeoutError} see {@link requireProof}; also over the identifier changes of a client
 * @throws {NotFoundError} if the user is absent or out of the caller's reach
 * @throws {ForbiddenError} if the caller's role never allows the change
 */
export async function updateUser(
  app: App,
  actor: Actor,
  { id, input, currentPassword }: { id: string | null; input: UserChanges; currentPassword: string | null },
): Promise<{ user: User }> {
  const viewer = requireViewer(actor);
  const self = id === null || id.toLowerCase() === viewer.user.id;
  const pickPresent = <Field extends keyof UserChanges>(fields: readonly Field[]) =>
    fields.filter((field) => input[field] !== undefined);
  if (self && pickPresent(flagFields).length > 0)
    throw new ForbiddenError("You can't change your own status or roles.");
  if (!self) requirePermissionsFor(actor, pickPresent([...identifierKinds, ...flagFields]));
  const { flags, identifiers } = readChanges(app, input);
  if (self && identifiers.size > 0) await requireProof(app, actor, currentPassword);

  const targetId = self ? viewer.user.id : id;
  if (!isId(targetId)) throw new NotFoundError();
  const claimed = [...identifiers.values()].filter((identifier) => identifier !== null);
  if (claimed.length > 0 && !hasPermission(viewer.user, 'identity.change_user'))
    await limitIdentifierChanges(app, actor.client);
  const change = async (tx: Database) => {
    if (Object.keys(flags).length > 0) await acquireLock(tx, 'superusers');
    const before = await lockUser(tx, targetId);
    if (before === undefined || (!self && !isWithinReach(viewer.user, before))) throw new NotFoundError();
    const revokedCount = await applyFlags(tx, before, flags);
    await applyIdentifiers(app, tx, before, identifiers);
    const user = await getUser(tx, targetId);
    emitChanges(tx, before, user);
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'deactivated' });
    return { user };
  };
  return claimIdentifiers(app, actor, { identifiers: claimed, ownId: targetId }, change);
}

/** Emits the changes of identifiers and flags. */
function emitChanges(tx: Database, before: User, user: User): void {
  const { id: userId } = user;
  const fields = (['username', 'email', 'phone', 'pendingEmail', 'pendingPhone'] as const).filter(
    (field) => before[field] !== user[field],
  );
  if (fields.length > 0) emit(tx, { type: 'identifiers-changed', fields, before, user });
  if (before.isActive !== user.isActive) emit(tx, { type: 'activation-changed', userId, isActive: user.isActive });
  for (const role of ['isStaff', 'isSuperuser'] as const)
    if (before[role] !== user[role]) emit(tx, { type: 'role-changed', userId, role, granted: user[role] });
}

/**
 * An empty change requires permission to view the user, because the response contains them.
 * @throws {ForbiddenError}
 */
function requirePermissionsFor(actor: Actor, fields: (keyof UserChanges)[]): void {
  requirePermission(actor, 'identity.view_user');
  for (const field of fields) requirePermission(actor, permissionByField[field]);
}

/** @throws {ValidationError} with the issues of all fields */
function readChanges(app: App, input: UserChanges): { flags: Flags; identifiers: IdentifierChanges } {
  const issues: ValidationIssue[] = [];
  const flags: Flags = {};
  for (const field of flagFields) {
    const value = input[field];
    if (value === null) issues.push({ field, code: 'INVALID', message: `${field} must be true or false.` });
    else if (value !== undefined) flags[field] = value;
  }
  const identifiers: IdentifierChanges = new Map();
  for (const field of identifierKinds) {
    const text = input[field];
    if (text === undefined) continue;
    const read = text === null ? null : readIdentifier(app, field, text);
    if (read !== null && isIssue(read)) issues.push(read);
    else identifiers.set(field, read);
  }
  throwIfInvalid(issues);
  return { flags, identifiers };
}

/**
 * Writes changed flags. The caller holds the lock `superusers`.
 * @returns how many sessions were revoked
 */
export async function applyFlags(tx: Database, user: User, flags: Flags): Promise<number> {
  const changed = flagFields.filter((field) => flags[field] !== undefined && flags[field] !== user[field]);
  if (changed.length === 0) return 0;
  const after = { ...user, ...flags };
  if (!after.isActive || !after.isSuperuser)
    await requireOtherSuperuser(tx, user, after.isActive ? 'isSuperuser' : 'isActive');
  await updateUserRow(tx, user.id, flags);
  await voidOneTimePasswords(tx, user.id);
  return after.isActive ? 0 : markSessionsRevoked(tx, user.id);
}
