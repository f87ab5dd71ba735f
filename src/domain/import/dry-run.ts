/** Dry run: reports what {@link importBatch} would do, without writing. */
import type { Database } from '../../database/database.js';
import { findHolders, type IdentifierClaim, recordDryRunClaims } from '../../database/import.queries.js';
import { type IdentifierKind, identifierKinds } from '../identifiers.js';
import { takenProblem, toClaim } from './collisions.js';
import type { Candidate } from './imported-user.js';
import { type Ids, type ImportRun, reportProblem, sortBatch } from './run.js';

interface DryRunEntry {
  candidate: Candidate;
  fields: IdentifierKind[];
  /** changed parts; null for a new user */
  changed: readonly string[] | null;
}

/** Reports what would happen to a batch. Identifiers of earlier batches count as taken. */
export async function dryRunBatch(run: ImportRun, tx: Database, batch: Candidate[]): Promise<Ids> {
  const { app, options, summary } = run;
  const sorted = await sortBatch(tx, batch);
  const entries: DryRunEntry[] = [
    ...sorted.changed.map((candidate) => ({ candidate, changed: candidate.changed })),
    ...sorted.newUsers.map((candidate) => ({ candidate, changed: null })),
  ].map(({ candidate, changed }) => ({
    candidate,
    changed,
    fields: identifierKinds.filter(
      (field) => candidate.identifiers[field] !== undefined && (changed?.includes(field) ?? true),
    ),
  }));
  const holders = await findOthers(run, tx, entries);
  for (const { candidate, fields, changed } of entries) {
    const getHolder = (field: IdentifierKind) =>
      holders.get(toClaimKey(candidate.importedId, toClaim(app, candidate, field)));
    const conflicting: IdentifierKind[] = [];
    for (const field of fields) {
      const holder = getHolder(field);
      if (holder === undefined) continue;
      conflicting.push(field);
      reportProblem(run, takenProblem(candidate, field, holder, options.source));
    }
    if (changed === null) summary[fields.length > conflicting.length ? 'created' : 'notTaken'] += 1;
    else summary[changed.some((part) => !conflicting.some((field) => field === part)) ? 'updated' : 'unchanged'] += 1;
  }
  summary.unchanged += batch.length - entries.length;
  return [];
}

/** Returns the other holder of each claim, or the earlier row that would hold it. */
async function findOthers(
  { app }: ImportRun,
  tx: Database,
  entries: DryRunEntry[],
): Promise<Map<string, { importedId: string | null }>> {
  const claims = entries.flatMap(({ candidate, fields }) =>
    fields.map((field) => ({ ...toClaim(app, candidate, field), importedId: candidate.importedId })),
  );
  const holders = new Map<string, { importedId: string | null }>();
  for (const { importedId, holder, ...claim } of await recordDryRunClaims(tx, claims))
    holders.set(toClaimKey(importedId, claim), { importedId: holder });
  const current = new Map((await findHolders(tx, claims)).map((held) => [toClaimKey('', held), held]));
  for (const { importedId, ...claim } of claims) {
    const held = current.get(toClaimKey('', claim));
    if (held !== undefined && held.importedId !== importedId) holders.set(toClaimKey(importedId, claim), held);
  }
  return holders;
}

function toClaimKey(importedId: string, { kind, key }: IdentifierClaim): string {
  return `${kind} ${key} ${importedId}`;
}
