/** One database type for PostgreSQL, PGlite and open transactions. */
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';

/** The database, or a transaction in it. */
export type Database = PgDatabase<PgQueryResultHKT, Record<string, never>>;

export interface OpenDatabase {
  db: Database;
  /** Applies missing migrations. Several processes may call it at once. */
  migrate(): Promise<void>;
  close(): Promise<void>;
  /** Returns the counts of the pool's connections; null without a pool. */
  connections(): { total: number; idle: number; waiting: number } | null;
}

export interface DatabaseOptions {
  /** `postgres://…`, `memory:`, or undefined for PGlite in `dataDir` */
  url: string | undefined;
  poolSize: number;
  dataDir: string;
  /** holds the migrations and, after a build, the prepared cluster */
  packageFolder: string;
  /**
   * Whether a pooler in transaction mode stands before PostgreSQL. It shares each server
   * connection between clients, so statements must leave no state in the connection.
   */
  pooler?: boolean;
  /** called when a connection fails while no statement waits for it */
  onIdleError: (error: Error) => void;
  /** wraps each PostgreSQL statement, including the wait for a connection */
  instrumentStatement?: InstrumentStatement;
}

/**
 * Runs the statement and may record its outcome.
 * The name is that of the prepared statement, or its verb and table.
 */
export type InstrumentStatement = <T>(name: string, run: () => Promise<T>) => Promise<T>;
