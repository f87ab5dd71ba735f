/** The tested service, in this or another process, over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type SQL, sql } from 'drizzle-orm';
import pg from 'pg';
import { type App, createApp } from '../../src/app/app.js';
import { createLogger } from '../../src/app/logger.js';
import { readConfig } from '../../src/config/load.js';
import { subscribers } from '../../src/domain/events/subscribers.js';
import { createServer } from '../../src/http/server.js';
import { compiledOnce } from './database.js';
import { freePort } from './postgres.js';
import { root } from './root.js';

const main = join(root, 'dist/main.js');

export interface Service {
  url: string;
  app: App;
  stop(): Promise<void>;
}

export interface LoggedService extends Service {
  /** the log; empty unless `LOG_LEVEL` is set */
  output(): string;
}

/** Cheap hashes, and no limits by client, because tests share one client. */
const testEnvironment = {
  NODE_ENV: 'test',
  PORT: '0',
  PUBLIC_URL: 'http://localhost:4000',
  BCRYPT_COST: '4',
  PASSWORD_HASH_THREADS: '1',
  SIGN_UPS_PER_HOUR: '0',
  LOOK_UPS_PER_MINUTE: '0',
  FAILED_ATTEMPTS_PER_HOUR: '0',
  SENDS_PER_HOUR: '0',
  // In production the service waits five seconds before it stops.
  SHUTDOWN_DRAIN_SECONDS: '0',
  LOG_LEVEL: 'silent',
};

/** Creates an empty, migrated database on the PostgreSQL of `run.ts`. @returns its URL */
export async function createDatabase(options = 'template template_flex'): Promise<string> {
  const { TEST_POSTGRES_URL } = process.env;
  if (TEST_POSTGRES_URL === undefined)
    throw new Error('run the tests by `npm test`, or `npm test -- FILE`: they need its PostgreSQL');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client(TEST_POSTGRES_URL);
  await client.connect();
  // PostgreSQL rejects concurrent copies of a template.
  await client.query('select pg_advisory_lock(1)');
  const strategy = options.startsWith('template ') ? 'strategy file_copy' : '';
  await client.query(`create database ${name} ${options} ${strategy}`);
  await client.end();
  const url = new URL(TEST_POSTGRES_URL);
  url.pathname = `/${name}`;
  return url.href;
}

/** Creates a folder, and removes it after the tests of this file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flex-identity-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Starts the service in this process, and stops it after the tests of this file. Creates a database
 * unless `DATABASE_URL` names one; `memory:` is the embedded one.
 */
export async function startService(environment: Record<string, string> = {}): Promise<LoggedService> {
  const config = readConfig({
    ...testEnvironment,
    DATA_DIR: temporaryFolder(),
    ...(environment.DATABASE_URL ? {} : { DATABASE_URL: await createDatabase() }),
    ...environment,
  });
  let output = '';
  const log = createLogger(config, {
    write(line) {
      output += line;
    },
  });
  const create = () => createApp(config, subscribers, log);
  const app = await (config.databaseUrl?.startsWith('postgres') ? create() : compiledOnce(create));
  const server = await createServer(app);
  const url = await server.listen();
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= server.close());
  after(stop);
  return { url, app, output: () => output, stop };
}

export interface ServiceProcess {
  url: string;
  process: ChildProcess;
  /** the output so far */
  output(): string;
  /** @returns the exit code; null after a signal */
  exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** Secrets that replicas share. */
export function sharedSecrets(): Record<string, string> {
  const secret = () => randomBytes(32).toString('base64');
  return { SECRET_KEY: secret(), PASSWORD_PEPPER: secret(), BOOTSTRAP_SECRET: secret() };
}

/**
 * Starts the built service in a separate process on a free port, or on `PORT`. Stops it after the
 * tests of this file.
 * @param options.program another copy of the service
 * @param options.under a program and arguments that start another program
 */
export async function spawnService(
  environment: Record<string, string>,
  { program = main, under = [] }: { program?: string; under?: readonly string[] } = {},
): Promise<ServiceProcess> {
  const port = environment.PORT ?? (await freePort());
  const [command = '', ...rest] = [...under, process.execPath, ...flagsFor(environment), program];
  const child = spawn(command, rest, {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...testEnvironment, PORT: String(port), LOG_LEVEL: 'warn', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`the service exited with ${child.exitCode}:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    process: child,
    output: () => output,
    exited,
    async kill(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

/**
 * Node options. Compiling the WebAssembly of the embedded database quickly suffices for short
 * tests.
 */
export function flagsFor({ DATABASE_URL }: Record<string, string>): string[] {
  return DATABASE_URL?.startsWith('postgres') ? [] : ['--liftoff-only'];
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false;
  }
}

const tables = [
  'audit_events',
  'outbox_messages',
  'rate_limit_events',
  'sign_in_throttles',
  'one_time_passwords',
  'sessions',
  'security_tokens',
  'users',
] as const;

/** Empties every table except the keys. */
export async function clear({ app: { db } }: Service): Promise<void> {
  // `delete` is faster than `truncate` for small tables, because it creates no files.
  const deletes = tables.map((table) => `delete from ${table};`).join(' ');
  await db.execute(sql.raw(`do $$ begin ${deletes} end $$`));
}

/** Returns the result of a statement. */
export async function rows<T>({ app: { db } }: Service, statement: SQL): Promise<T[]> {
  // Both drivers have the same result type here.
  return ((await db.execute(statement)) as unknown as { rows: T[] }).rows;
}

export async function countRows(service: Service, table: (typeof tables)[number]): Promise<number> {
  const [row] = await rows<{ count: number }>(service, sql.raw(`select count(*)::int as count from ${table}`));
  return row!.count;
}

/**
 * Shifts every stored time into the past. Access tokens keep their times.
 * Keys keep their age by default, because processes would notice a change at different times.
 */
export async function advance(
  { app: { db } }: Service,
  seconds: number,
  { keys = false }: { keys?: boolean } = {},
): Promise<void> {
  await db.execute(
    sql.raw(`do $$ declare c record; begin
      for c in select relname, string_agg(format('%1$I = %1$I - make_interval(secs => ${Number(seconds)})', attname), ', ') as sets
        from pg_class join pg_attribute on attrelid = pg_class.oid and atttypid = 'timestamptz'::regtype and not attisdropped
        where relnamespace = 'public'::regnamespace and relkind = 'r' and (${keys} or relname <> 'keys') group by relname
      loop execute format('update %I set %s', c.relname, c.sets); end loop;
    end $$`),
  );
}

/** Starts a service that should stop by itself, and returns its output. */
export async function runToExit(
  environment: Record<string, string>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...testEnvironment, LOG_LEVEL: 'warn', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  // A service that starts is a failure, and must not hang the test.
  const deadline = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(deadline);
  return { code, stdout, stderr };
}
