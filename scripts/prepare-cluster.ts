/** Creates the initial embedded database, because `initdb` and all migrations take seconds. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { PGlite } from '@electric-sql/pglite';
import { openDatabase } from '../src/database/open-database.js';
import { preparedCluster } from '../src/database/pglite.js';

export async function prepareCluster(root: string): Promise<void> {
  const file = join(root, preparedCluster);
  rmSync(file, { force: true });
  const database = await openDatabase({
    url: 'memory:',
    poolSize: 1,
    dataDir: '',
    packageFolder: root,
    onIdleError: () => {},
  });
  await database.migrate();
  const { $client } = database.db as unknown as { $client: PGlite };
  const cluster = await $client.dumpDataDir('none');
  await database.close();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, gzipSync(Buffer.from(await cluster.arrayBuffer())));
}
