/** What would become of a batch: the same as {@link importBatch} would tell, of users whom nobody takes. */
import type { Database } from '../../database/database.js';
import { findHolders, type IdentifierClaim, recordDryRunClaims } from '../../database/import.queries.js';
import { type IdentifierKind, identifierKinds } from '../identifiers.js';
import { takenProblem, toClaim } from './collisions.js';
import type { Candidate } from './imported-user.js';
import { type Ids, type ImportRun, reportProblem, sortBatch } from './run.js';

interface DryRunEntry {
  candidate: Candidate;
  fields: IdentifierKind[];
  /** what has changed; null for one who is new */
  changed: readonly string[] | null;
}

/** Tells what would be; what the batches before this one would have got is taken. Nothing is written that anybody else sees. */
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

/** Who has or would have what is claimed, other than the claimant; null for an account that was not imported. */
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
  const here = new Map((await findHolders(tx, claims)).map((held) => [toClaimKey('', held), held]));
  for (const { importedId, ...claim } of claims) {
    const held = here.get(toClaimKey('', claim));
    if (held !== undefined && held.importedId !== importedId) holders.set(toClaimKey(importedId, claim), held);
  }
  return holders;
}

function toClaimKey(importedId: string, { kind, key }: IdentifierClaim): string {
  return `${kind} ${key} ${importedId}`;
}
