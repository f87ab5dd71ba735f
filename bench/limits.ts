/**
 * Measures the theoretical limits in a separate process. It runs the same statements by plain `pg`,
 * with and without a bare Fastify route. It runs bcrypt on the same number of threads.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { fastify } from 'fastify';
import pg from 'pg';

export interface RawStatement {
  name: string;
  text: string;
  /** values of the executions, used in turn */
  values: unknown[][];
}

export type LimitRequest =
  | { ask: 'statements'; statements: RawStatement[] }
  | { ask: 'raw'; name: string; concurrency: number; seconds: number }
  | { ask: 'bcrypt'; package: 'bcryptjs' | 'bcrypt-native'; cost: number; seconds: number };

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL!, max: 10, idleTimeoutMillis: 300_000 });
// The benchmark stops the database at the end.
pool.on('error', () => process.exit());
const statements = new Map<string, RawStatement & { next: number }>();

function run(name: string): Promise<pg.QueryResult> {
  const statement = statements.get(name)!;
  const values = statement.values[statement.next++ % statement.values.length]!;
  return pool.query({ name, text: statement.text, values });
}

/** @returns executions per second */
async function raw(name: string, concurrency: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (; performance.now() < end; count += 1) await run(name);
    }),
  );
  return (count / (performance.now() - start)) * 1000;
}

const hasher = `
  const { parentPort, workerData: { name, cost, seconds } } = require('node:worker_threads');
  import(name).then(({ compareSync, hashSync }) => {
    const hash = hashSync('x'.repeat(64), cost);
    const start = performance.now();
    let count = 0;
    for (; performance.now() - start < seconds * 1000; count += 1) compareSync('y'.repeat(64), hash);
    parentPort.postMessage((count / (performance.now() - start)) * 1000);
  });`;

/** @returns hashes per second of all threads */
async function bcrypt(name: string, cost: number, seconds: number): Promise<number> {
  const rates = await Promise.all(
    Array.from({ length: availableParallelism() }, () => {
      const worker = new Worker(hasher, { eval: true, workerData: { name, cost, seconds } });
      return new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

const http = fastify({ logger: false });
http.post<{ Params: { name: string } }>('/:name', async ({ params }) => ({
  rows: (await run(params.name)).rows.length,
}));
http.post('/nothing', async () => ({
  data: { policy: { passwordMinLength: 8, defaultRegion: 'US' } },
}));
const url = await http.listen({ host: '127.0.0.1', port: 0 });

process.on('message', async (request: LimitRequest) => {
  switch (request.ask) {
    case 'statements':
      for (const statement of request.statements) statements.set(statement.name, { ...statement, next: 0 });
      return process.send!(url);
    case 'raw':
      return process.send!(await raw(request.name, request.concurrency, request.seconds));
    case 'bcrypt':
      return process.send!(await bcrypt(request.package, request.cost, request.seconds));
  }
});
process.send!('ready');
