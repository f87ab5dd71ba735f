/**
 * Shared parts of the benchmarks: starts the built service in production mode, and generates load.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { freePort } from '../tests/support/postgres.js';
import { root } from '../tests/support/root.js';
import { sharedSecrets } from '../tests/support/service.js';
import type { Operation } from './operations.js';

/** A common cost in deployments. The default of the service is 12. */
export const cost = 10;

/** Returns the environment of a service on the database, without rate limits. */
export function benchEnvironment(databaseUrl: string): Record<string, string> {
  const zero = (...names: string[]) => Object.fromEntries(names.map((name) => [name, '0']));
  return {
    ...sharedSecrets(),
    NODE_ENV: 'production',
    // All processes share one URL, because it is the issuer of their tokens.
    PUBLIC_URL: 'http://localhost:4000',
    DATABASE_URL: databaseUrl,
    DATA_DIR: tmpdir(),
    BCRYPT_COST: String(cost),
    ACCESS_TOKEN_TTL_SECONDS: '3600',
    SHUTDOWN_DRAIN_SECONDS: '0',
    DELIVERY_OUTBOX: 'true',
    ...zero('SIGN_UPS_PER_HOUR', 'LOOK_UPS_PER_MINUTE', 'SENDS_PER_HOUR', 'FAILED_ATTEMPTS_PER_HOUR'),
    ...zero('OTP_SEND_INTERVAL_SECONDS', 'OTP_SENDS_PER_HOUR', 'OTP_SENDS_PER_DAY'),
  };
}

export interface BuiltService {
  url: string;
  process: ChildProcess;
  /** Stops the service gracefully. */
  stop(): Promise<void>;
}

const started: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});

/** Starts the service like `npm start`, in a separate process without a log. */
export async function startBuiltService(
  environment: Record<string, string>,
  nodeOptions: string[] = [],
): Promise<BuiltService> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, ['--max-old-space-size=256', ...nodeOptions, join(root, 'dist/main.js')], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...environment, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  started.push(child);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const isReady = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error(`the service exited with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url,
    process: child,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

export interface Driven {
  /** responses within the measured time */
  count: number;
  perSecond: number;
  /** milliseconds */
  p50: number;
  p99: number;
}

/**
 * Drives the service with requests.
 * @throws for an unexpected response, because fast failures would distort the figures
 */
export async function drive(url: string, operation: Operation, connections: number, seconds: number): Promise<Driven> {
  // Requests in flight at the end do not count, because the connections at the start compensate for
  // them.
  let [count, end] = [0, Number.POSITIVE_INFINITY];
  const wrong: string[] = [];
  const { latency } = await autocannon({
    url: `${url}/graphql`,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest(request) {
          if (end === Number.POSITIVE_INFINITY) end = performance.now() + seconds * 1000;
          const { query, variables = {}, token } = operation.request();
          const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
          return { ...request, headers, body: JSON.stringify({ query, variables }) };
        },
        onResponse(_status, body) {
          if (performance.now() < end) count += 1;
          if (!body.includes(operation.expects)) wrong.push(body);
          else operation.onAnswer?.(JSON.parse(body).data);
        },
      },
    ],
  });
  if (wrong.length > 0) throw new Error(`${operation.name}: ${wrong.length} wrong answers, the first is ${wrong[0]}`);
  return { count, perSecond: count / seconds, p50: latency.p50, p99: latency.p99 };
}

export function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}
