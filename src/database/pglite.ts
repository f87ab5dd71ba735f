/** The embedded database: PGlite in a folder that one process locks, or in memory. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { PGlite } from '@electric-sql/pglite';
import type { Database, DatabaseOptions, OpenDatabase } from './database.js';
import { applyMigrations } from './migrate.js';
import { acquireProcessLock } from './process-lock.js';

/**
 * Migrated cluster that the build writes, relative to the package.
 * PGlite loads it in a fifth of the time of `initdb`.
 */
export const preparedCluster = 'dist/embedded-cluster.tar.gz';

export async function openPglite({ url, dataDir, packageFolder }: DatabaseOptions): Promise<OpenDatabase> {
  const [{ client, close }, { drizzle }] = await Promise.all([
    openEmbedded(url === 'memory:' ? null : dataDir, packageFolder),
    import('drizzle-orm/pglite'),
  ]);
  // Invariant: `Database` omits only the driver's result type.
  const db = drizzle(client) as unknown as Database;
  return { db, migrate: () => applyMigrations(db, packageFolder), close, connections: () => null };
}

interface Embedded {
  client: PGlite;
  /** Closes the database, then releases the folder. */
  close(): Promise<void>;
}

/**
 * Opens the database in `dataDir`, and creates it if missing.
 * @param dataDir null for a database in memory
 * @throws {DatabaseInUseError}
 */
async function openEmbedded(dataDir: string | null, packageFolder: string): Promise<Embedded> {
  const cluster = join(packageFolder, preparedCluster);
  if (dataDir === null) {
    const client = await create('memory://', cluster);
    return { client, close: () => client.close() };
  }
  const folder = join(dataDir, 'database');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const release = await acquireProcessLock(dataDir);
  const client = await openFolder(folder, cluster);
  return {
    client,
    async close() {
      await client.close();
      await release();
    },
  };
}

/**
 * Opens the cluster in the folder, and creates it if missing.
 * PGlite cannot open the partial cluster that a process killed during creation leaves.
 * A marker file exists during creation, so the next start discards the partial cluster.
 */
async function openFolder(folder: string, cluster: string): Promise<PGlite> {
  const unfinished = `${folder}.unfinished`;
  if (existsSync(unfinished)) {
    rmSync(folder, { recursive: true });
    mkdirSync(folder, { mode: 0o700 });
  }
  if (readdirSync(folder).length > 0) return open(folder);
  writeFileSync(unfinished, '');
  const client = await create(folder, cluster);
  rmSync(unfinished);
  return client;
}

async function create(dataDir: string, cluster: string): Promise<PGlite> {
  return open(dataDir, existsSync(cluster) ? new Blob([gunzipSync(readFileSync(cluster))]) : undefined);
}

/** Imports PGlite at first use, because it is large. */
async function open(dataDir: string, loadDataDir?: Blob): Promise<PGlite> {
  const { PGlite } = await import('@electric-sql/pglite');
  return PGlite.create({ dataDir, ...(loadDataDir && { loadDataDir }) });
}
