/**
 * Measures an import of a million users: `npm run bench:import`. Prints time, rate and memory of an
 * import from Django, of a repetition, and of an import from JSON lines. Not part of the test run.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../tests/support/postgres.js';
import { root } from '../tests/support/root.js';

const count = Number(process.env.USERS ?? 1_000_000);
const cli = join(root, 'dist/cli.js');
const secret = () => randomBytes(32).toString('base64');
const secrets = { SECRET_KEY: secret(), PASSWORD_PEPPER: secret() };
const hash = 'pbkdf2_sha256$260000$LzuLPfizXqqsLLRcicGrjS$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=';

/**
 * All users have a username and an email, half a phone. Between imports, 10 % sign in and 1 %
 * change their email.
 */
const fill = [
  `create table django_flex_user_flexuser (id bigint primary key, password text not null, last_login timestamptz, is_superuser boolean not null,
     email text, phone text, username text, is_staff boolean not null, is_active boolean not null, date_joined timestamptz not null)`,
  `create table django_flex_user_emailtoken (id bigint primary key, verified boolean not null, timeout timestamptz, failure_count int not null, email text, user_id bigint unique)`,
  `create table django_flex_user_phonetoken (id bigint primary key, verified boolean not null, timeout timestamptz, failure_count int not null, phone text, user_id bigint unique)`,
  `insert into django_flex_user_flexuser select n, '${hash}', now(), false, 'user.' || n || '@example.com',
     case when n % 2 = 0 then '+1' || 2012000000 + n % 8000000 end, 'user_' || n, false, true, now() from generate_series(1, ${count}) n`,
  `insert into django_flex_user_emailtoken select id, id % 3 = 0, null, 0, email, id from django_flex_user_flexuser`,
  `insert into django_flex_user_phonetoken select id, id % 3 = 0, null, 0, phone, id from django_flex_user_flexuser where phone is not null`,
];
const change = [
  `update django_flex_user_flexuser set last_login = now() + interval '1 day' where id % 10 = 0`,
  `update django_flex_user_flexuser set email = 'new.' || email where id % 100 = 0`,
];

interface Measured {
  run: string;
  seconds: string;
  'rows per second': number;
  'processor s': string;
  'memory MB': number;
  created: number;
  updated: number;
  unchanged: number;
  notTaken: number;
}

const folder = mkdtempSync(join(tmpdir(), 'flex-identity-bench-'));
const postgres = await startPostgres();
try {
  await makeDatabase('django');
  for (const statement of fill) await query('django', statement);
  await query('django', 'vacuum analyze');
  const table: Measured[] = [];
  const fromDjango = ['import-django', urlOf('django'), '--map-file', join(folder, 'map')];
  await makeDatabase('here');
  table.push(await measure('django, dry run', 'here', [...fromDjango, '--dry-run']));
  table.push(await measure('django', 'here', fromDjango));
  table.push(await measure('django again', 'here', fromDjango));
  for (const statement of change) await query('django', statement);
  table.push(await measure('django, 1 in 10 changed', 'here', fromDjango));
  await makeDatabase('there');
  table.push(await measure('jsonl', 'there', ['import', '--format', 'jsonl', '-'], lines()));
  table.push(await measure('jsonl again', 'there', ['import', '--format', 'jsonl', '-'], lines()));
  console.table(table);
} finally {
  await postgres.stop();
  rmSync(folder, { recursive: true });
}

function* lines(): Iterable<string> {
  for (let n = 1; n <= count; n += 1) {
    const phone = n % 2 === 0 ? `+1${2_012_000_000 + (n % 8_000_000)}` : null;
    yield `${JSON.stringify({ id: n, username: `user_${n}`, email: `user.${n}@example.com`, phone, emailVerified: n % 3 === 0, passwordHash: hash, dateJoined: '2020-01-01T00:00:00Z' })}\n`;
  }
}

async function measure(run: string, database: string, args: string[], input?: Iterable<string>): Promise<Measured> {
  const started = performance.now();
  const sayUsage = 'data:text/javascript,process.on("exit",()=>console.error(JSON.stringify(process.resourceUsage())))';
  const child = spawn(process.execPath, ['--import', sayUsage, cli, ...args, '--json'], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      DATABASE_URL: urlOf(database),
      DATA_DIR: folder,
      PASSWORD_HASH_THREADS: '1',
      ...secrets,
    },
    stdio: 'pipe',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const closed = once(child, 'close');
  if (input !== undefined) for (const line of input) if (!child.stdin.write(line)) await once(child.stdin, 'drain');
  child.stdin.end();
  const [code] = await closed;
  if (code !== 0) throw new Error(stderr);
  const seconds = (performance.now() - started) / 1000;
  const { rows, created, updated, unchanged, notTaken } = JSON.parse(stdout);
  console.log(`${run}: ${seconds.toFixed(0)} s`);
  const usage = JSON.parse(stderr) as NodeJS.ResourceUsage;
  return {
    run,
    seconds: seconds.toFixed(1),
    'rows per second': Math.round(rows / seconds),
    'processor s': ((usage.userCPUTime + usage.systemCPUTime) / 1e6).toFixed(1),
    'memory MB': Math.round(usage.maxRSS / 1024),
    created,
    updated,
    unchanged,
    notTaken,
  };
}

async function makeDatabase(name: string): Promise<void> {
  await query('postgres', `create database ${name}`);
}

async function query(database: string, statement: string): Promise<void> {
  const client = new pg.Client(urlOf(database));
  await client.connect();
  await client.query(statement);
  await client.end();
}

function urlOf(database: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${database}`;
  return url.href;
}
