/** Imports batches: changed users first, then new users, then users with conflicts one by one. */
import type { Database } from '../../database/database.js';
import {
  findImported,
  insertImported,
  insertImportedWherePossible,
  updateImportedLastLogins,
} from '../../database/import.queries.js';
import { acquireLock } from '../../database/locks.js';
import { claimIdentifiers } from '../accounts/claim-identifiers.js';
import type { IdentifierKind } from '../identifiers.js';
import { describeTaken, findConflictingFields, takenFields } from './collisions.js';
import { type Candidate, toImportedRow, withoutParts } from './imported-user.js';
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

async function insertNew(run: ImportRun, newUsers: Candidate[]): Promise<Ids> {
  const { app, summary } = run;
  const named = newUsers.filter(({ identifiers }) => Object.keys(identifiers).length > 0);
  const rows = named.map((candidate) => ({ candidate, row: toImportedRow(app, candidate) }));
  const inserted = await retryTransient(app, () =>
    app.db.transaction(async (tx) => {
      // Concurrent imports wait here instead of deadlocking on rows.
      await acquireLock(tx, 'imports');
      return insertImportedWherePossible(
        tx,
        rows.map(({ row }) => row),
      );
    }),
  );
  summary.created += inserted.size;
  summary.notTaken += newUsers.length - named.length;
  const ids: Ids = [];
  for (const {
    candidate,
    row: { id },
  } of rows) {
    const newId = inserted.has(id) ? id : await insertOne(run, candidate);
    if (newId !== null) ids.push([candidate.user.id, newId]);
  }
  return ids;
}

/**
 * Inserts a user without the identifiers that other users hold.
 * @returns the new id; null if no identifier remains
 */
async function insertOne(run: ImportRun, candidate: Candidate): Promise<string | null> {
  const { app, options, summary } = run;
  const remaining = { ...candidate.identifiers };
  const conflicting: IdentifierKind[] = [];
  const recordConflicts = async (fields: IdentifierKind[]) => {
    for (const field of fields) {
      reportProblem(run, await describeTaken(app, candidate, field, options.source));
      delete remaining[field];
      conflicting.push(field);
    }
  };
  await recordConflicts(await findConflictingFields(app, candidate, options.source));
  while (Object.keys(remaining).length > 0) {
    const row = toImportedRow(app, {
      ...candidate,
      identifiers: remaining,
      digests: withoutParts(candidate.digests, conflicting),
    });
    const insert = async (tx: Database) => {
      await acquireLock(tx, 'imports');
      // A concurrent import may have inserted this user.
      const existing = (await findImported(tx, [row.importedId])).get(row.importedId);
      if (existing === undefined) await insertImported(tx, row);
      return existing;
    };
    try {
      const existing = await retryTransient(app, () =>
        claimIdentifiers(app, null, { identifiers: Object.values(remaining) }, insert),
      );
      summary[existing === undefined ? 'created' : 'unchanged'] += 1;
      return existing?.userId ?? row.id;
    } catch (error) {
      await recordConflicts(takenFields(error));
    }
  }
  summary.notTaken += 1;
  return null;
}

function isSignInOnly({ changed }: { changed: string[] }): boolean {
  return changed.length === 1 && changed[0] === 'lastLogin';
}
