/** The database as the other modules see it: one type for PostgreSQL, for PGlite and for an open transaction. */
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';

/** The database or a transaction in it. */
export type Database = PgDatabase<PgQueryResultHKT, Record<string, never>>;

export interface OpenDatabase {
  db: Database;
  /** Applies the migrations that are missing; safe for several at once. */
  migrate(): Promise<void>;
  close(): Promise<void>;
  /** the connections of the pool; null where there is none */
  connections(): { total: number; idle: number; waiting: number } | null;
}

export interface DatabaseOptions {
  /** `postgres://…`, `memory:`, or undefined for PGlite in `dataDir` */
  url: string | undefined;
  poolSize: number;
  dataDir: string;
  /** holds the migrations, and the prepared cluster where the build has made one */
  packageFolder: string;
  /** A pooler in transaction mode stands before PostgreSQL: one connection to it is many to the server, so nothing is left behind in any. */
  pooler?: boolean;
  /** told of connections that break while no statement waits for them */
  onIdleError: (error: Error) => void;
  /** wraps each statement to PostgreSQL, the wait for a connection included */
  instrumentStatement?: InstrumentStatement;
}

/** Runs the statement, and may record how it ended. The name is the statement's own, or its verb and its table. */
export type InstrumentStatement = <T>(name: string, run: () => Promise<T>) => Promise<T>;
