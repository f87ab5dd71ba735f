/** The connection: PostgreSQL where a URL is given, else PGlite; one type for both and for an open transaction. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres';
import { migrate as migratePg } from 'drizzle-orm/node-postgres/migrator';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite';
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator';
import pg from 'pg';
import { takeExclusively } from './exclusive-use.js';

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
  /** told of connections that break while no statement waits for them */
  onIdleError: (error: Error) => void;
  /** goes around each statement to PostgreSQL, the wait for a connection included */
  aroundStatement?: AroundStatement;
}

/** Does the work, and may note how it ended. The name is the statement's own, or says what it does to which table. */
export type AroundStatement = <T>(name: string, work: () => Promise<T>) => Promise<T>;

const migrationsFolder = fileURLToPath(new URL('../../drizzle/migrations', import.meta.url));

/** The database has been migrated by a newer program, and this one does not know what its tables mean. */
class DatabaseIsNewerError extends Error {
  override readonly name = 'DatabaseIsNewerError';
}

/** @throws {DatabaseIsNewerError} */
async function refuseNewer(db: Database): Promise<void> {
  const applied = sql`to_regclass('drizzle.__drizzle_migrations') is not null`;
  const [table] = await db.select({ exists: sql<boolean>`${applied}` }).from(sql`(select) as one`);
  if (!table?.exists) return;
  const newest = readMigrationFiles({ migrationsFolder }).at(-1)!.folderMillis;
  const [found] = await db
    .select({ isNewer: sql<boolean>`coalesce(max(created_at) > ${newest}, false)` })
    .from(sql`drizzle.__drizzle_migrations`);
  if (found?.isNewer)
    throw new DatabaseIsNewerError('The database was migrated by a newer version of this program. Start that one.');
}

/** Advisory locks by which processes wait for each other, in a space of numbers that is this program's own. */
const lockSpace = 7_213_550;
const lockNumbers = { migration: 1, keys: 2, superusers: 3, imports: 4 } as const;

/** Waits until no other transaction holds the lock, and holds it to the end of this one. */
export async function takeLock(tx: Database, lock: keyof typeof lockNumbers): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockSpace}::int, ${lockNumbers[lock]}::int)`);
}

export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url?.startsWith('postgres') ? openPostgres(options.url, options) : openPglite(options);
}

function openPostgres(url: string, { poolSize, onIdleError, aroundStatement }: DatabaseOptions): OpenDatabase {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    // pg drops idle connections after 10 s by default, and a new one costs more than it keeps.
    idleTimeoutMillis: 300_000,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 5_000,
    lock_timeout: 5_000,
    idle_in_transaction_session_timeout: 10_000,
    application_name: 'flex-identity',
  });
  pool.on('error', onIdleError);
  // While it is lent for a transaction the pool does not listen, and an error that nobody listens to ends the process.
  pool.on('connect', (client) => client.on('error', onIdleError));
  if (aroundStatement) goAround(pool, aroundStatement);
  return {
    db: drizzlePg(pool) as unknown as Database,
    async migrate() {
      const client = new pg.Client({ connectionString: url, application_name: 'flex-identity migrate' });
      client.on('error', onIdleError);
      await client.connect();
      try {
        // Held until the connection ends, and so also let go by a migrator that is killed.
        await client.query('select pg_advisory_lock($1, $2)', [lockSpace, lockNumbers.migration]);
        const db = drizzlePg(client);
        await refuseNewer(db as unknown as Database);
        await migratePg(db, { migrationsFolder });
      } finally {
        await client.end();
      }
    },
    close: () => pool.end(),
    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  };
}

type Query = (...args: unknown[]) => unknown;

function goAround(pool: pg.Pool, around: AroundStatement): void {
  const wrap = (queryable: { query: unknown }) => {
    const query = (queryable.query as Query).bind(queryable);
    queryable.query = (...args: unknown[]) =>
      // What tells a callback is the pool's own call for a statement that it was given itself.
      typeof args.at(-1) === 'function'
        ? query(...args)
        : around(nameOfStatement(args[0] as string | pg.QueryConfig), async () => query(...args));
  };
  wrap(pool);
  pool.on('connect', wrap);
}

/** Of the text only its first word and its first table. */
function nameOfStatement(query: string | pg.QueryConfig): string {
  const { name, text } = typeof query === 'string' ? { name: undefined, text: query } : query;
  if (name !== undefined) return name;
  const [verb = 'statement'] = /[a-z]+/i.exec(text) ?? [];
  const [, table] = /\b(?:from|into|update) "?([a-z_]+)/.exec(text) ?? [];
  return [verb.toLowerCase(), table].filter(Boolean).join(' ');
}

async function openPglite({ url, dataDir }: DatabaseOptions): Promise<OpenDatabase> {
  const inMemory = url === 'memory:';
  const folder = inMemory ? 'memory://' : join(dataDir, 'database');
  if (!inMemory) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const release = inMemory ? async () => {} : await takeExclusively(dataDir);
  const client = await PGlite.create(folder);
  const db = drizzlePglite(client);
  return {
    db: db as unknown as Database,
    async migrate() {
      await refuseNewer(db as unknown as Database);
      await migratePglite(db, { migrationsFolder });
    },
    async close() {
      await client.close();
      await release();
    },
    connections: () => null,
  };
}

/** Whether the database answers. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`);
}

const prepared = new WeakMap<Database, Map<string, unknown>>();

/**
 * The statement of that name, built and prepared at its first use on this database. Building costs more than running: hot paths come this way.
 * The name must be the only one for its text.
 */
export function statement<T>(db: Database, name: string, build: (db: Database) => { prepare(name: string): T }): T {
  let statements = prepared.get(db);
  if (statements === undefined) {
    statements = new Map();
    prepared.set(db, statements);
  }
  let found = statements.get(name) as T | undefined;
  if (found === undefined) {
    found = build(db).prepare(name);
    statements.set(name, found);
  }
  return found;
}
