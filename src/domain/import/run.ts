/** An import under way: what it was asked for, what it counts, and how it stands up to a database that refuses. */
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
  /** names the other system: ids of two do not collide */
  source: string;
  /** says what would happen, and writes nothing */
  dryRun: boolean;
  onProblem(problem: ImportProblem): void;
  onNormalised(change: ReadUser['normalised'][number]): void;
  /** told of each batch: how many rows are done, and old and new ids of those who are here; waited for */
  onBatch(rows: number, ids: Ids): Promise<void>;
}

/** Of those who are here: there, and here. */
export type Ids = [oldId: string, newId: string][];

export interface ImportSummary {
  rows: number;
  created: number;
  updated: number;
  unchanged: number;
  /** rows that could not be taken at all */
  notTaken: number;
  /** how many have it, as they are in the source */
  with: Record<keyof typeof kinds, number>;
  /** how many by scheme of the password's hash; `none` for those without a password */
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
// Invariant: `kinds` is written here and has no other keys.
const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

/** How often something is tried that the database refuses for a reason that passes, such as a deadlock. */
const tries = 5;

export function startRun(app: App, options: ImportOptions): ImportRun {
  const summary: ImportSummary = {
    rows: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    notTaken: 0,
    // Invariant: every kind has its count.
    with: Object.fromEntries(kindNames.map((kind) => [kind, 0])) as ImportSummary['with'],
    passwords: {},
    normalisedCount: 0,
    problemCount: 0,
  };
  return { app, options, summary };
}

/** Reads a user by our rules, counts, and tells what is to be told. */
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

/** Tells those who are new from those who have changed; the others are as they were. */
export async function sortBatch(
  db: Database,
  batch: Candidate[],
): Promise<{ newUsers: Candidate[]; changed: ChangedUser[]; ids: Ids }> {
  const imported = await findImported(
    db,
    batch.map(({ importedId }) => importedId),
  );
  const changedUser = batch.flatMap((candidate) => {
    const found = imported.get(candidate.importedId);
    if (found === undefined) return [];
    const { userId, digests } = found;
    return [{ ...candidate, userId, changed: changedParts(digests, candidate.digests), before: digests }];
  });
  return {
    newUsers: batch.filter(({ importedId }) => !imported.has(importedId)),
    changed: changedUser.filter(({ changed }) => changed.length > 0),
    ids: changedUser.map(({ user, userId }) => [user.id, userId]),
  };
}

/** Does the work, again where the database has refused for a reason that passes. */
export async function retryTransient<T>(app: App, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await work();
    } catch (error) {
      if (!app.isUnavailable(error)) throw withoutRows(error);
      if (attempt === tries) throw error;
      await sleep(100 * 2 ** attempt);
    }
}

/** A failed statement's error quotes its rows, among them addresses and hashes. */
function withoutRows(error: unknown): unknown {
  if (!(error instanceof Error && 'params' in error)) return error;
  return new Error(`A batch could not be written: ${error.cause instanceof Error ? error.cause.message : error.name}`);
}
