/**
 * Bringing users along from another system, in batches that are each taken whole: after a crash the same import goes on where it was.
 * Done again it takes what is new there and what has changed there since.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app.js';
import { type Database, takeLock } from '../database/database.js';
import {
  type Claim,
  findHolders,
  findImported,
  insertImported,
  insertImportedWherePossible,
  openRehearsal,
  rehearseClaims,
  updateImportedLastLogins,
} from '../database/import.queries.js';
import { claimIdentifiers } from './account-input.js';
import { claimOf, describeTaken, takenFields, takenProblem } from './import-collisions.js';
import { updateImported } from './import-updates.js';
import {
  type Candidate,
  changedParts,
  type ImportedUser,
  type ImportProblem,
  importedFields,
  isProblem,
  type Known,
  type ReadUser,
  readUser,
  rowOf,
  withoutParts,
} from './imported-user.js';

export interface ImportOptions {
  /** names the other system: ids of two do not collide */
  source: string;
  /** says what would happen, and writes nothing */
  dryRun: boolean;
  onProblem(problem: ImportProblem): void;
  onNormalised(change: ReadUser['normalised'][number]): void;
  /** told of each batch: how many rows are done, and old and new ids of those who are here; waited for */
  onBatch(rows: number, ids: [oldId: string, newId: string][]): Promise<void>;
}

export interface ImportSummary {
  rows: number;
  created: number;
  updated: number;
  unchanged: number;
  /** rows that could not be taken at all */
  notTaken: number;
  /** of all rows, as they are in the source */
  with: Record<
    | 'username'
    | 'email'
    | 'phone'
    | 'verifiedEmail'
    | 'verifiedPhone'
    | 'failures'
    | 'inactive'
    | 'staff'
    | 'superuser',
    number
  >;
  /** how many by scheme of the password's hash; `none` for those without a password */
  passwords: Record<string, number>;
  normalisedCount: number;
  problemCount: number;
}

const batchSize = 500;
/** How often a batch is begun again that the database has refused for a reason that passes, such as a deadlock. */
const tries = 5;

/** Takes all users of the source. What cannot be taken as it is is told and does not stop the others. */
export async function importUsers(
  app: App,
  users: AsyncIterable<ImportedUser | ImportProblem>,
  options: ImportOptions,
): Promise<ImportSummary> {
  return new ImportRun(app, options).run(users);
}

class ImportRun {
  readonly summary: ImportSummary = {
    rows: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    notTaken: 0,
    with: {
      username: 0,
      email: 0,
      phone: 0,
      verifiedEmail: 0,
      verifiedPhone: 0,
      failures: 0,
      inactive: 0,
      staff: 0,
      superuser: 0,
    },
    passwords: {},
    normalisedCount: 0,
    problemCount: 0,
  };

  constructor(
    private readonly app: App,
    private readonly options: ImportOptions,
  ) {}

  async run(users: AsyncIterable<ImportedUser | ImportProblem>): Promise<ImportSummary> {
    if (!this.options.dryRun) return this.all(users, (batch) => this.take(batch));
    return this.app.db.transaction(async (tx) => {
      await openRehearsal(tx);
      return this.all(users, (batch) => this.rehearse(tx, batch));
    });
  }

  private async all(
    users: AsyncIterable<ImportedUser | ImportProblem>,
    work: (batch: Candidate[]) => Promise<[string, string][]>,
  ): Promise<ImportSummary> {
    let batch = new Map<string, Candidate>();
    const flush = async () => {
      const ids = await work([...batch.values()]);
      batch = new Map();
      await this.options.onBatch(this.summary.rows, ids);
    };
    for await (const user of users) {
      this.summary.rows += 1;
      if (isProblem(user)) {
        this.tell(user);
        this.summary.notTaken += 1;
        continue;
      }
      // The second of one id is a change of the first, which must be there by then.
      if (batch.size === batchSize || batch.has(user.id)) await flush();
      batch.set(user.id, this.read(user));
    }
    await flush();
    return this.summary;
  }

