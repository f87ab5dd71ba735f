/** Runs the commands of the package, each in a separate process or in this one. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ended, runHere } from './command-here.js';
import { root } from './root.js';
import { createDatabase, flagsFor, sharedSecrets, startService, temporaryFolder } from './service.js';

/** Every command of the command line. */
export const commands = [
  'serve',
  'migrate',
  'create-superuser',
  'set-password',
  'unlock',
  'prune',
  'print-schema',
  'import-django',
  'import',
];

export const cli = join(root, 'dist/cli.js');

export const quick = { NODE_ENV: 'test', BCRYPT_COST: '4', PASSWORD_HASH_THREADS: '1', LOG_LEVEL: 'silent' };

/** Starts a service, and returns the environment for commands on its database. */
export async function startCommands() {
  const environment = { DATABASE_URL: await createDatabase(), DATA_DIR: temporaryFolder(), ...sharedSecrets() };
  const service = await startService(environment);
  return {
    environment,
    service,
    /** Runs a command in a process without a terminal. */
    run: (args: string[], env: Record<string, string> = environment, input = '') => run(args, env, input),
    /** Runs a command in this process. */
    runHere: (args: string[], env: Record<string, string> = environment, input = '') =>
      runHere(args, { ...quick, ...env }, input),
  };
}

/** Starts a command, and stops it after the tests of this file at the latest. */
export function start(args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [...flagsFor(env), cli, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...quick, ...env },
    stdio: 'pipe',
  });
  after(() => child.kill('SIGKILL'));
  return child;
}

export async function end(child: ChildProcess): Promise<Ended> {
  const ended = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream]!.on('data', (data) => (ended[stream] += data));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, ...ended };
}

async function run(args: string[], env: Record<string, string>, input = ''): Promise<Ended> {
  const child = start(args, env);
  child.stdin!.end(input);
  const ended = await end(child);
  assert.doesNotMatch(ended.stderr, /\n\s+at |node:internal/, 'a stack trace is nothing for people');
  return ended;
}

/** Waits until the service is ready. */
export async function ready(port: number): Promise<void> {
  for (;;) {
    try {
      if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return;
    } catch {
      // Not listening yet.
    }
    await delay(50);
  }
}
