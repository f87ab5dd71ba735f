/** Re-imports a changed user. The source wins where both sides changed. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { acquireLock } from '../../database/locks.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { markSessionsRevoked } from '../../database/sessions.queries.js';
import { getUser, lockUser, type User, updatePassword, updateUserRow } from '../../database/users.queries.js';
import { claimIdentifiers, throwIfTaken } from '../accounts/claim-identifiers.js';
import { applyFlags } from '../accounts/profile.js';
import { ValidationError } from '../errors.js';
import { emitRevocations } from '../events/events.js';
import { addressKinds, type IdentifierKind, identifierKinds } from '../identifiers.js';
import { writeIdentifiers } from '../ownership/verification.js';
import { applyAddress, removeAddress } from './addresses.js';
import { byField, claimEndedProblem, describeTaken, takenFields } from './collisions.js';
import {
  type ChangedUser,
  changedParts,
  type ImportProblem,
  isVouchedFor,
  toAddress,
  withoutParts,
} from './imported-user.js';

/** A change of one user, and where to report it. */
interface Change {
  changedUser: ChangedUser;
  source: string;
  digests: Buffer;
  /** the parts that changed in the source */
  parts: Set<string>;
  /** changed identifiers that no other user holds */
  wanted: IdentifierKind[];
  /** identifiers that other users hold */
  conflicting: IdentifierKind[];
}

/** @returns whether the user changed, and the problems */
export async function updateImported(
  app: App,
  changedUser: ChangedUser,
  source: string,
): Promise<{ updated: boolean; problems: ImportProblem[] }> {
  const taken: ImportProblem[] = [];
  const conflicting: IdentifierKind[] = [];
  for (;;) {
    const digests = withoutParts(changedUser.digests, conflicting);
    const parts = new Set<string>(changedParts(changedUser.before, digests));
    if (parts.size === 0) return { updated: false, problems: byField(taken) };
    const wanted = identifierKinds.filter((field) => parts.has(field) && !conflicting.includes(field));
    const { userId, identifiers } = changedUser;
    const claimed = identifierKinds.filter((field) => parts.has(field) || parts.has(`${field}State`));
    const claims = claimed.flatMap((field) => (conflicting.includes(field) ? [] : (identifiers[field] ?? [])));
    try {
      const change = { changedUser, source, digests, parts, wanted, conflicting };
      const work = async (tx: Database) => {
        const { problems, revokedCount } = await applyChange(app, tx, change);
        emitRevocations(tx, { userId, count: revokedCount, reason: 'changed by an import' });
        return problems;
      };
      const problems = await claimIdentifiers(app, null, { identifiers: claims, ownId: userId }, work);
      return { updated: true, problems: [...byField(taken), ...problems] };
    } catch (error) {
      for (const field of takenFields(error)) {
        taken.push(await describeTaken(app, changedUser, field, source));
        conflicting.push(field);
      }
    }
  }
}

async function applyChange(
  app: App,
  tx: Database,
  change: Change,
): Promise<{ problems: ImportProblem[]; revokedCount: number }> {
  const { changedUser, parts, digests } = change;
  const { user, userId } = changedUser;
  if (parts.has('flags')) await acquireLock(tx, 'superusers');
  const before = await lockUser(tx, userId);
  // Deleted since the look-up: the next import inserts the user again.
  if (before === undefined) return { problems: [], revokedCount: 0 };

  const columns: Partial<User> = { importedDigests: digests };
  if (user.dateJoined !== null && parts.has('dateJoined')) columns.dateJoined = user.dateJoined;
  if (user.lastLogin !== null && (before.lastLogin === null || before.lastLogin < user.lastLogin))
    columns.lastLogin = user.lastLogin;
  await updateUserRow(tx, userId, columns);
  const problems = await applyIdentifiers(app, tx, before, change);

  let revokedCount = 0;
  if (parts.has('password')) {
    await updatePassword(tx, userId, user.passwordHash);
    await voidOneTimePasswords(tx, userId);
    revokedCount += await markSessionsRevoked(tx, userId);
  }
  if (!parts.has('flags')) return { problems, revokedCount };
  const flags = await applyImportedFlags(tx, before, changedUser);
  return { problems: [...problems, ...flags.problems], revokedCount: revokedCount + flags.revokedCount };
}

/** @returns the claims of other accounts that ended */
async function applyIdentifiers(app: App, tx: Database, before: User, change: Change): Promise<ImportProblem[]> {
  const { changedUser, parts, conflicting, source } = change;
  const { user, userId, identifiers } = changedUser;
  const wanted = keepsIdentifier(before, changedUser, change.wanted) ? change.wanted : [];
  // An identifier that is invalid here leaves the current one.
  const isRemoved = (field: IdentifierKind) => wanted.includes(field) && user[field] === null;
  const { username } = identifiers;
  if (wanted.includes('username') && username !== undefined) {
    // A violated constraint would report addresses too that this user takes over.
    await throwIfTaken(app, tx, [username], userId);
    await updateUserRow(tx, userId, { username: username.value, usernameKey: username.key });
  }
  const problems: ImportProblem[] = [];
  for (const kind of addressKinds) {
    const address = identifiers[kind];
    const replaces = wanted.includes(kind);
    if (address === undefined || conflicting.includes(kind) || !(replaces || parts.has(`${kind}State`))) continue;
    const { failures } = toAddress(app, user, kind, address);
    const verified = isVouchedFor(user, kind);
    const losers = await applyAddress(app, tx, userId, { kind, address, verified, failures, replaces });
    for (const loser of losers) problems.push(claimEndedProblem(changedUser, kind, loser, source));
  }
  // Removed last, when the identifiers that replace them are there.
  for (const kind of addressKinds.filter(isRemoved)) await removeAddress(tx, userId, kind);
  if (isRemoved('username'))
    await writeIdentifiers(tx, await getUser(tx, userId), { username: null, usernameKey: null });
  return problems;
}

/** @returns the number of revoked sessions; a problem if this is the last superuser */
async function applyImportedFlags(
  tx: Database,
  before: User,
  { user }: ChangedUser,
): Promise<{ problems: ImportProblem[]; revokedCount: number }> {
  const { id, isActive, isStaff, isSuperuser } = user;
  try {
    return { problems: [], revokedCount: await applyFlags(tx, before, { isActive, isStaff, isSuperuser }) };
  } catch (error) {
    // Thrown before anything is written.
    const [issue] = error instanceof ValidationError ? error.issues : [];
    if (issue === undefined) throw error;
    const { field, code, message } = issue;
    return { problems: [{ id, field, code, message }], revokedCount: 0 };
  }
}

/** Whether the user keeps an identifier after the change. A pending address is none. */
function keepsIdentifier(before: User, { user, identifiers }: ChangedUser, wanted: IdentifierKind[]): boolean {
  return identifierKinds.some((field) =>
    wanted.includes(field) && (identifiers[field] !== undefined || user[field] === null)
      ? identifiers[field] !== undefined
      : before[field] !== null,
  );
}
