/** Dry run: reports what {@link importBatch} would do, without writing. */
import type { Database } from '../../database/database.js';
import type { AddressState } from '../../database/import.queries.js';
import { type IdentifierKind, identifierKinds } from '../identifiers.js';
import { claimEndedProblem, takenProblem } from './collisions.js';
import { type DryRunEntry, type HolderMap, loadHolders } from './dry-run-holders.js';
import { type Candidate, isVouchedFor } from './imported-user.js';
import { type Ids, type ImportRun, reportProblem, sortBatch } from './run.js';

/** Reports what would happen to a batch, after the batches before it. */
export async function dryRunBatch(run: ImportRun, tx: Database, batch: Candidate[]): Promise<Ids> {
  const sorted = await sortBatch(tx, batch);
  const entries: DryRunEntry[] = [
    ...sorted.changed.map((changedUser) => ({ candidate: changedUser, changedUser })),
    ...sorted.newUsers.map((candidate) => ({ candidate, changedUser: null })),
  ];
  const holders = await loadHolders(run.app, tx, entries);
  for (const entry of entries) dryRunEntry(run, holders, entry);
  await holders.save();
  run.summary.unchanged += batch.length - entries.length;
  return [];
}

/** Reports the conflicts of a user and the claims that they end. Counts the user. */
function dryRunEntry(run: ImportRun, holders: HolderMap, entry: DryRunEntry): void {
  const { options, summary } = run;
  const { candidate, changedUser } = entry;
  const claimed = claimedFields(holders, entry);
  const conflicting = claimed.filter((field) => {
    const holder = holders.others(candidate, field).find(({ state }) => excludes(holders, candidate, field, state));
    if (holder !== undefined) reportProblem(run, takenProblem(candidate, field, holder, options.source));
    return holder !== undefined;
  });
  const remaining = claimed.filter((field) => !conflicting.includes(field));
  for (const field of remaining.filter((field) => verifies(holders, candidate, field)))
    for (const loser of holders.others(candidate, field))
      if (loser.state !== 'verified') reportProblem(run, claimEndedProblem(candidate, field, loser, options.source));
  holders.claim(entry, remaining);
  const isUpdated = changedUser?.changed.some((part) => !conflicting.some((field) => field === part));
  if (changedUser === null) summary[remaining.length > 0 ? 'created' : 'notTaken'] += 1;
  else summary[isUpdated ? 'updated' : 'unchanged'] += 1;
}

/** Returns the identifiers that an import would claim for the user. */
function claimedFields(holders: HolderMap, { candidate, changedUser }: DryRunEntry): IdentifierKind[] {
  return identifierKinds.filter((field) => {
    if (candidate.identifiers[field] === undefined) return false;
    if (changedUser === null || changedUser.changed.includes(field)) return true;
    // An account without this address has changed it here, and the source has not.
    const isStateChanged = changedUser.changed.some((part) => part === `${field}State`);
    return isStateChanged && holders.own(candidate, field) !== undefined && verifies(holders, candidate, field);
  });
}

/** Whether the import would verify the address for the user. */
function verifies(holders: HolderMap, candidate: Candidate, field: IdentifierKind): boolean {
  return isVouchedFor(candidate.user, field) && holders.own(candidate, field)?.state !== 'verified';
}

/** Whether an identifier is taken by another account that holds it in that state. */
function excludes(holders: HolderMap, candidate: Candidate, field: IdentifierKind, state: AddressState): boolean {
  if (verifies(holders, candidate, field)) return state === 'verified';
  return state !== 'pending' && holders.own(candidate, field) === undefined;
}
