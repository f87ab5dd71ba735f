/**
 * Imports users from another system in atomic batches, so that an import resumes after a crash.
 * A repeated import adds new users and applies changes of the source.
 */
import type { App } from '../../app/app.js';
import { prepareDryRun } from '../../database/import.queries.js';
import { importBatch } from './batch.js';
import { dryRunBatch } from './dry-run.js';
import { type Candidate, type ImportedUser, type ImportProblem, isProblem } from './imported-user.js';
import {
  type Ids,
  type ImportOptions,
  type ImportRun,
  type ImportSummary,
  readCandidate,
  reportProblem,
  startRun,
} from './run.js';

export type { ImportSummary } from './run.js';

const batchSize = 500;

/** Imports all users of the source. Reports rows it cannot import and continues. */
export async function importUsers(
  app: App,
  users: AsyncIterable<ImportedUser | ImportProblem>,
  options: ImportOptions,
): Promise<ImportSummary> {
  const run = startRun(app, options);
  if (!options.dryRun) await inBatches(run, users, (batch) => importBatch(run, batch));
  else
    await app.db.transaction(async (tx) => {
      await prepareDryRun(tx);
      await inBatches(run, users, (batch) => dryRunBatch(run, tx, batch));
    });
  return run.summary;
}

async function inBatches(
  run: ImportRun,
  users: AsyncIterable<ImportedUser | ImportProblem>,
  work: (batch: Candidate[]) => Promise<Ids>,
): Promise<void> {
  const { options, summary } = run;
  let batch = new Map<string, Candidate>();
  let rows = 0;
  const finish = async () => {
    const ids = await work([...batch.values()]);
    batch = new Map();
    rows = 0;
    await options.onBatch(summary.rows, ids);
  };
  for await (const user of users) {
    // A second row with the same id changes the first, which must be stored by then.
    if (rows === batchSize || (!isProblem(user) && batch.has(user.id))) await finish();
    summary.rows += 1;
    rows += 1;
    if (isProblem(user)) {
      reportProblem(run, user);
      summary.notTaken += 1;
    } else batch.set(user.id, readCandidate(run, user));
  }
  await finish();
}
