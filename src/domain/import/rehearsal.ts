/** What would become of a batch: the same as {@link takeBatch} would tell, of users whom nobody takes. */
import type { Database } from '../../database/database.js';
import { type Claim, findHolders, rehearseClaims } from '../../database/import.queries.js';
import { type IdentifierKind, identifierKinds } from '../identifiers.js';
import { claimOf, takenProblem } from './collisions.js';
import type { Candidate } from './imported-user.js';
import { type Ids, type ImportRun, sortBatch, tell } from './run.js';

interface Rehearsed {
  candidate: Candidate;
  fields: IdentifierKind[];
  /** what has changed; null for one who is new */
  changed: readonly string[] | null;
}

/** Tells what would be; what the batches before this one would have got is taken. Nothing is written that anybody else sees. */
export async function rehearseBatch(run: ImportRun, tx: Database, batch: Candidate[]): Promise<Ids> {
  const { app, options, summary } = run;
  const sorted = await sortBatch(tx, batch);
  const rehearsed: Rehearsed[] = [
    ...sorted.changed.map((candidate) => ({ candidate, changed: candidate.changed })),
    ...sorted.fresh.map((candidate) => ({ candidate, changed: null })),
  ].map(({ candidate, changed }) => ({
    candidate,
    changed,
    fields: identifierKinds.filter(
      (field) => candidate.identifiers[field] !== undefined && (changed?.includes(field) ?? true),
    ),
  }));
  const holders = await findOthers(run, tx, rehearsed);
  for (const { candidate, fields, changed } of rehearsed) {
    const holderOf = (field: IdentifierKind) =>
      holders.get(placeOf(candidate.importedId, claimOf(app, candidate, field)));
    const lost: IdentifierKind[] = [];
    for (const field of fields) {
      const holder = holderOf(field);
      if (holder === undefined) continue;
      lost.push(field);
      tell(run, takenProblem(candidate, field, holder, options.source));
    }
    if (changed === null) summary[fields.length > lost.length ? 'created' : 'notTaken'] += 1;
    else summary[changed.some((part) => !lost.some((field) => field === part)) ? 'updated' : 'unchanged'] += 1;
  }
  summary.unchanged += batch.length - rehearsed.length;
  return [];
}

/** Who has or would have what is claimed, other than the claimant; null for an account that was not imported. */
async function findOthers(
  { app }: ImportRun,
  tx: Database,
  rehearsed: Rehearsed[],
): Promise<Map<string, { importedId: string | null }>> {
  const claims = rehearsed.flatMap(({ candidate, fields }) =>
    fields.map((field) => ({ ...claimOf(app, candidate, field), importedId: candidate.importedId })),
  );
  const holders = new Map<string, { importedId: string | null }>();
  for (const { importedId, holder, ...claim } of await rehearseClaims(tx, claims))
    holders.set(placeOf(importedId, claim), { importedId: holder });
  const here = new Map((await findHolders(tx, claims)).map((held) => [placeOf('', held), held]));
  for (const { importedId, ...claim } of claims) {
    const held = here.get(placeOf('', claim));
    if (held !== undefined && held.importedId !== importedId) holders.set(placeOf(importedId, claim), held);
  }
  return holders;
}

function placeOf(importedId: string, { kind, key }: Claim): string {
  return `${kind} ${key} ${importedId}`;
}
