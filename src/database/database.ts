/** The connection: PostgreSQL where a URL is given, else PGlite; one type for both and for an open transaction. */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres';
import type { PgDatabase, PgQueryResultHKT, PgTransactionConfig } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { openEmbedded } from './embedded.js';

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
  /** goes around each statement to PostgreSQL, the wait for a connection included */
  aroundStatement?: AroundStatement;
}

/** Does the work, and may note how it ended. The name is the statement's own, or says what it does to which table. */
export type AroundStatement = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** The database has been migrated by a newer program, and this one does not know what its tables mean. */
class DatabaseIsNewerError extends Error {
  override readonly name = 'DatabaseIsNewerError';
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

const limitsOfTime = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;
/** How long a statement, and a wait for a lock, may take; PostgreSQL ends it. */
const statementMilliseconds = 5_000;
/** How long a connection may be silent that was asked something: longer than PostgreSQL would let it. So there is none, or a network that swallows what is sent. */
const silenceMilliseconds = 6_000;

function openPostgres(
  url: string,
  { poolSize, packageFolder, pooler = false, onIdleError, aroundStatement }: DatabaseOptions,
): OpenDatabase {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    // pg drops idle connections after 10 s by default, and a new one costs more than it keeps.
    idleTimeoutMillis: 300_000,
    connectionTimeoutMillis: 2_000,
    application_name: 'flex-identity',
    // A pooler refuses to be told: there they are settings of the role.
    ...(!pooler && {
      statement_timeout: statementMilliseconds,
      lock_timeout: statementMilliseconds,
      idle_in_transaction_session_timeout: 2 * statementMilliseconds,
    }),
  });
  pool.on('error', onIdleError);
  pool.on('connect', (client) => {
    // While it is lent for a transaction the pool does not listen, and an error that nobody listens to ends the process.
    client.on('error', onIdleError);
    const socket = socketOf(client);
    socket.on('timeout', () => {
      // Nothing was asked: it is the transaction that does something else.
      if ((client as InsideClient).readyForQuery) return;
      socket.destroy(Object.assign(new Error('the database is silent'), { code: 'ETIMEDOUT' }));
    });
  });
  pool.on('acquire', (client) => socketOf(client).setTimeout(silenceMilliseconds));
  pool.on('release', (_error, client) => socketOf(client).setTimeout(0));
  if (aroundStatement) goAround(pool, aroundStatement);
  const databaseOf = (client: pg.Pool | pg.ClientBase) => {
    const db = drizzlePg(client as pg.Pool) as unknown as Database;
    if (pooler) unprepared.add(inside(db).dialect);
    return db;
  };
  const connections = new WeakMap<pg.ClientBase, Database>();
  pool.on('connect', (client) => connections.set(client, databaseOf(client)));
  const db = databaseOf(pool);
  db.transaction = (work, config) => inTransaction(pool, (client) => connections.get(client)!, work, config);
  return {
    db,
    async migrate() {
      const client = new pg.Client({
        connectionString: url,
        connectionTimeoutMillis: 10_000,
        application_name: 'flex-identity migrate',
      });
      client.on('error', onIdleError);
      await client.connect();
      try {
        await applyMigrations(drizzlePg(client) as unknown as Database, packageFolder);
      } finally {
        await client.end();
      }
    },
    close: () => pool.end(),
    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  };
}

/** What is found of a client of `pg` at runtime. */
type InsideClient = pg.ClientBase & { readyForQuery?: boolean };

function socketOf(client: pg.ClientBase): Socket {
  return (client as pg.Client).connection.stream as Socket;
}

type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

/** Drizzle's own never gives a connection back whose `begin` has failed: each would be one less for good. */
async function inTransaction<T>(
  pool: pg.Pool,
  databaseOf: (client: pg.ClientBase) => Database,
  work: (tx: Transaction) => Promise<T>,
  config?: PgTransactionConfig,
): Promise<T> {
  const client = await pool.connect();
  try {
    return await databaseOf(client).transaction(work, config);
  } finally {
    client.release();
  }
}

