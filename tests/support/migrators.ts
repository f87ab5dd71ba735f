/** Processes that migrate a database, and their applied migrations. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Replicas } from './replicas.js';
import { root } from './root.js';
import { sharedSecrets } from './service.js';

const cli = join(root, 'dist/cli.js');
const secrets = sharedSecrets();

export function migrator(DATABASE_URL: string): { process: ChildProcess; exited: Promise<number | null> } {
  const child = spawn(process.execPath, [cli, 'migrate'], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, LOG_LEVEL: 'silent', ...secrets, DATABASE_URL },
    stdio: 'ignore',
  });
  after(() => child.kill('SIGKILL'));
  return { process: child, exited: new Promise((resolve) => child.on('exit', resolve)) };
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 20_000; !(await condition()); await delay(10))
    assert.ok(performance.now() < deadline, String(condition));
}

export async function connections(query: Replicas['query']): Promise<number> {
  const rows = await query(
    "select from pg_stat_activity where datname = current_database() and application_name like 'flex-identity%'",
  );
  return rows.length;
}

/** Returns the number of applied migrations, and asserts that none is repeated. */
export async function appliedIn(query: Replicas['query']): Promise<number> {
  const [row] = await query(
    'select count(*)::int as count, count(distinct hash)::int as different from drizzle.__drizzle_migrations',
  );
  assert.equal(row.count, row.different);
  return row.count;
}
