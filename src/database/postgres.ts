/** PostgreSQL: a connection pool in which every wait has a timeout. */
import type { Socket } from 'node:net';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { PgTransactionConfig } from 'drizzle-orm/pg-core';
import pg from 'pg';
import type { Database, DatabaseOptions, OpenDatabase } from './database.js';
import { instrumentPool } from './instrumentation.js';
import { applyMigrations } from './migrate.js';
import { disablePreparation } from './prepared.js';
import { socketTimeoutMs, statementTimeoutMs } from './timeouts.js';

export function openPostgres(url: string, options: DatabaseOptions): OpenDatabase {
  const pool = createPool(url, options);
  if (options.instrumentStatement) instrumentPool(pool, options.instrumentStatement);
  return {
    db: createPooledDatabase(pool, options.pooler ?? false),
    migrate: () => migrate(url, options),
    close: () => pool.end(),
    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  };
}

function createPool(url: string, { poolSize, pooler = false, onIdleError }: DatabaseOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    // pg closes idle connections after 10 s by default; reconnecting costs more than keeping them.
    idleTimeoutMillis: 300_000,
    connectionTimeoutMillis: 2_000,
    application_name: 'flex-identity',
    // Poolers reject these startup parameters; there, the role sets them.
    ...(!pooler && {
      statement_timeout: statementTimeoutMs,
      lock_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
    }),
  });
  pool.on('error', onIdleError);
  pool.on('connect', (client) => {
    // The pool does not listen while a client is checked out.
    // An unhandled error event would end the process.
    client.on('error', onIdleError);
    const socket = getSocket(client);
    socket.on('timeout', () => {
      // No statement is pending: the transaction waits for something else.
      // Invariant: pg sets this field on every client.
      if ((client as ClientInternals).readyForQuery) return;
      socket.destroy(Object.assign(new Error('the database did not respond'), { code: 'ETIMEDOUT' }));
    });
  });
  pool.on('acquire', (client) => getSocket(client).setTimeout(socketTimeoutMs));
  pool.on('release', (_error, client) => getSocket(client).setTimeout(0));
  return pool;
}

/** The part of a client of `pg` that its types do not show. */
type ClientInternals = pg.ClientBase & { readyForQuery?: boolean };

function getSocket(client: pg.ClientBase): Socket {
  // Invariant: pool clients are of class Client, and without `stream` options use a socket.
  return (client as pg.Client).connection.stream as Socket;
}

function toDatabase(client: pg.Pool | pg.ClientBase): Database {
  // Invariant: drizzle accepts a client like a pool, though its overloads name the pool only.
  // `Database` omits only the driver's result type.
  return drizzle(client as pg.Pool) as unknown as Database;
}

function createPooledDatabase(pool: pg.Pool, pooler: boolean): Database {
  const prepared = (client: pg.Pool | pg.ClientBase) => {
    const db = toDatabase(client);
    if (pooler) disablePreparation(db);
    return db;
  };
  const databases = new WeakMap<pg.ClientBase, Database>();
  pool.on('connect', (client) => databases.set(client, prepared(client)));
  const db = prepared(pool);
  const getDatabase = (client: pg.ClientBase) => {
    const own = databases.get(client);
    if (own === undefined) throw new Error('The pool returned a client without a connect event.');
    return own;
  };
  db.transaction = (work, config) => inTransaction(pool, getDatabase, work, config);
  return db;
}

type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

/** Runs a transaction on its own client, because Drizzle leaks the connection when BEGIN fails. */
async function inTransaction<T>(
  pool: pg.Pool,
  getDatabase: (client: pg.ClientBase) => Database,
  work: (tx: Transaction) => Promise<T>,
  config?: PgTransactionConfig,
): Promise<T> {
  const client = await pool.connect();
  try {
    return await getDatabase(client).transaction(work, config);
  } finally {
    client.release();
  }
}

/** Migrates on a separate connection without timeouts. */
async function migrate(url: string, { packageFolder, onIdleError }: DatabaseOptions): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'flex-identity migrate',
  });
  client.on('error', onIdleError);
  await client.connect();
  try {
    await applyMigrations(toDatabase(client), packageFolder);
  } finally {
    await client.end();
  }
}