  /** Takes a batch: first what has changed, so that a name that somebody has given up there is free. @returns the ids of those who are here */
  private async take(batch: Candidate[]): Promise<[string, string][]> {
    const { fresh, known, ids } = await this.insistently(() => this.sort(this.app.db, batch));
    this.summary.unchanged += batch.length - fresh.length - known.length;
    const signedIn = known.filter(isLastLoginOnly);
    for (const one of known.filter((one) => !signedIn.includes(one))) {
      const { updated, problems } = await this.insistently(() => updateImported(this.app, one, this.options.source));
      for (const problem of problems) this.tell(problem);
      this.summary[updated ? 'updated' : 'unchanged'] += 1;
    }
    await this.insistently(() => updateImportedLastLogins(this.app.db, signedIn));
    this.summary.updated += signedIn.length;
    return fresh.length === 0 ? ids : [...ids, ...(await this.takeFresh(fresh))];
  }

  private async takeFresh(fresh: Candidate[]): Promise<[string, string][]> {
    const named = fresh.filter(({ identifiers }) => Object.keys(identifiers).length > 0);
    const rows = named.map((candidate) => rowOf(this.app, candidate.importedId, candidate));
    const ids = await this.insistently(() =>
      this.app.db.transaction(async (tx) => {
        // Of two imports at once one waits: each would find the other's rows where it has just seen none.
        await takeLock(tx, 'imports');
        const inserted = await insertImportedWherePossible(tx, rows);
        return named.flatMap(({ user }, index): [string, string][] => {
          const { id } = rows[index]!;
          return inserted.has(id) ? [[user.id, id]] : [];
        });
      }),
    );
    this.summary.created += ids.length;
    this.summary.notTaken += fresh.length - named.length;
    const taken = new Set(ids.map(([oldId]) => oldId));
    for (const candidate of named.filter(({ user }) => !taken.has(user.id))) {
      const id = await this.takeSingly(candidate);
      if (id !== null) ids.push([candidate.user.id, id]);
    }
    return ids;
  }

  /** Says what would become of a batch, where what the ones before it would have got is taken. Nothing that is kept is written. */
  private async rehearse(tx: Database, batch: Candidate[]): Promise<[string, string][]> {
    const { fresh, known } = await this.sort(tx, batch);
    const claimed = [
      ...known.map((one) => ({
        one,
        fields: importedFields.filter((field) => one.changed.includes(field) && one.identifiers[field] !== undefined),
      })),
      ...fresh.map((one) => ({ one, fields: importedFields.filter((field) => one.identifiers[field] !== undefined) })),
    ];
    const claims = claimed.flatMap(({ one, fields }) =>
      fields.map((field) => ({ importedId: one.importedId, field, ...claimOf(this.app, one, field) })),
    );
    const holders = new Map<string, string | null>();
    const at = ({ importedId, kind, key }: { importedId: string } & Claim) => `${kind} ${key} ${importedId}`;
    for (const lost of await rehearseClaims(tx, claims)) holders.set(at(lost), lost.holder);
    const here = await findHolders(tx, claims);
    for (const { importedId, kind, key } of claims) {
      const holder = here.find((one) => one.kind === kind && one.key === key);
      if (holder !== undefined && holder.importedId !== importedId)
        holders.set(at({ importedId, kind, key }), holder.importedId);
    }
    const lost = new Set<string>();
    for (const { importedId, kind, key, field } of claims) {
      const holder = holders.get(at({ importedId, kind, key }));
      if (holder === undefined) continue;
      const { one } = claimed.find(({ one }) => one.importedId === importedId)!;
      this.tell(takenProblem(one, field, holder, this.options.source));
      lost.add(`${importedId} ${field}`);
    }
    for (const { one, fields } of claimed) {
      const left = fields.filter((field) => !lost.has(`${one.importedId} ${field}`));
      if (!('userId' in one)) this.summary[left.length > 0 ? 'created' : 'notTaken'] += 1;
      else
        this.summary[
          (one as Known).changed.some((part) => !lost.has(`${one.importedId} ${part}`)) ? 'updated' : 'unchanged'
        ] += 1;
    }
    this.summary.unchanged += batch.length - fresh.length - known.length;
    return [];
  }

