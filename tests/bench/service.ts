/**
 * How fast the service is, as ratios to what it cannot be faster than, measured in the same run: `npm run bench`. No part of the test run.
 * `--json` prints records, `--seconds N` and `--rounds N` say how long and how often, `--only TEXT` which operations, `--at-once N,N` how many requests at a time.
 * `--profile` tells in the end where the service's processor time went.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { pino } from 'pino';
import { createApp } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import { freePort, startPostgres } from '../support/postgres.js';
import { sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { sharedSecrets } from '../support/service.js';
import type { LimitRequest } from './limits.js';
import { type Bench, createBench, type Operation } from './operations.js';
import { readProfile } from './profile.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    'at-once': { type: 'string', default: '1,8,32' },
    profile: { type: 'boolean', default: false },
  },
});
const [seconds, rounds] = [Number(options.seconds), Number(options.rounds)];
const concurrencies = options['at-once'].split(',').map(Number);
const cost = 10;

interface Measured {
  operation: string;
  concurrency: number;
  perSecond: number;
  p50: number;
  p99: number;
  /** of its limit: the median of the rounds, the least and the greatest */
  ratio: number;
  ratioLeast: number;
  ratioGreatest: number;
  /** of the bare Fastify route doing the same statement, where there is one */
  ofRoute: number | null;
  /** processor time of the service for one request, all threads */
  cpuMilliseconds: number;
  eventLoopP99: number;
  memoryMegabytes: number;
}

const profileFolder = mkdtempSync(join(tmpdir(), 'flex-identity-profile-'));
const postgres = await startPostgres({ durable: true });
const children: ChildProcess[] = [];
try {
  const environment = {
    ...sharedSecrets(),
    NODE_ENV: 'production',
    DATABASE_URL: postgres.url,
    DATA_DIR: tmpdir(),
    BCRYPT_COST: String(cost),
    ACCESS_TOKEN_TTL_SECONDS: '3600',
    // What is measured is the work, not the refusal to do more of it.
    ...zero('SIGN_UPS_PER_HOUR', 'LOOK_UPS_PER_MINUTE', 'SENDS_PER_HOUR', 'GUESSES_PER_HOUR'),
    ...zero('OTP_SEND_INTERVAL_SECONDS', 'OTP_SENDS_PER_HOUR', 'OTP_SENDS_PER_DAY'),
    ...sendGridEnvironment(await startSendGrid()),
  };
  const service = await startService(environment);
  const app = await createApp(readConfig(environment), pino({ level: 'silent' }));
  const bench = await createBench(app, service, postgres.url);
  const limits = fork(join(import.meta.dirname, 'limits.ts'), {
    env: { ...process.env, NODE_ENV: 'production', DATABASE_URL: postgres.url },
    execArgv: ['--import', 'tsx'],
  });
  children.push(limits);
  await new Promise((resolve) => limits.once('message', resolve));
  const routes = (await ask(limits, { ask: 'statements', statements: bench.statements })) as string;
  const table: Measured[] = [];
  for (const operation of bench.operations.filter(({ name }) => name.includes(options.only)))
    for (const concurrency of concurrencies) {
      const measured = await measure(service.url, operation, concurrency, limits, routes);
      table.push(measured);
      if (options.json) console.log(JSON.stringify(measured));
      else console.error(`${operation.name} × ${concurrency}: ${measured.perSecond.toFixed(0)}/s`);
    }
  if (!options.json) print(table, bench);
  if (options.profile) {
    await service.stop();
    console.table(readProfile(profileFolder));
  }
  await bench.close();
  await app.close();
} finally {
  for (const child of children) child.kill('SIGKILL');
  await postgres.stop();
  if (!process.env.KEEP) rmSync(profileFolder, { recursive: true });
  else console.log(profileFolder);
}
process.exit(0);

function zero(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '0']));
}

