/** Taking a batch of users: those who have changed, those who are new, and singly those who collide. */
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

/** Takes a batch: first what has changed, so that a name that somebody has given up there is free. */
export async function importBatch(run: ImportRun, batch: Candidate[]): Promise<Ids> {
  const { app, options, summary } = run;
  const { newUsers, changed, ids } = await retryTransient(app, () => sortBatch(app.db, batch));
  summary.unchanged += batch.length - newUsers.length - changed.length;
  // Of these there may be many: everybody who has signed in there since.
  const signedIn = changed.filter(isSignInOnly);
  for (const changedUser of changed.filter((one) => !isSignInOnly(one))) {
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
  const taken = await retryTransient(app, () =>
    app.db.transaction(async (tx) => {
      // Of two imports at once one waits, rather than that each waits for a row of the other.
      await acquireLock(tx, 'imports');
      return insertImportedWherePossible(
        tx,
        rows.map(({ row }) => row),
      );
    }),
  );
  summary.created += taken.size;
  summary.notTaken += newUsers.length - named.length;
  const ids: Ids = [];
  for (const {
    candidate,
    row: { id },
  } of rows) {
    const newId = taken.has(id) ? id : await insertOne(run, candidate);
    if (newId !== null) ids.push([candidate.user.id, newId]);
  }
  return ids;
}

/** Takes one of whom somebody has an identifier, without that one. @returns the new id; null where no identifier is left */
async function insertOne(run: ImportRun, candidate: Candidate): Promise<string | null> {
  const { app, options, summary } = run;
  const left = { ...candidate.identifiers };
  const conflicting: IdentifierKind[] = [];
  const recordConflicts = async (fields: IdentifierKind[]) => {
    for (const field of fields) {
      reportProblem(run, await describeTaken(app, candidate, field, options.source));
      delete left[field];
      conflicting.push(field);
    }
  };
  await recordConflicts(await findConflictingFields(app, candidate, options.source));
  while (Object.keys(left).length > 0) {
    const row = toImportedRow(app, {
      ...candidate,
      identifiers: left,
      digests: withoutParts(candidate.digests, conflicting),
    });
    const insert = async (tx: Database) => {
      await acquireLock(tx, 'imports');
      // Another import may have been quicker.
      const other = (await findImported(tx, [row.importedId])).get(row.importedId);
      if (other === undefined) await insertImported(tx, row);
      return other;
    };
    try {
      const other = await retryTransient(app, () =>
        claimIdentifiers(app, null, { identifiers: Object.values(left) }, insert),
      );
      summary[other === undefined ? 'created' : 'unchanged'] += 1;
      return other?.userId ?? row.id;
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
