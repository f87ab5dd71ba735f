/** State of an import, and retries. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { findImported } from '../../database/import.queries.js';
import {
  type Candidate,
  type ChangedUser,
  changedParts,
  type ImportedUser,
  type ImportProblem,
  type ReadUser,
  readUser,
} from './imported-user.js';

export interface ImportOptions {
  /** name of the source system; ids are unique per source */
  source: string;
  /** reports what would happen, without writing */
  dryRun: boolean;
  onProblem(problem: ImportProblem): void;
  onNormalised(change: ReadUser['normalised'][number]): void;
  /** called and awaited after each batch, with the rows processed so far and the imported ids */
  onBatch(rows: number, ids: Ids): Promise<void>;
}

/** Source id and id here of each imported user. */
export type Ids = [oldId: string, newId: string][];

export interface ImportSummary {
  rows: number;
  created: number;
  updated: number;
  unchanged: number;
  /** skipped rows; the name is part of the JSON output */
  notTaken: number;
  /** users with each property, counted in the source */
  with: Record<keyof typeof kinds, number>;
  /** users per password scheme; `none`: without a password */
  passwords: Record<string, number>;
  normalisedCount: number;
  problemCount: number;
}

export interface ImportRun {
  app: App;
  options: ImportOptions;
  summary: ImportSummary;
}

const kinds = {
  username: (user: ImportedUser) => user.username !== null,
  email: (user: ImportedUser) => user.email !== null,
  phone: (user: ImportedUser) => user.phone !== null,
  verifiedEmail: (user: ImportedUser) => user.emailVerified,
  verifiedPhone: (user: ImportedUser) => user.phoneVerified,
  failures: (user: ImportedUser) => [user.emailThrottle, user.phoneThrottle].some((it) => it && it.failureCount > 0),
  inactive: (user: ImportedUser) => !user.isActive,
  staff: (user: ImportedUser) => user.isStaff,
  superuser: (user: ImportedUser) => user.isSuperuser,
};
// Invariant: `kinds` is a literal without other keys.
const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

/** Maximum attempts when the database fails temporarily, such as by a deadlock. */
const maxAttempts = 5;

export function startRun(app: App, options: ImportOptions): ImportRun {
  const summary: ImportSummary = {
    rows: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    notTaken: 0,
    // Invariant: the entries contain every kind.
    with: Object.fromEntries(kindNames.map((kind) => [kind, 0])) as ImportSummary['with'],
    passwords: {},
    normalisedCount: 0,
    problemCount: 0,
  };
  return { app, options, summary };
}

/** Validates a user, counts it and reports its problems. */
export function readCandidate(run: ImportRun, user: ImportedUser): Candidate {
  const { summary, options } = run;
  const read = readUser(run.app, user);
  for (const kind of kindNames) if (kinds[kind](user)) summary.with[kind] += 1;
  summary.passwords[read.passwordScheme] = (summary.passwords[read.passwordScheme] ?? 0) + 1;
  summary.normalisedCount += read.normalised.length;
  for (const change of read.normalised) options.onNormalised(change);
  for (const problem of read.problems) reportProblem(run, problem);
  return { ...read, importedId: `${options.source}:${user.id}` };
}

export function reportProblem({ summary, options }: ImportRun, problem: ImportProblem): void {
  summary.problemCount += 1;
  options.onProblem(problem);
}

/** Separates new and changed users. The others are unchanged. */
export async function sortBatch(
  db: Database,
  batch: Candidate[],
): Promise<{ newUsers: Candidate[]; changed: ChangedUser[]; ids: Ids }> {
  const imported = await findImported(
    db,
    batch.map(({ importedId }) => importedId),
  );
  const knownUsers = batch.flatMap((candidate) => {
    const found = imported.get(candidate.importedId);
    if (found === undefined) return [];
    const { userId, digests, reserves } = found;
    return [{ ...candidate, userId, changed: changedParts(digests, candidate.digests), before: digests, reserves }];
  });
  return {
    newUsers: batch.filter(({ importedId }) => !imported.has(importedId)),
    changed: knownUsers.filter(({ changed }) => changed.length > 0),
    ids: knownUsers.map(({ user, userId }) => [user.id, userId]),
  };
}

/** Retries the work while the database is temporarily unavailable. */
export async function retryTransient<T>(app: App, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await work();
    } catch (error) {
      if (!app.isUnavailable(error)) throw withoutRows(error);
      if (attempt === maxAttempts) throw error;
      await sleep(100 * 2 ** attempt);
    }
}

/** Removes the rows of a failed statement from its error: they contain addresses and hashes. */
function withoutRows(error: unknown): unknown {
  if (!(error instanceof Error && 'params' in error)) return error;
  return new Error(
    `The batch could not be written: ${error.cause instanceof Error ? error.cause.message : error.name}`,
  );
}