  private read(user: ImportedUser): Candidate {
    const read = readUser(this.app, user);
    const { summary } = this;
    const failures = Math.max(user.emailThrottle?.failureCount ?? 0, user.phoneThrottle?.failureCount ?? 0);
    for (const [kind, holds] of Object.entries({
      username: user.username !== null,
      email: user.email !== null,
      phone: user.phone !== null,
      verifiedEmail: user.emailVerified,
      verifiedPhone: user.phoneVerified,
      failures: failures > 0,
      inactive: !user.isActive,
      staff: user.isStaff,
      superuser: user.isSuperuser,
    }))
      if (holds) summary.with[kind as keyof ImportSummary['with']] += 1;
    summary.passwords[read.passwordScheme] = (summary.passwords[read.passwordScheme] ?? 0) + 1;
    summary.normalisedCount += read.normalised.length;
    for (const change of read.normalised) this.options.onNormalised(change);
    for (const problem of read.problems) this.tell(problem);
    return { ...read, importedId: `${this.options.source}:${user.id}` };
  }

  private tell(problem: ImportProblem): void {
    this.summary.problemCount += 1;
    this.options.onProblem(problem);
  }

  /** Tells those who are new from those who have changed; the others are as they were. */
  private async sort(
    db: Database,
    batch: Candidate[],
  ): Promise<{ fresh: Candidate[]; known: Known[]; ids: [string, string][] }> {
    const imported = await findImported(
      db,
      batch.map(({ importedId }) => importedId),
    );
    const known = batch.flatMap((candidate) => {
      const found = imported.get(candidate.importedId);
      if (found === undefined) return [];
      const changed = changedParts(found.digests, candidate.digests);
      return [{ ...candidate, userId: found.userId, changed, before: found.digests }];
    });
    return {
      fresh: batch.filter(({ importedId }) => !imported.has(importedId)),
      known: known.filter(({ changed }) => changed.length > 0),
      ids: known.map(({ user, userId }): [string, string] => [user.id, userId]),
    };
  }

  /** Takes one of whom somebody has an identifier, without that one. @returns the new id; null where nothing is left */
  private async takeSingly(candidate: Candidate): Promise<string | null> {
    const { importedId } = candidate;
    const left = { ...candidate.identifiers };
    const lost: (typeof importedFields)[number][] = [];
    while (Object.keys(left).length > 0) {
      const digests = withoutParts(candidate.digests, lost);
      const row = rowOf(this.app, importedId, { ...candidate, identifiers: left, digests });
      const insert = async (tx: Database) => {
        await takeLock(tx, 'imports');
        const other = (await findImported(tx, [importedId])).get(importedId);
        if (other === undefined) await insertImported(tx, row);
        return other;
      };
      try {
        const other = await this.insistently(() => claimIdentifiers(this.app, Object.values(left), insert));
        this.summary[other === undefined ? 'created' : 'unchanged'] += 1;
        return other?.userId ?? row.id;
      } catch (error) {
        for (const field of takenFields(error)) {
          this.tell(await describeTaken(this.app, candidate, field, this.options.source));
          delete left[field];
          lost.push(field);
        }
      }
    }
    this.summary.notTaken += 1;
    return null;
  }

  private async insistently<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1)
      try {
        return await work();
      } catch (error) {
        if (!this.app.isUnavailable(error)) throw withoutRows(error);
        if (attempt === tries) throw error;
        await sleep(100 * 2 ** attempt);
      }
  }
}

function isLastLoginOnly({ changed }: Known): boolean {
  return changed.length === 1 && changed[0] === 'lastLogin';
}

/** A failed statement's error quotes its rows, among them addresses and hashes. */
function withoutRows(error: unknown): unknown {
  if (!(error instanceof Error && 'params' in error)) return error;
  return new Error(`A batch could not be written: ${error.cause instanceof Error ? error.cause.message : error.name}`);
}
