/** Two processes of the service on one PostgreSQL, and concurrent requests to both. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import pg from 'pg';
import { openTestDatabase } from './database.js';
import {
  advance,
  createDatabase,
  type LoggedService,
  type Service,
  type ServiceProcess,
  sharedSecrets,
  spawnService,
  startService,
} from './service.js';

type Replica = Pick<LoggedService, 'url' | 'output'>;

export interface Replicas<Each extends Replica = Replica> {
  /** The two processes. */
  both: readonly [Each, Each];
  environment: Record<string, string>;
  /** Queries the database directly. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  query(text: string, values?: unknown[]): Promise<any[]>;
  /** Shifts time for both. */
  advance(seconds: number): Promise<void>;
}

/** Starts two replicas: a cheap one in the process of the test, and one in a separate process. */
export async function startReplicas(environment: Record<string, string> = {}): Promise<Replicas> {
  const shared = await shareDatabase(environment);
  const both = await Promise.all([startService({ LOG_LEVEL: 'warn', ...shared }), spawnService(shared)]);
  return { both, environment: shared, ...(await connect(shared.DATABASE_URL)) };
}

/** Starts two replicas in separate processes, which can be killed. */
export async function spawnReplicas(environment: Record<string, string> = {}): Promise<Replicas<ServiceProcess>> {
  const shared = await shareDatabase(environment);
  const both = await Promise.all([spawnService(shared), spawnService(shared)]);
  return { both, environment: shared, ...(await connect(shared.DATABASE_URL)) };
}

async function shareDatabase(environment: Record<string, string>) {
  return { ...sharedSecrets(), DATABASE_URL: environment.DATABASE_URL ?? (await createDatabase()), ...environment };
}

/** Opens a connection to the database of a service, and closes it after the tests of this file. */
export async function connect(url: string): Promise<Pick<Replicas, 'query' | 'advance'>> {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  // The server may stop before these connections.
  pool.on('error', () => {});
  const database = await openTestDatabase({ url });
  after(() => Promise.all([pool.end(), database.close()]));
  return {
    query: async (text, values) => (await pool.query(text, values)).rows,
    advance: (seconds) => advance({ app: { db: database.db } } as Service, seconds),
  };
}

/**
 * Sends `count` concurrent requests, alternating between both processes, and returns their
 * responses.
 */
export async function atOnce<T>(
  { both }: Pick<Replicas, 'both'>,
  count: number,
  request: (service: Replica, index: number) => Promise<T>,
): Promise<T[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => insist(() => request(both[index % 2]!, index))),
  );
  assertNoDeadlock({ both });
  return answers;
}

/** Retries while the service is busy, because the capacity depends on the machine. */
export async function insist<T>(request: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return await request();
    } catch (error) {
      const busy = error instanceof Error && error.message.includes('SERVICE_UNAVAILABLE');
      if (!busy || Date.now() > deadline) throw error;
    }
  }
}

/** Asserts that no request failed because of a deadlock. */
export function assertNoDeadlock({ both }: Pick<Replicas, 'both'>): void {
  for (const service of both) assert.doesNotMatch(service.output(), /deadlock detected/);
}

/** Counts the responses by type. */
export function tally(answers: { __typename: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { __typename } of answers) counts[__typename] = (counts[__typename] ?? 0) + 1;
  return counts;
}