/**
 * Applies what is missing in one transaction, which holds a lock: whoever comes meanwhile waits, and a migrator that is killed leaves nothing behind.
 * What was applied is kept where drizzle-kit looks for it.
 * @throws {DatabaseIsNewerError}
 */
async function applyMigrations(db: Database, packageFolder: string): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder: join(packageFolder, 'drizzle/migrations') });
  const table = sql`drizzle.__drizzle_migrations`;
  await db.transaction(async (tx) => {
    // The role may have limits, which are meant for requests.
    for (const limit of limitsOfTime) await tx.execute(sql.raw(`set local ${limit} = 0`));
    await takeLock(tx, 'migration');
    await tx.execute(sql`create schema if not exists drizzle`);
    await tx.execute(
      sql`create table if not exists ${table} (id serial primary key, hash text not null, created_at bigint)`,
    );
    const [last] = await tx.select({ appliedMillis: sql`coalesce(max(created_at), 0)`.mapWith(Number) }).from(table);
    const { appliedMillis } = last!;
    if (appliedMillis > migrations.at(-1)!.folderMillis)
      throw new DatabaseIsNewerError('The database was migrated by a newer version of this program. Start that one.');
    for (const { sql: statements, hash, folderMillis } of migrations) {
      if (folderMillis <= appliedMillis) continue;
      for (const statement of statements) await tx.execute(sql.raw(statement));
      await tx.execute(sql`insert into ${table} (hash, created_at) values (${hash}, ${folderMillis})`);
    }
  });
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
  if (name) return name;
  const [verb = 'statement'] = /[a-z]+/i.exec(text) ?? [];
  const [, table] = /\b(?:from|into|update) "?([a-z_]+)/.exec(text) ?? [];
  return [verb.toLowerCase(), table].filter(Boolean).join(' ');
}

async function openPglite({ url, dataDir, packageFolder }: DatabaseOptions): Promise<OpenDatabase> {
  const [{ client, close }, { drizzle: drizzlePglite }] = await Promise.all([
    openEmbedded(url === 'memory:' ? null : dataDir, packageFolder),
    import('drizzle-orm/pglite'),
  ]);
  const db = drizzlePglite(client) as unknown as Database;
  return { db, migrate: () => applyMigrations(db, packageFolder), close, connections: () => null };
}

/** Which limits of time a request would not have. */
export async function findMissingLimits(db: Database): Promise<string[]> {
  const rows = await db
    .select({ name: sql<string>`name` })
    .from(sql`pg_settings`)
    .where(sql`name in ${limitsOfTime} and setting = '0'`);
  return rows.map(({ name }) => name);
}

/** Whether the database answers. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`);
}

/** What is found of Drizzle's at runtime. */
interface Inside {
  /** one for a database and the transactions in it */
  dialect: object;
  /** whose client is the pool, or the connection of a transaction */
  session: { client: unknown };
}

const inside = (db: Database) => db as unknown as Inside;

const prepared = new WeakMap<object, Map<string, object>>();
/** Before these stands a pooler: a name is known to one connection of the server, and the next statement may take another. */
const unprepared = new WeakSet<object>();

/**
 * The statement of that name, built at its first use and prepared on each connection that it comes to; where a pooler stands before the database, built only.
 * Building costs more than running, and is what Drizzle would do again for each transaction: so a statement that was built before is given the connection of this one.
 * Hot paths come this way. The name must be the only one for its text.
 */
export function statement<T extends object>(
  db: Database,
  name: string,
  build: (db: Database) => { prepare(name: string): T },
): T {
  const { dialect, session } = inside(db);
  let statements = prepared.get(dialect);
  if (statements === undefined) {
    statements = new Map();
    prepared.set(dialect, statements);
  }
  let built = statements.get(name);
  if (built === undefined) {
    built = build(db).prepare(unprepared.has(dialect) ? '' : name);
    statements.set(name, built);
  }
  return Object.assign(Object.create(Object.getPrototypeOf(built)), built, { client: session.client });
}
