/** Changes identifiers, activation and roles of an account. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { findSecurityTokens, moveLapsedAddressesOf } from '../../database/security-tokens.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { lockUser, type User, updateUserRow } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { type ProofNeed, requireFreshProof, requireRecentOrPassword } from '../authentication/re-authentication.js';
import { issueVerification } from '../authentication/send-one-time-password.js';
import { hasVerifiedAddress, isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { hasPermission, isWithinReach, type Permission } from '../authorization/permissions.js';
import { ForbiddenError, NotFoundError, throwIfInvalid, type ValidationIssue } from '../errors.js';
import { emit, emitRevocations } from '../events/events.js';
import { addressKinds, identifierKinds } from '../identifiers.js';
import { reserveAgain } from '../ownership/verification.js';
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
 * Changes the caller, or another user by id. A new address stays pending until it is verified; its
 * code is sent at once.
 * @throws {ValidationError} with the issues of all fields
 * @throws {InvalidCredentialsError} see {@link requireFreshProof}
 * @throws {TimeoutError} see {@link requireFreshProof}; over the identifier changes of a client
 * @throws {StepUpRequiredError} without fresh proof for an own address; without recent
 * authentication for an own username and for other users
 * @throws {LastCredentialError} see {@link applyIdentifiers}
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
  const changes = identifiers.size > 0 || Object.keys(flags).length > 0;
  if (self) await requireOwnProof(app, actor, currentPassword, identifiers);
  else if (changes) await requireRecentOrPassword(app, actor, currentPassword);

  const targetId = self ? viewer.user.id : id;
  if (!isId(targetId)) throw new NotFoundError();
  const claimed = [...identifiers.values()].filter((identifier) => identifier !== null);
  if (claimed.length > 0 && !hasPermission(viewer.user, 'identity.change_user'))
    await limitIdentifierChanges(app, actor.client);
  const change = async (tx: Database) => {
    const before = await lockUser(tx, targetId);
    if (before === undefined || (!self && !isWithinReach(viewer.user, before))) throw new NotFoundError();
    requireVerified(before, flags);
    const revokedCount = await applyFlags(tx, before, flags);
    const { user, pendingTokenIds } = await applyIdentifiers(app, tx, before, identifiers);
    const sends = [];
    for (const tokenId of self ? pendingTokenIds : [])
      sends.push(await issueVerification(app, tx, actor, { userId: targetId, tokenId }));
    emitChanges(tx, before, user);
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'deactivated' });
    return { user, sends };
  };
  const lock = self ? undefined : 'superusers';
  const { user, sends } = await claimIdentifiers(app, actor, { identifiers: claimed, ownId: targetId, lock }, change);
  for (const send of sends) app.inBackground(send());
  return { user };
}

/** Requires what changes of the caller's own identifiers need. */
async function requireOwnProof(
  app: App,
  actor: Actor,
  currentPassword: string | null,
  changes: IdentifierChanges,
): Promise<void> {
  const { user } = requireViewer(actor);
  const addresses = addressKinds.filter((kind) => changes.has(kind));
  if (addresses.length > 0) {
    const tokens = await findSecurityTokens(app.db, { userId: user.id });
    const needs = addresses.map((kind): ProofNeed => {
      const verifiedAt = tokens.find((token) => token.kind === kind && !token.pending)?.verifiedAt ?? null;
      return verifiedAt === null ? 'addition' : { verifiedAt };
    });
    return requireFreshProof(app, actor, currentPassword, needs);
  }
  if (changes.size === 0) return;
  // Without an address, the username is part of the only way to sign in.
  if (user.email === null && user.phone === null) return requireFreshProof(app, actor, currentPassword, ['addition']);
  await requireRecentOrPassword(app, actor, currentPassword);
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
    if (before[role] !== user[role]) emit(tx, { type: 'role-changed', before, role, granted: user[role] });
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
 * @throws {ValidationError} `NOT_VERIFIED` for a new role of an account without a verified address,
 * or with an address that waits for verification
 */
function requireVerified(user: User, flags: Flags): void {
  if (hasVerifiedAddress(user) && user.pendingEmail === null && user.pendingPhone === null) return;
  const granted = changedFlags(user, flags).filter((field) => field !== 'isActive' && flags[field]);
  throwIfInvalid(granted.map((field) => ({ field, code: 'NOT_VERIFIED', message: notVerified })));
}

const notVerified = 'A role needs a verified address, and none that waits for verification.';

function changedFlags(user: User, flags: Flags): (typeof flagFields)[number][] {
  return flagFields.filter((field) => flags[field] !== undefined && flags[field] !== user[field]);
}

/**
 * Writes changed flags. The caller holds the lock `superusers`. An import may grant roles to
 * accounts without a verified address, because an operator makes it.
 * @returns how many sessions were revoked
 * @throws {ValidationError} `LAST_SUPERUSER`
 */
export async function applyFlags(tx: Database, user: User, flags: Flags): Promise<number> {
  if (changedFlags(user, flags).length === 0) return 0;
  const after = { ...user, ...flags };
  if (!after.isActive || !after.isSuperuser)
    await requireOtherSuperuser(tx, user, after.isActive ? 'isSuperuser' : 'isActive');
  await updateUserRow(tx, user.id, flags);
  await voidOneTimePasswords(tx, user.id);
  // An inactive account without an owner reserves nothing.
  await moveLapsedAddressesOf(tx, user.id);
  if (!user.isActive) await reserveAgain(tx, after);
  return after.isActive ? 0 : markSessionsRevoked(tx, user.id);
}