/** The built service in production mode, in a process of its own, whose log goes nowhere. */
async function startService(environment: Record<string, string>): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const profiling = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : [];
  const child = spawn(process.execPath, [...profiling, join(import.meta.dirname, '../../dist/main.js')], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...environment, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  while (
    !(await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    url,
    async stop() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function ask(limits: ChildProcess, request: LimitRequest): Promise<unknown> {
  const answer = new Promise((resolve) => limits.once('message', resolve));
  limits.send(request);
  return answer;
}

/** A, B, A, B …: the service and its limits in turn, so that what slows the machine down slows both. */
async function measure(
  url: string,
  operation: Operation,
  concurrency: number,
  limits: ChildProcess,
  routes: string,
): Promise<Measured> {
  const results: autocannon.Result[] = [];
  const ratios: number[] = [];
  const ofRoute: number[] = [];
  const cpuMilliseconds: number[] = [];
  const readMetrics = async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)![1]);
  };
  for (let round = 0; round < rounds; round += 1) {
    await operation.prepare?.();
    const before = await readMetrics();
    const result = await drive(url, operation, concurrency);
    const after = await readMetrics();
    results.push(result);
    const cpu = 'process_cpu_seconds_total';
    cpuMilliseconds.push(((after(cpu) - before(cpu)) * 1000) / result.requests.total);
    const rate = result.requests.total / result.duration;
    if (operation.limit === 'bcrypt')
      ratios.push(rate / ((await ask(limits, { ask: 'bcrypt', cost, seconds })) as number));
    else {
      const raw = { ask: 'raw', name: operation.limit, concurrency, seconds } as const;
      ratios.push(rate / ((await ask(limits, raw)) as number));
      const route = await autocannon({
        url: `${routes}/${operation.limit}`,
        method: 'POST',
        connections: concurrency,
        duration: seconds,
      });
      ofRoute.push(rate / (route.requests.total / route.duration));
    }
  }
  const metric = await readMetrics();
  return {
    operation: operation.name,
    concurrency,
    perSecond: median(results.map(({ requests, duration }) => requests.total / duration)),
    p50: median(results.map(({ latency }) => latency.p50)),
    p99: median(results.map(({ latency }) => latency.p99)),
    ratio: median(ratios),
    ratioLeast: Math.min(...ratios),
    ratioGreatest: Math.max(...ratios),
    ofRoute: ofRoute.length > 0 ? median(ofRoute) : null,
    cpuMilliseconds: median(cpuMilliseconds),
    eventLoopP99: metric('nodejs_eventloop_lag_p99_seconds') * 1000,
    memoryMegabytes: metric('process_resident_memory_bytes') / 1024 ** 2,
  };
}

async function drive(url: string, operation: Operation, connections: number): Promise<autocannon.Result> {
  const wrong: string[] = [];
  const result = await autocannon({
    url: `${url}/graphql`,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest(request) {
          const { query, variables = {}, token } = operation.request();
          const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
          return { ...request, headers, body: JSON.stringify({ query, variables }) };
        },
        onResponse(_status, body) {
          if (!body.includes(operation.expects)) wrong.push(body);
          else operation.onAnswer?.(JSON.parse(body).data);
        },
      },
    ],
  });
  if (wrong.length > 0) throw new Error(`${operation.name}: ${wrong.length} wrong answers, the first is ${wrong[0]}`);
  return result;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

function print(table: Measured[], { operations }: Bench): void {
  console.table(
    table.map(({ operation, concurrency, ...m }) => ({
      operation,
      'at once': concurrency,
      'a second': m.perSecond.toFixed(0),
      'p50 ms': m.p50.toFixed(1),
      'p99 ms': m.p99.toFixed(1),
      limit: operations.find(({ name }) => name === operation)!.limit,
      'of limit': `${m.ratio.toFixed(2)} (${m.ratioLeast.toFixed(2)}–${m.ratioGreatest.toFixed(2)})`,
      'of route': m.ofRoute?.toFixed(2) ?? '',
      'cpu ms': m.cpuMilliseconds.toFixed(3),
      'loop p99 ms': m.eventLoopP99.toFixed(1),
      MB: m.memoryMegabytes.toFixed(0),
    })),
  );
}
