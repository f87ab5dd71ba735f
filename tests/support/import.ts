/** Runs imports beside a service on one database, in a separate process or in this one. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Answer, send } from './client.js';
import { type Ended, runHere } from './command-here.js';
import { withClient } from './django.js';
import { root } from './root.js';
import { createDatabase, type Service, sharedSecrets, startService, temporaryFolder } from './service.js';

export const cli = join(root, 'dist/cli.js');

export interface Importer {
  service: Service;
  databaseUrl: string;
  environment: Record<string, string>;
  /** Runs the command in this process. */
  run(args: string[], input?: string | Buffer): Promise<Ended>;
  /** Runs the command with `--json` in this process, and returns its result. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  answer(args: string[], input?: string | Buffer): Promise<any>;
  /** Like {@link answer}, in a separate process. */
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  answerOfProcess(args: string[], input?: string | Buffer): Promise<any>;
  start(args: string[]): ChildProcess;
  /** Returns rows of the database of the service. */
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  rows(sql: string, values?: unknown[]): Promise<any[]>;
  /** Returns all rows that an import writes, with their row versions. */
  everything(): Promise<string>;
}

/** Starts an unused service, and a command line on its database. */
export async function startImporter(): Promise<Importer> {
  const databaseUrl = await createDatabase();
  const shared = { DATABASE_URL: databaseUrl, DATA_DIR: temporaryFolder(), ...sharedSecrets() };
  const service = await startService({ ...shared, PASSWORD_HASH_THREADS: '2' });
  const environment = {
    NODE_ENV: 'test',
    BCRYPT_COST: '4',
    PASSWORD_HASH_THREADS: '1',
    LOG_LEVEL: 'silent',
    ...shared,
  };
  const start = (args: string[]) => startCli(args, environment);
  const runInProcess: Importer['run'] = async (args, input = '') => {
    const child = start(args);
    const ended = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) child[stream]!.on('data', (data) => (ended[stream] += data));
    // The command may stop before it has read everything.
    child.stdin!.on('error', () => {});
    child.stdin!.end(input);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    assert.doesNotMatch(ended.stderr, /\n\s+at |node:internal/, 'a stack trace is nothing for people');
    return { code, ...ended };
  };
  const answerBy =
    (run: Importer['run']): Importer['answer'] =>
    async (args, input) => {
      const { code, stdout, stderr } = await run([...args, '--json'], input);
      assert.deepEqual([code, stderr], [0, '']);
      return JSON.parse(stdout);
    };
  const run: Importer['run'] = (args, input) => runHere(args, environment, input);
  const rows: Importer['rows'] = (sql, values) =>
    withClient(databaseUrl, async (client) => (await client.query(sql, values)).rows);
  return {
    service,
    databaseUrl,
    environment,
    start,
    run,
    answer: answerBy(run),
    answerOfProcess: answerBy(runInProcess),
    rows,
    async everything() {
      const tables = ['users', 'security_tokens', 'one_time_passwords', 'sessions'];
      return JSON.stringify(
        await Promise.all(tables.map((table) => rows(`select xmin, ctid, t.* from ${table} t order by ctid`))),
      );
    },
  };
}

/** Starts a command, and stops it after the tests of this file at the latest. */
function startCli(args: string[], environment: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...environment },
    stdio: 'pipe',
  });
  after(() => child.kill('SIGKILL'));
  return child;
}

/** Returns source and new IDs of a file of `--map-file`. */
export function readMap(path: string): Map<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const map = new Map(lines.map((line) => line.split(',') as [string, string]));
  assert.equal(map.size, lines.length, 'an id is mapped once');
  return map;
}

const signIn = `mutation ($input: AuthenticateInput!) { authenticate(input: $input) {
  __typename ... on AuthenticateSuccess { user { id } tokens { accessToken } } ... on IdentityError { code }
} }`;

/** Signs in over GraphQL. @returns `AuthenticateSuccess`, or the other member */
export async function signsIn(service: Service, identifier: string, password: string): Promise<string> {
  const { data, errors }: Answer = await send(service, signIn, { input: { identifier, password } });
  assert.equal(errors, undefined);
  return data.authenticate.__typename;
}
