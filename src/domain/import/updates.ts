/** Re-imports a changed user. The source wins where both sides changed. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { addFailures } from '../../database/import.queries.js';
import { acquireLock } from '../../database/locks.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import {
  deleteSecurityToken,
  insertSecurityTokens,
  markVerified,
  updateTokenAddress,
} from '../../database/security-tokens.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { addressColumns, lockUser, type User, updateUserRow } from '../../database/users.queries.js';
import { claimIdentifiers } from '../accounts/claim-identifiers.js';
import { applyFlags } from '../accounts/profile.js';
import { authenticators, computeTokenId } from '../authenticators/registry.js';
import { ValidationError } from '../errors.js';
import { emitRevocations } from '../events/events.js';
import { type AddressKind, type Identifier, type IdentifierKind, identifierKinds } from '../identifiers.js';
import { describeTaken, findConflictingFields, takenFields } from './collisions.js';
import {
  type ChangedUser,
  changedParts,
  type ImportProblem,
  toImportedAddress,
  withoutParts,
} from './imported-user.js';

/** @returns whether the user changed, and the problems */
export async function updateImported(
  app: App,
  changedUser: ChangedUser,
  source: string,
): Promise<{ updated: boolean; problems: ImportProblem[] }> {
  const problems: ImportProblem[] = [];
  const conflicting: IdentifierKind[] = [];
  const recordConflicts = async (fields: IdentifierKind[]) => {
    for (const field of fields) {
      problems.push(await describeTaken(app, changedUser, field, source));
      conflicting.push(field);
    }
  };
  await recordConflicts(
    (await findConflictingFields(app, changedUser, source)).filter((field) => changedUser.changed.includes(field)),
  );
  for (;;) {
    const digests = withoutParts(changedUser.digests, conflicting);
    const parts = new Set<string>(changedParts(changedUser.before, digests));
    if (parts.size === 0) return { updated: false, problems };
    const wanted = identifierKinds.filter((field) => parts.has(field) && !conflicting.includes(field));
    const claims = wanted.flatMap((field) => changedUser.identifiers[field] ?? []);
    try {
      const { userId } = changedUser;
      const change = async (tx: Database) => {
        const { problem, revokedCount } = await applyChange(app, tx, changedUser, { parts, wanted, digests });
        emitRevocations(tx, { userId, count: revokedCount, reason: 'changed by an import' });
        return problem;
      };
      const problem = await claimIdentifiers(app, null, { identifiers: claims, ownId: userId }, change);
      return { updated: true, problems: problem === null ? problems : [...problems, problem] };
    } catch (error) {
      await recordConflicts(takenFields(error));
    }
  }
}

async function applyChange(
  app: App,
  tx: Database,
  changedUser: ChangedUser,
  { parts, wanted, digests }: { parts: Set<string>; wanted: IdentifierKind[]; digests: Buffer },
): Promise<{ problem: ImportProblem | null; revokedCount: number }> {
  const { user, userId, identifiers } = changedUser;
  if (parts.has('flags')) await acquireLock(tx, 'superusers');
  const before = await lockUser(tx, userId);
  // Deleted since the look-up: the next import inserts the user again.
  if (before === undefined) return { problem: null, revokedCount: 0 };

  const columns: Partial<User> = { importedDigests: digests };
  for (const field of keepsIdentifier(before, changedUser, wanted) ? wanted : []) {
    const identifier = identifiers[field] ?? null;
    // An identifier that is invalid here leaves the current one.
    if (identifier === null && user[field] !== null) continue;
    if (field === 'username')
      Object.assign(columns, { username: identifier?.value ?? null, usernameKey: identifier?.key ?? null });
    else Object.assign(columns, await replaceAddress(app, tx, before, { kind: field, address: identifier }));
  }
  if (parts.has('password')) columns.passwordHash = user.passwordHash;
  if (user.dateJoined !== null && parts.has('dateJoined')) columns.dateJoined = user.dateJoined;
  if (user.lastLogin !== null && (before.lastLogin === null || before.lastLogin < user.lastLogin))
    columns.lastLogin = user.lastLogin;
  await updateUserRow(tx, userId, columns);
  for (const kind of ['email', 'phone'] as const)
    if (parts.has(kind) || parts.has(`${kind}State`))
      await applyState(app, tx, changedUser, { kind, after: { ...before, ...columns } });

  let revokedCount = 0;
  if (parts.has('password')) {
    await voidOneTimePasswords(tx, userId);
    revokedCount += await markSessionsRevoked(tx, userId);
  }
  if (!parts.has('flags')) return { problem: null, revokedCount };
  const flags = await applyImportedFlags(tx, before, changedUser);
  return { problem: flags.problem, revokedCount: revokedCount + flags.revokedCount };
}

/** @returns the number of revoked sessions; the problem if this is the last superuser */
async function applyImportedFlags(
  tx: Database,
  before: User,
  { user }: ChangedUser,
): Promise<{ problem: ImportProblem | null; revokedCount: number }> {
  const { id, isActive, isStaff, isSuperuser } = user;
  try {
    return { problem: null, revokedCount: await applyFlags(tx, before, { isActive, isStaff, isSuperuser }) };
  } catch (error) {
    // Thrown before anything is written.
    const [issue] = error instanceof ValidationError ? error.issues : [];
    if (issue === undefined) throw error;
    const { field, code, message } = issue;
    return { problem: { id, field, code, message }, revokedCount: 0 };
  }
}

/** Whether the user keeps an identifier after the change. */
function keepsIdentifier(before: User, { user, identifiers }: ChangedUser, wanted: IdentifierKind[]): boolean {
  return identifierKinds.some((field) =>
    wanted.includes(field) && (identifiers[field] !== undefined || user[field] === null)
      ? identifiers[field] !== undefined
      : before[field] !== null,
  );
}

/** @returns columns to write to the user */
async function replaceAddress(
  app: App,
  tx: Database,
  before: User,
  { kind, address }: { kind: AddressKind; address: Identifier | null },
): Promise<Partial<User>> {
  const columns = addressColumns(kind, address);
  const { key: currentKey } = authenticators[kind].getAddresses(before);
  if (address !== null && address.key === currentKey) {
    await updateTokenAddress(tx, computeTokenId(app, { kind, key: address.key }), address.value);
    return columns;
  }
  await deleteSecurityToken(tx, before.id, kind);
  await voidOneTimePasswords(tx, before.id);
  if (address === null) return columns;
  const id = computeTokenId(app, { kind, key: address.key });
  const { id: userId } = before;
  await insertSecurityTokens(tx, [{ id, userId, kind, address: address.value }]);
  return columns;
}

/** Applies verification and failures to an unchanged address. Never removes a verification. */
async function applyState(
  app: App,
  tx: Database,
  changedUser: ChangedUser,
  { kind, after }: { kind: AddressKind; after: User },
): Promise<void> {
  const address = changedUser.identifiers[kind];
  if (address === undefined || address.key !== authenticators[kind].getAddresses(after).key) return;
  const state = toImportedAddress(app, changedUser.user, kind, address);
  if (state.verified) await markVerified(tx, state.tokenId, after.id);
  await addFailures(tx, [state]);
}
