/**
 * Runs test files in worker processes. A file that crashes or hangs affects only its own process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, isAbsolute, join, relative } from 'node:path';
import type { TestReport } from './reporter.js';
import { compiledFile, root } from './root.js';

/** The maximum time without a report. The longest test takes a third of it. */
const defaultSilenceSeconds = 180;

/** Seconds of each file in the last local run. */
const durationsFile = join(root, 'node_modules/.cache/flex-identity-tests.json');

interface RunOptions {
  /** for experiments, which measure */
  oneAtATime?: boolean;
  /** the seed of a random order; without it, the longest files run first */
  seed?: number | undefined;
  silenceSeconds?: number;
}

interface FileResult {
  file: string;
  seconds: number;
  cpuSeconds: number;
}

/** A message of a worker. */
interface WorkerMessage {
  ready?: true;
  /** the name of a test */
  started?: string;
  report?: TestReport;
  done?: { seconds: number; cpuSeconds: number; failedLate: boolean };
}

/** @returns whether all tests passed */
export async function runFiles(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
  { oneAtATime = false, seed, silenceSeconds = defaultSilenceSeconds }: RunOptions = {},
): Promise<boolean> {
  const startedAt = performance.now();
  const durations: Record<string, number> = existsSync(durationsFile)
    ? JSON.parse(readFileSync(durationsFile, 'utf8'))
    : {};
  const queue = seed === undefined ? longestFirst(files, durations) : shuffled(files, seed);
  if (seed !== undefined) console.log(`random order: --shuffle=${seed}`);
  // One more than the processors, because files often wait.
  const count = oneAtATime ? 1 : Math.min(queue.length, availableParallelism() + 1);
  const results = new Results();
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      stopping = true;
    });
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (queue.length > 0 && !stopping) await runWorker(queue, env, results, silenceSeconds);
    }),
  );
  for (const { file, seconds } of results.files) durations[file] = seconds;
  mkdirSync(dirname(durationsFile), { recursive: true });
  writeFileSync(durationsFile, JSON.stringify(durations));
  results.print((performance.now() - startedAt) / 1_000);
  return results.succeeded && !stopping;
}

class Results {
  readonly files: FileResult[] = [];
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #failures: string[] = [];

  add(file: string, { name, state, error }: TestReport): void {
    this.#counts[state] += 1;
    if (state === 'failed') this.fail(file, `${name}\n${error}`);
  }

  fail(file: string, about: string): void {
    const failure = `✖ ${file}: ${about}`;
    this.#failures.push(failure);
    console.error(`\n${failure}\n`);
  }

  get succeeded(): boolean {
    return this.#failures.length === 0;
  }

  print(wallSeconds: number): void {
    const slowest = this.files.toSorted((one, other) => other.seconds - one.seconds).slice(0, 10);
    console.log(`\nthe slowest files:\n${slowest.map(describeFile).join('\n')}`);
    if (!this.succeeded) console.log(`\nfailed:\n\n${this.#failures.join('\n\n')}`);
    const cpuSeconds = this.files.reduce((sum, file) => sum + file.cpuSeconds, 0);
    console.log(
      `\n${this.files.length} files in ${wallSeconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of processor time in the workers`,
    );
    const { passed, failed, skipped } = this.#counts;
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}

const describeFile = ({ file, seconds, cpuSeconds }: FileResult): string =>
  `${seconds.toFixed(1).padStart(6)} s ${cpuSeconds.toFixed(1).padStart(6)} s CPU  ${file}`;

/**
 * Runs queued files in a process until none is left, or until a file stops or blocks the process.
 */
async function runWorker(
  queue: string[],
  env: NodeJS.ProcessEnv,
  results: Results,
  silenceSeconds: number,
): Promise<void> {
  const worker = fork(compiledFile('tests/support/worker.ts'), {
    cwd: root,
    env,
    execArgv: [
      ...['--import', compiledFile('tests/support/light-test-runner.ts')],
      `--test-reporter=${compiledFile('tests/support/reporter.ts')}`,
    ],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // A process group, so services of the worker stop with it.
    detached: true,
  });
  const kill = (): void => killGroup(worker);
  process.once('exit', kill);
  process.once('SIGTERM', kill).once('SIGINT', kill);
  let running: string | undefined;
  let runningTest: string | undefined;
  let failed = false;
  let hangs = false;
  const watchdog = setTimeout(() => {
    hangs = true;
    kill();
  }, silenceSeconds * 1_000);
  worker.on('message', ({ ready, started, report, done }: WorkerMessage) => {
    watchdog.refresh();
    if (ready) {
      running = queue.shift();
      worker.send({ file: running === undefined ? null : pathOf(running) });
    }
    if (started !== undefined) runningTest = started;
    if (report !== undefined) {
      failed ||= report.state === 'failed';
      results.add(running ?? 'no file', report);
    }
    if (done !== undefined && running !== undefined) {
      const result = { file: running, ...done };
      results.files.push(result);
      console.log(describeFile(result));
      if (done.failedLate && !failed) results.fail(running, 'something failed after its test had ended');
      failed = false;
      running = runningTest = undefined;
    }
  });
  const code = await exitOf(worker);
  clearTimeout(watchdog);
  for (const event of ['exit', 'SIGTERM', 'SIGINT']) process.removeListener(event, kill);
  kill();
  if (running === undefined) return;
  const during = runningTest === undefined ? '' : ` during "${runningTest}"`;
  const ending = hangs ? `reported nothing for ${silenceSeconds} s` : `ended its process with ${code}`;
  results.fail(running, `${ending}${during}`);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group has stopped.
  }
}

/** @returns the exit code, or the signal that stopped the process */
function exitOf(worker: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => worker.on('exit', (code, signal) => resolve(signal ?? code ?? 1)));
}

/** A file outside the tests, such as one of `.ci/run`, runs directly. */
function pathOf(file: string): string {
  const path = isAbsolute(file) ? file : join(root, file);
  const within = relative(root, path);
  return within.startsWith('tests/') ? compiledFile(within) : path;
}

/**
 * Longest first, so no long file remains at the end. New files run first: slow ones, then large
 * ones.
 */
function longestFirst(files: readonly string[], durations: Record<string, number>): string[] {
  const guessed = (file: string) => (file.endsWith('.slow.test.ts') ? 20 : 0) + statSync(join(root, file)).size / 4_000;
  const expected = (file: string) => durations[file] ?? guessed(file);
  return files.toSorted((one, other) => expected(other) - expected(one));
}

/** A deterministic order by seed. */
function shuffled(files: readonly string[], seed: number): string[] {
  let state = seed;
  // The linear congruential generator of Numerical Recipes. The order need not be unpredictable.
  const random = () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
  return files
    .map((file) => ({ file, at: random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ file }) => file);
}
