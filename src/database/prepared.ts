/**
 * Prepared statements, built once. Drizzle rebuilds a statement per transaction, which costs more
 * than running it.
 */
import type { Database } from './database.js';

/** Fields of Drizzle's objects that its types hide. */
interface DrizzleInternals {
  /** shared by a database and its transactions */
  dialect: object;
  /** `client` is the pool, or the connection of a transaction */
  session: { client: unknown };
}

// Invariant: PgDatabase has both fields at runtime. The lock file pins its version.
const drizzleInternals = (db: Database) => db as unknown as DrizzleInternals;

const statementsByDialect = new WeakMap<object, Map<string, object>>();
const unprepared = new WeakSet<object>();

/**
 * Makes {@link prepareCached} build unnamed statements. A transaction pooler may send the next
 * statement to another server connection, where a prepared name does not exist.
 */
export function disablePreparation(db: Database): void {
  unprepared.add(drizzleInternals(db).dialect);
}

/**
 * Returns the statement of that name, built at first use and prepared per connection.
 * Later calls run it on the connection of their own transaction.
 * @param name identifies one SQL text
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
  // Invariant: a name identifies one SQL text, so the stored statement has type T.
  let built = statements.get(name) as T | undefined;
  if (built === undefined) {
    built = build(db).prepare(unprepared.has(dialect) ? '' : name);
    statements.set(name, built);
  }
  return Object.assign(Object.create(Object.getPrototypeOf(built)), built, { client: session.client });
}
