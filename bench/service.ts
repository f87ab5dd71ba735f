/**
 * Measures the speed of the service as ratios to theoretical limits: `npm run bench`. Not part of
 * the test run.
 * Options: `--json` prints records, `--seconds N` and `--rounds N` set duration and repetitions.
 * `--only NAME` selects operations by prefix, `--at-once N,N` sets the numbers of concurrent
 * requests.
 * `--profile` prints where the service spent its processor time.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { pino } from 'pino';
import { createApp } from '../src/app/app.js';
import { readConfig } from '../src/config/load.js';
import { subscribers } from '../src/domain/events/subscribers.js';
import { startPostgres } from '../tests/support/postgres.js';
import { root } from '../tests/support/root.js';
import { sendGridEnvironment, startSendGrid } from '../tests/support/sendgrid.js';
import { benchEnvironment, cost, type Driven, drive, median, startBuiltService } from './driving.js';
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

interface Measured {
  operation: string;
  concurrency: number;
  perSecond: number;
  p50: number;
  p99: number;
  /** ratio to the limit: median, minimum and maximum of the rounds */
  ratio: number | null;
  ratioLeast: number | null;
  ratioGreatest: number | null;
  /** ratio to a bare Fastify route with the same statement */
  ofRoute: number | null;
  /** ratio to a comparable operation without a session */
  ofAnonymous: number | null;
  /** ratio to native bcrypt on the same number of threads */
  ofNative: number | null;
  /** processor time per request, over all threads */
  cpuMilliseconds: number;
  eventLoopP99: number;
  memoryMegabytes: number;
}

const profileFolder = mkdtempSync(join(tmpdir(), 'flex-identity-profile-'));
const postgres = await startPostgres({ durable: true });
try {
  const environment = { ...benchEnvironment(postgres.url), ...sendGridEnvironment(await startSendGrid()) };
  const service = await startBuiltService(
    environment,
    options.profile ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : [],
  );
  const app = await createApp(readConfig(environment), subscribers, pino({ level: 'silent' }));
  const bench = await createBench(app, service, postgres.url);
  const limits = fork(join(root, 'bench/limits.ts'), {
    env: { ...process.env, NODE_ENV: 'production', DATABASE_URL: postgres.url },
    execArgv: ['--import', 'tsx'],
  });
  process.on('exit', () => limits.kill('SIGKILL'));
  await new Promise((resolve) => limits.once('message', resolve));
  const routes = (await ask(limits, { ask: 'statements', statements: bench.statements })) as string;
  const table: Measured[] = [];
  for (const operation of bench.operations.filter(({ name }) => name.startsWith(options.only)))
    for (const atOnce of concurrencies) {
      // With more hashes, the service would reject some because of the wait.
      const most = operation.limit === 'bcrypt' ? 16 : operation.beside ? 8 : atOnce;
      const concurrency = Math.min(atOnce, most);
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
  await postgres.stop();
  rmSync(profileFolder, { recursive: true });
}
process.exit(0);

function ask(limits: ChildProcess, request: LimitRequest): Promise<unknown> {
  const answer = new Promise((resolve) => limits.once('message', resolve));
  limits.send(request);
  return answer;
}

/** Alternates the service and its limits, so other load on the machine slows both. */
async function measure(
  url: string,
  operation: Operation,
  concurrency: number,
  limits: ChildProcess,
  routes: string,
): Promise<Measured> {
  const results: Driven[] = [];
  const ratios: number[] = [];
  const ofRoute: number[] = [];
  const ofNative: number[] = [];
  const ofAnonymous: number[] = [];
  const cpuMilliseconds: number[] = [];
  const readMetrics = async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)![1]);
  };
  for (let round = 0; round < rounds; round += 1) {
    await operation.prepare?.();
    const before = await readMetrics();
    const [result] = await Promise.all([
      drive(url, operation, concurrency, seconds),
      operation.beside && drive(url, operation.beside, 4, seconds),
    ]);
    const after = await readMetrics();
    results.push(result);
    const cpu = 'process_cpu_seconds_total';
    cpuMilliseconds.push(((after(cpu) - before(cpu)) * 1000) / result.count);
    const rate = result.perSecond;
    if (operation.limit === 'bcrypt') {
      // Wait for the last hashes to finish.
      await delay(2_000);
      const bcrypt = { ask: 'bcrypt', cost, seconds } as const;
      ratios.push(rate / ((await ask(limits, { ...bcrypt, package: 'bcryptjs' })) as number));
      ofNative.push(rate / ((await ask(limits, { ...bcrypt, package: 'bcrypt-native' })) as number));
    } else if (operation.limit !== 'nothing') {
      const raw = { ask: 'raw', name: operation.limit, concurrency, seconds } as const;
      ratios.push(rate / ((await ask(limits, raw)) as number));
    }
    if (operation.limit !== 'bcrypt') {
      const route = await autocannon({
        url: `${routes}/${operation.limit}`,
        method: 'POST',
        connections: concurrency,
        duration: seconds,
      });
      ofRoute.push(rate / (route.requests.total / route.duration));
    }
    if (operation.anonymous !== undefined)
      ofAnonymous.push(rate / (await drive(url, operation.anonymous, concurrency, seconds)).perSecond);
  }
  const metric = await readMetrics();
  return {
    operation: operation.name,
    concurrency,
    perSecond: median(results.map(({ perSecond }) => perSecond)),
    p50: median(results.map(({ p50 }) => p50)),
    p99: median(results.map(({ p99 }) => p99)),
    ratio: ratios.length > 0 ? median(ratios) : null,
    ratioLeast: ratios.length > 0 ? Math.min(...ratios) : null,
    ratioGreatest: ratios.length > 0 ? Math.max(...ratios) : null,
    ofRoute: ofRoute.length > 0 ? median(ofRoute) : null,
    ofAnonymous: ofAnonymous.length > 0 ? median(ofAnonymous) : null,
    ofNative: ofNative.length > 0 ? median(ofNative) : null,
    cpuMilliseconds: median(cpuMilliseconds),
    // The reported value includes the sampling interval of 10 ms.
    eventLoopP99: metric('nodejs_eventloop_lag_p99_seconds') * 1000 - 10,
    memoryMegabytes: metric('process_resident_memory_bytes') / 1024 ** 2,
  };
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
      'of limit':
        m.ratio === null ? '' : `${m.ratio.toFixed(2)} (${m.ratioLeast?.toFixed(2)}–${m.ratioGreatest?.toFixed(2)})`,
      'of route': m.ofRoute?.toFixed(2) ?? '',
      'of anonymous': m.ofAnonymous?.toFixed(2) ?? '',
      'of native': m.ofNative?.toFixed(2) ?? '',
      'cpu ms': m.cpuMilliseconds.toFixed(3),
      'loop p99 ms': m.eventLoopP99.toFixed(1),
      MB: m.memoryMegabytes.toFixed(0),
    })),
  );
}
