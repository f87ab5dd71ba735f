/** PostgreSQL: a pool of connections whose waits all end. */
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
    // pg drops idle connections after 10 s by default, and a new one costs more than it keeps.
    idleTimeoutMillis: 300_000,
    connectionTimeoutMillis: 2_000,
    application_name: 'flex-identity',
    // A pooler refuses to be told: there they are settings of the role.
    ...(!pooler && {
      statement_timeout: statementTimeoutMs,
      lock_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
    }),
  });
  pool.on('error', onIdleError);
  pool.on('connect', (client) => {
    // While it is lent for a transaction the pool does not listen, and an error that nobody listens to ends the process.
    client.on('error', onIdleError);
    const socket = getSocket(client);
    socket.on('timeout', () => {
      // Nothing was asked: it is the transaction that does something else. Invariant: pg sets this field on every client.
      if ((client as ClientInternals).readyForQuery) return;
      socket.destroy(Object.assign(new Error('the database is silent'), { code: 'ETIMEDOUT' }));
    });
  });
  pool.on('acquire', (client) => getSocket(client).setTimeout(socketTimeoutMs));
  pool.on('release', (_error, client) => getSocket(client).setTimeout(0));
  return pool;
}

/** The part of a client of `pg` that its types do not show. */
type ClientInternals = pg.ClientBase & { readyForQuery?: boolean };

function getSocket(client: pg.ClientBase): Socket {
  // The clients of a pool are of the class Client, and without `stream` options the stream is a socket.
  return (client as pg.Client).connection.stream as Socket;
}

function toDatabase(client: pg.Pool | pg.ClientBase): Database {
  // Invariant: drizzle runs on a client as on a pool, though its overloads name the pool only. `Database` leaves out the driver's type of results.
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
    if (own === undefined) throw new Error('The pool lent a client that it had not announced.');
    return own;
  };
  db.transaction = (work, config) => inTransaction(pool, getDatabase, work, config);
  return db;
}

type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

/** Runs a transaction and gives its connection back. Drizzle's own keeps a connection whose `begin` has failed. */
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

/** Migrates by a connection of its own, which has no timeouts. */
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
