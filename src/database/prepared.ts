/** Prepared statements, built once. Drizzle builds a statement anew for each transaction, which costs more than to run it. */
import type { Database } from './database.js';

/** The parts of Drizzle's objects that its types do not show. */
interface DrizzleInternals {
  /** the same for a database and the transactions in it */
  dialect: object;
  /** its client is the pool, or the connection of a transaction */
  session: { client: unknown };
}

// Drizzle's PgDatabase holds both at runtime; its version is pinned by the lock file, and every query runs through here.
const drizzleInternals = (db: Database) => db as unknown as DrizzleInternals;

const statementsByDialect = new WeakMap<object, Map<string, object>>();
const unprepared = new WeakSet<object>();

/**
 * Makes {@link prepareCached} build statements without a name. Behind a pooler a name is known to one connection of the server,
 * and the next statement may go to another.
 */
export function disablePreparation(db: Database): void {
  unprepared.add(drizzleInternals(db).dialect);
}

/**
 * Returns the statement of that name. It is built at its first use and prepared on each connection that runs it.
 * Later calls reuse it with the connection of their own transaction. Hot paths use this.
 * @param name must belong to one text only
 */
export function prepareCached<T extends object>(
  db: Database,
  name: string,
  build: (db: Database) => { prepare(name: string): T },
): T {
  const { dialect, session } = drizzleInternals(db);
  let statements = statementsByDialect.get(dialect);
  if (statements === undefined) {
    statements = new Map();
    statementsByDialect.set(dialect, statements);
  }
  // A name belongs to one text, so what is stored under it is of the same type.
  let built = statements.get(name) as T | undefined;
  if (built === undefined) {
    built = build(db).prepare(unprepared.has(dialect) ? '' : name);
    statements.set(name, built);
  }
  return Object.assign(Object.create(Object.getPrototypeOf(built)), built, { client: session.client });
}
