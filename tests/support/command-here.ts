/**
 * Runs commands in this process, where their modules are loaded. A separate process needs a second
 * to load them.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { mock } from 'node:test';
import { inspect } from 'node:util';
import { compiledFile } from './root.js';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Ends a command that calls `process.exit`. */
class Exit extends Error {
  constructor(readonly exitCode: number) {
    super(`exit with ${exitCode}`);
  }
}

let started = 0;
let previous: Promise<unknown> = Promise.resolve();

/** Runs a command after the previous one, because both would use the streams of this process. */
export function runHere(
  args: readonly string[],
  environment: Record<string, string>,
  input: string | Buffer = '',
): Promise<Ended> {
  const ended = previous.then(() => runNow(args, environment, input));
  previous = ended.catch(() => {});
  return ended;
}

async function runNow(
  args: readonly string[],
  environment: Record<string, string>,
  input: string | Buffer,
): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const restore = replaceProcess({ args, environment, input }, written);
  let code: number;
  try {
    code = await runProgram();
  } catch (error) {
    code = 1;
    written.stderr += inspect(error);
  } finally {
    restore();
  }
  assert.doesNotMatch(written.stderr, /\n\s+at |node:internal/, 'a stack trace is nothing for people');
  return { code, ...written };
}

/** @returns the exit code */
async function runProgram(): Promise<number> {
  started += 1;
  try {
    // A new address, so the module runs again. The modules that it imports do not.
    await import(`${compiledFile('src/cli/cli.ts')}?${started}`);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof Exit) return error.exitCode;
    throw error;
  }
}

/**
 * Replaces what a command reads and writes of its process.
 * @returns restores it
 */
function replaceProcess(
  {
    args,
    environment,
    input,
  }: { args: readonly string[]; environment: Record<string, string>; input: string | Buffer },
  written: { stdout: string; stderr: string },
): () => void {
  const { argv, env, exitCode } = process;
  const { PATH, TEST_POSTGRES_URL } = env;
  process.argv = [process.execPath, compiledFile('src/cli/cli.ts'), ...args];
  // Concurrent tests of this file read these two.
  process.env = { PATH, TEST_POSTGRES_URL, ...environment };
  process.exitCode = undefined;
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin');
  const stream = Readable.from(input.length > 0 ? [Buffer.from(input)] : []);
  Object.defineProperty(process, 'stdin', { value: stream, configurable: true });
  const terminals = [process.stdout.isTTY, process.stderr.isTTY];
  [process.stdout.isTTY, process.stderr.isTTY] = [false, false];
  const mocks = (['stdout', 'stderr'] as const).map((name) =>
    mock.method(process[name], 'write', (text: string | Uint8Array) => {
      written[name] += String(text);
      return true;
    }),
  );
  const exit = mock.method(process, 'exit', (code?: number) => {
    throw new Exit(code ?? Number(process.exitCode ?? 0));
  });
  // The folder of the project may have a `.env`.
  const load = mock.method(process, 'loadEnvFile', () => {});
  return () => {
    Object.assign(process, { argv, env, exitCode });
    if (stdin !== undefined) Object.defineProperty(process, 'stdin', stdin);
    [process.stdout.isTTY, process.stderr.isTTY] = terminals as [boolean, boolean];
    for (const { mock } of [...mocks, exit, load]) mock.restore();
  };
}
