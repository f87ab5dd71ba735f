/**
 * Measures how cost grows: `npm run bench:growth`. Runs operations on databases of 100, 10,000 and
 * 1,000,000 users.
 * Each database has the same number of sessions and of expired rows in every other table.
 * Then it runs 1, 2 and 4 processes on the largest database. Prints ratios to the first.
 * Options: `--seconds N`, `--rounds N`, `--sizes N,N`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { createApp } from '../src/app/app.js';
import { readConfig } from '../src/config/load.js';
import { subscribers } from '../src/domain/events/subscribers.js';
import { startPostgres } from '../tests/support/postgres.js';
import { type BuiltService, benchEnvironment, drive, median, startBuiltService } from './driving.js';
import { createBench, type Operation } from './operations.js';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    sizes: { type: 'string', default: '100,10000,1000000' },
  },
});
const [seconds, rounds] = [Number(options.seconds), Number(options.rounds)];
const sizes = options.sizes.split(',').map(Number);
const connections = 16;
const measured = [
  'authenticate',
  'sendOneTimePassword',
  'check, wrong',
  'check, right',
  'check, rate-limited',
  'me',
  'refreshSession',
  'users, a page of 20',
];

interface Place {
  name: string;
  services: BuiltService[];
  operations: Operation[];
  environment: Record<string, string>;
  close(): Promise<void>;
}

const postgres = await startPostgres({ durable: true });
try {
  const places: Place[] = [];
  for (const size of sizes) places.push(await open(size));
  print(
    'by users, sessions, and rows that are expired and unpruned',
    await compare(
      places.map((place) => ({ ...place, services: place.services.slice(0, 1) })),
      measured,
    ),
  );
  const biggest = places.at(-1)!;
  while (biggest.services.length < 4) biggest.services.push(await startBuiltService(biggest.environment));
  const byProcesses = [1, 2, 4].map((count) => ({
    ...biggest,
    name: `${count} processes`,
    services: biggest.services.slice(0, count),
  }));
  print('by processes', await compare(byProcesses, ['authenticate', 'check, wrong', 'me']));
  for (const { close, services } of places) {
    await close();
    for (const service of services) await service.stop();
  }
} finally {
  await postgres.stop();
}
process.exit(0);

async function open(size: number): Promise<Place> {
  const url = new URL(postgres.url);
  url.pathname = `/size_${size}`;
  const admin = new pg.Client(postgres.url);
  await admin.connect();
  await admin.query(`create database size_${size}`);
  await admin.end();
  // One hashing thread per process, so eight threads do not share two cores.
  const environment = { ...benchEnvironment(url.href), PASSWORD_HASH_THREADS: '1' };
  const service = await startBuiltService(environment);
  console.error(`filling with ${size} …`);
  await fill(url.href, size);
  const app = await createApp(readConfig(environment), subscribers, pino({ level: 'silent' }));
  const bench = await createBench(app, service, url.href);
  return {
    name: `${size} users`,
    services: [service],
    operations: bench.operations,
    environment,
    async close() {
      await bench.close();
      await app.close();
    },
  };
}

/**
 * Inserts `size` rows into every growing table. All rows are expired except users, tokens and half
 * the sessions.
 */
async function fill(url: string, size: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  const rows = `generate_series(1, ${size}) n`;
  const long = `now() - interval '40 days' - n * interval '1 second'`;
  for (const statement of [
    'set synchronous_commit = off',
    `insert into users (username, username_key, email, email_key, date_joined, first_verified_at)
     select 'filler' || n, 'filler' || n, 'filler' || n || '@example.com', 'filler' || n || '@example.com', ${long}, ${long} from ${rows}`,
    `insert into security_tokens (id, user_id, kind, address, given_at_sign_up, verified_at)
     select 'filler' || email, id, 'email', email, true, date_joined from users`,
    `insert into sessions (user_id, refresh_token_hash, created_at, idle_expires_at, expires_at, authentication_methods, user_agent, ip_address)
     select id, sha256(id::text::bytea), date_joined, now() + day, now() + day, '{PASSWORD}', 'filler', '203.0.113.1'
     from users cross join lateral (select case when id > '80000000-0000-0000-0000-000000000000' then interval '1 day' else - interval '1 day' end as day) d`,
    `insert into one_time_passwords (token_id, purpose, user_id, code_digest, expires_at, updated_at)
     select 'filler' || email, 'AUTHENTICATION', id, sha256(email::bytea), date_joined, date_joined from users`,
    `insert into sign_in_throttles (key, failure_count, retry_at, updated_at) select sha256(n::text::bytea), 3, ${long}, ${long} from ${rows}`,
    `insert into rate_limit_events (key, occurred_at) select sha256((n % 1000)::text::bytea), ${long} from ${rows}`,
    `insert into audit_events (kind, occurred_at, actor_id, subject_id, ip_address) select 'SIGNED_IN', date_joined, id, id, '203.0.113.1' from users`,
    'vacuum analyze',
  ])
    await client.query(statement);
  const { rows: tables } = await client.query(
    `select relname as table, round(pg_table_size(oid)::numeric / ${size}) as "bytes a row", round(pg_indexes_size(oid)::numeric / ${size}) as "of its indexes"
     from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and reltuples > ${size / 2} order by relname`,
  );
  console.table(tables);
  await client.end();
}

interface Compared {
  operation: string;
  /** medians of the rounds; the ratio is to the first entry */
  places: { place: string; perSecond: number; ratio: number }[];
}

async function compare(places: Place[], names: string[]): Promise<Compared[]> {
  const table: Compared[] = [];
  for (const name of names) {
    const hashes = name === 'authenticate';
    // Use fewer connections, because the service rejects requests that would wait for two seconds.
    const atOnce = hashes ? connections / 4 : connections;
    const rates: number[][] = [];
    for (let round = 0; round < rounds; round += 1) {
      const rate: number[] = [];
      for (const { services, operations } of places) {
        const operation = operations.find((one) => one.name === name)!;
        await operation.prepare?.();
        const driven = await Promise.all(
          services.map(({ url }) => drive(url, operation, Math.ceil(atOnce / services.length), seconds)),
        );
        // Wait for the last hashes to finish.
        if (hashes) await delay(1_000);
        rate.push(driven.reduce((sum, { perSecond }) => sum + perSecond, 0));
      }
      rates.push(rate);
    }
    table.push({
      operation: name,
      places: places.map((place, at) => ({
        place: place.name,
        perSecond: median(rates.map((rate) => rate[at]!)),
        ratio: median(rates.map((rate) => rate[at]! / rate[0]!)),
      })),
    });
    console.error(name);
  }
  return table;
}

function print(title: string, table: Compared[]): void {
  console.log(`\n${title}; ${connections} requests at once, ${connections / 4} of those that hash`);
  console.table(
    table.map(({ operation, places }) => ({
      operation,
      ...Object.fromEntries(
        places.map(({ place, perSecond, ratio }) => [place, `${perSecond.toFixed(0)}/s (${ratio.toFixed(2)})`]),
      ),
    })),
  );
}
