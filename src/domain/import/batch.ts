/** Imports batches: changed users first, then new users, then users with conflicts one by one. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import {
  findImported,
  findPendingTokenIds,
  type Holder,
  type ImportedRow,
  insertImported,
  insertImportedWherePossible,
  updateImportedLastLogins,
} from '../../database/import.queries.js';
import { acquireLock } from '../../database/locks.js';
import { moveLapsedAddresses } from '../../database/security-tokens.queries.js';
import { claimIdentifiers, throwIfTaken } from '../accounts/claim-identifiers.js';
import { transact } from '../events/events.js';
import type { AddressKind, Identifier, IdentifierKind } from '../identifiers.js';
import { byField, claimEndedProblem, describeTaken, endUnverifiedClaims, takenFields } from './collisions.js';
import { type Candidate, type ImportProblem, toImportedRow, withoutParts } from './imported-user.js';
import { type Ids, type ImportRun, reportProblem, retryTransient, sortBatch } from './run.js';
import { updateImported } from './updates.js';

/** Imports a batch. Updates changed users first, so that identifiers they gave up are free. */
export async function importBatch(run: ImportRun, batch: Candidate[]): Promise<Ids> {
  const { app, options, summary } = run;
  const { newUsers, changed, ids } = await retryTransient(app, () => sortBatch(app.db, batch));
  summary.unchanged += batch.length - newUsers.length - changed.length;
  // Often many: every user who has signed in to the source since.
  const signedIn = changed.filter(isSignInOnly);
  for (const changedUser of changed.filter((user) => !isSignInOnly(user))) {
    const { updated, problems } = await retryTransient(app, () => updateImported(app, changedUser, options.source));
    for (const problem of problems) reportProblem(run, problem);
    summary[updated ? 'updated' : 'unchanged'] += 1;
  }
  await retryTransient(app, () => updateImportedLastLogins(app.db, signedIn));
  summary.updated += signedIn.length;
  return newUsers.length === 0 ? ids : [...ids, ...(await insertNew(run, newUsers))];
}

interface NewUser {
  candidate: Candidate;
  row: ImportedRow;
}

async function insertNew(run: ImportRun, newUsers: Candidate[]): Promise<Ids> {
  const { app, summary } = run;
  const named = newUsers.filter(({ identifiers }) => Object.keys(identifiers).length > 0);
  const rows = named.map((candidate) => ({ candidate, row: toImportedRow(app, candidate) }));
  const insert = (tx: Database) => insertWherePossible(tx, leaveOutRepeated(rows));
  const inserted = await retryTransient(app, () => transact(app, null, insert));
  summary.created += inserted.size;
  summary.notTaken += newUsers.length - named.length;
  const ids: Ids = [];
  for (const { candidate, row } of rows) {
    const ended = inserted.get(row.id);
    for (const { field, loser } of ended ?? [])
      reportProblem(run, claimEndedProblem(candidate, field, loser, run.options.source));
    const newId = ended === undefined ? await insertOne(run, candidate) : row.id;
    if (newId !== null) ids.push([candidate.user.id, newId]);
  }
  return ids;
}

/** Leaves out users who share an identifier with an earlier one, who must be inserted first. */
function leaveOutRepeated(rows: NewUser[]): NewUser[] {
  const seen = new Set<string>();
  return rows.filter(({ candidate }) => {
    const keys = Object.values(candidate.identifiers).map(({ kind, key }) => `${kind} ${key}`);
    const isRepeated = keys.some((key) => seen.has(key));
    for (const key of keys) seen.add(key);
    return !isRepeated;
  });
}

/** An address of a new user, and the account that lost it to them. */
interface EndedClaim {
  field: AddressKind;
  loser: Holder;
}

/**
 * Inserts the users whose identifiers are free. A pending claim of another account does not count.
 * @returns the claims that each inserted user ended, by their new id
 */
async function insertWherePossible(tx: Database, rows: NewUser[]): Promise<Map<string, EndedClaim[]>> {
  // Concurrent imports wait here instead of deadlocking on rows.
  await acquireLock(tx, 'imports');
  const inserted = await insertImportedWherePossible(
    tx,
    rows.map(({ row }) => row),
  );
  const ended = new Map<string, EndedClaim[]>([...inserted].map((id) => [id, []]));
  const verified = rows.flatMap(({ row }) => (inserted.has(row.id) ? verifiedAddresses(row) : []));
  const claimed = await findPendingTokenIds(
    tx,
    verified.map(({ tokenId }) => tokenId),
  );
  for (const address of verified.filter(({ tokenId }) => claimed.has(tokenId)))
    ended.get(address.userId)?.push(...(await endClaims(tx, address)));
  return ended;
}

function verifiedAddresses({ id: userId, addresses }: ImportedRow) {
  return addresses.flatMap(({ tokenId, kind, state }) => (state === 'verified' ? [{ tokenId, kind, userId }] : []));
}

async function endClaims(tx: Database, address: ReturnType<typeof verifiedAddresses>[number]): Promise<EndedClaim[]> {
  return (await endUnverifiedClaims(tx, address)).map((loser) => ({ field: address.kind, loser }));
}

/**
 * Inserts a user without the identifiers that other users hold.
 * @returns the new id; null if no identifier remains
 */
async function insertOne(run: ImportRun, candidate: Candidate): Promise<string | null> {
  const { app, options, summary } = run;
  const remaining = { ...candidate.identifiers };
  const conflicting: IdentifierKind[] = [];
  const taken: ImportProblem[] = [];
  const report = (ended: EndedClaim[]) => {
    for (const problem of byField(taken)) reportProblem(run, problem);
    for (const { field, loser } of ended)
      reportProblem(run, claimEndedProblem(candidate, field, loser, options.source));
  };
  while (Object.keys(remaining).length > 0) {
    const row = toImportedRow(app, {
      ...candidate,
      identifiers: remaining,
      digests: withoutParts(candidate.digests, conflicting),
    });
    const identifiers = Object.values(remaining);
    try {
      const { existing, ended } = await retryTransient(app, () =>
        claimIdentifiers(app, null, { identifiers }, (tx) => insertUnlessImported(app, tx, row, identifiers)),
      );
      report(ended);
      summary[existing === undefined ? 'created' : 'unchanged'] += 1;
      return existing?.userId ?? row.id;
    } catch (error) {
      for (const field of takenFields(error)) {
        taken.push(await describeTaken(app, candidate, field, options.source));
        delete remaining[field];
        conflicting.push(field);
      }
    }
  }
  report([]);
  summary.notTaken += 1;
  return null;
}

/** @throws {ValidationError} `TAKEN` for each identifier of another user */
async function insertUnlessImported(app: App, tx: Database, row: ImportedRow, identifiers: Identifier[]) {
  await acquireLock(tx, 'imports');
  // A concurrent import may have inserted this user.
  const existing = (await findImported(tx, [row.importedId])).get(row.importedId);
  const ended: EndedClaim[] = [];
  if (existing !== undefined) return { existing, ended };
  await moveLapsedAddresses(
    tx,
    row.addresses.map(({ tokenId }) => tokenId),
  );
  for (const address of verifiedAddresses(row)) ended.push(...(await endClaims(tx, address)));
  await throwIfTaken(app, tx, identifiers, row.id);
  await insertImported(tx, row);
  return { existing, ended };
}

function isSignInOnly({ changed }: { changed: string[] }): boolean {
  return changed.length === 1 && changed[0] === 'lastLogin';
}
