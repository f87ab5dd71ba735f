/**
 * Measures `users` among a million: `npm run bench:users`. Prints the time and plan of each
 * statement. Fails if a statement reads a whole table or takes more than 20 ms.
 */
import { tmpdir } from 'node:os';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { pino } from 'pino';
import { createApp } from '../src/app/app.js';
import { readConfig } from '../src/config/load.js';
import type { Database } from '../src/database/database.js';
import { listUsers } from '../src/domain/accounts/directory.js';
import type { Actor } from '../src/domain/actor.js';
import { subscribers } from '../src/domain/events/subscribers.js';
import { startPostgres } from '../tests/support/postgres.js';

const count = Number(process.env.USERS ?? 1_000_000);
const limitMilliseconds = 20;
const runs = 5;

/**
 * Inserts users with similar usernames, with random or similar emails, and with phones of one
 * country.
 * Some users lack an identifier, and some joined at the same time. Every hundredth has a pending
 * email.
 */
const fill = [
  `insert into users (username, username_key, email, email_key, phone, date_joined)
   select name, name, mail, mail, phone, now() - interval '3 years' + make_interval(secs => n / 3 * 90)
   from (
     select n,
       case
         when n <= 1000 then 'team_' || n
         when n <= 5000 then 'bulk_' || n
         when n % 20 = 1 then 'twin_' || n
         when n % 200 = 2 then 'late_' || n
         when n % 50 = 3 then 'admin_' || n
         when n % 10 > 0 then 'user_' || n
       end as name,
       case
         when n % 20 = 1 then 'twin_' || n || '@example.com'
         when n % 200 = 2 then 'late.' || n || '@example.com'
         when n % 5 > 0 then left(md5(n::text), 12) || '@example.com'
       end as mail,
       case when n % 10 = 0 or n % 3 > 0 then '+1' || 2000000000 + n * 7001 end as phone
     from generate_series(1::bigint, ${count}) n
   ) people`,
  `insert into security_tokens (id, user_id, kind, address, given_at_sign_up, verified_at)
   select 'e' || md5(email), id, 'email', email, true, date_joined from users where email is not null
   union all
   select 'p' || md5(phone), id, 'phone', phone, true, case when id > '80000000-0000-0000-0000-000000000000' then date_joined end
   from users where phone is not null`,
  `insert into security_tokens (id, user_id, kind, address, given_at_sign_up, pending)
   select 'e' || md5('new' || email), id, 'email', 'new' || email, false, true
   from users where email is not null and id < '02900000-0000-0000-0000-000000000000'`,
  'vacuum analyze users',
  'vacuum analyze security_tokens',
];

interface Plan {
  'Node Type': string;
  'Index Name'?: string;
  'Relation Name'?: string;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Plan[];
}

interface Statement {
  query: string;
  params: unknown[];
}

interface Measured {
  case: string;
  rows: number;
  statements: number;
  'median ms': string;
  'worst ms': string;
  blocks: number;
  plan: string;
}

const postgres = await startPostgres();
try {
  process.exitCode = await measure(postgres.url);
} finally {
  await postgres.stop();
}

async function measure(url: string): Promise<number> {
  const config = readConfig({ NODE_ENV: 'test', DATABASE_URL: url, DATA_DIR: tmpdir(), PASSWORD_HASH_THREADS: '1' });
  const app = await createApp(config, subscribers, pino({ level: 'silent' }));
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  const sent: Statement[] = [];
  const logger = { logQuery: (query: string, params: unknown[]) => void sent.push({ query, params }) };
  const recorded = { ...app, db: drizzle(pool, { logger }) as unknown as Database };
  const staff = { viewer: { user: { isStaff: true } } } as Actor;
  const list = (args: { first?: number; after?: string | null; search?: string | null }) =>
    listUsers(recorded, staff, { first: 20, after: null, search: null, ...args });

  try {
    console.log(`filling with ${count} users …`);
    for (const statement of fill) await pool.query(statement);

    const places = { start: null, middle: 0.5, end: 0.998 };
    const cases: [name: string, args: Parameters<typeof list>[0]][] = [];
    for (const [place, part] of Object.entries(places)) {
      let after: string | null = null;
      if (part !== null) {
        const { rows } = await pool.query(
          `select date_joined, id from users order by date_joined desc, id desc limit 1 offset ${Math.floor(count * part)}`,
        );
        // Build the cursor directly, because paging to this position would take too long.
        after = Buffer.from(`${rows[0].date_joined.toISOString()} ${rows[0].id}`).toString('base64url');
      }
      for (const first of [20, 100]) cases.push([`list, ${first} at the ${place}`, { first, after }]);
    }
    const searches = {
      'username, 1 row': 'user_765431',
      'username, 11': 'user_76543',
      'username, 100': 'user_7654',
      'username, 900 together': 'team_',
      'username, 3 600 together': 'bulk_',
      'username, 1 000': 'user_765',
      'username, 1 %': 'user_76',
      'username, 2 %': 'admin_',
      'username, 10 %': 'user_7',
      'username, 90 %': 'user_',
      'username, none': 'nobody',
      'username, none that begins with this letter': 'm',
      'email, 1 row': 'c4ca4238a0b9@example.com',
      'email, 12': 'c4ca4',
      'email, 200': 'c4ca',
      'email, 0.3 %': 'c4',
      'email, 5 %': 'c',
      'username and email, 5 %': 'twin',
      'email and then username, 0.5 %': 'late',
      'phone, 1 row': '+12000007001',
      'phone, 14': '+1200077',
      'phone, 1 000': '+120077',
      'phone, 1 %': '+12077',
      'phone, 14 %': '+12',
      'phone, all': '+',
      'phone or email': '2',
    };
    for (const [place, part] of Object.entries(places))
      for (const [name, search] of Object.entries(searches)) {
        let after: string | null = null;
        if (part !== null) {
          const { rows } = await pool.query(
            `with keys as (
               select username_key as key from users union all select email_key from users union all select phone from users
             ) select key from keys where starts_with(key, $1) order by key collate "C"
             offset (select floor(count(*) * ${part}) from keys where starts_with(key, $1)) limit 1`,
            [search],
          );
          if (rows.length === 0) continue;
          after = (await list({ first: 1, search: rows[0].key })).edges[0]!.cursor;
        }
        for (const first of [20, 100]) cases.push([`${name}, ${first} at the ${place}`, { search, after, first }]);
      }

    const table: Measured[] = [];
    const faults: string[] = [];
    for (const [name, args] of cases) {
      sent.length = 0;
      const { edges } = await list(args);
      const { times, plans } = await explain(pool, [...sent]);
      const [median, worst] = [times.toSorted((a, b) => a - b)[Math.floor(runs / 2)]!, Math.max(...times)];
      const nodes = plans.flatMap(nodesOf);
      table.push({
        case: name,
        rows: edges.length,
        statements: plans.length,
        'median ms': median.toFixed(1),
        'worst ms': worst.toFixed(1),
        blocks: plans.reduce((sum, plan) => sum + plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], 0),
        // All plans read the security tokens in the same way.
        plan: [...new Set(nodes.map(describe))].filter((node) => !node.includes('security_tokens')).join(' < '),
      });
      if (nodes.some((node) => node['Node Type'].includes('Seq Scan'))) faults.push(`${name}: a sequential scan`);
      if (median > limitMilliseconds) faults.push(`${name}: ${median} ms`);
    }
    console.table(table);
    for (const fault of faults) console.error(`FAULT ${fault}`);
    return faults.length > 0 ? 1 : 0;
  } finally {
    await pool.end();
    await app.close();
  }
}

/**
 * Measures the total time of the statements of a response for each run, and returns their plans.
 */
async function explain(pool: pg.Pool, statements: Statement[]): Promise<{ times: number[]; plans: Plan[] }> {
  const times: number[] = [];
  let plans: Plan[] = [];
  for (let run = 0; run < runs; run += 1) {
    plans = [];
    let time = 0;
    for (const { query, params } of statements) {
      const { rows } = await pool.query(`explain (analyze, buffers, format json) ${query}`, params);
      const [explained] = rows[0]['QUERY PLAN'];
      time += explained['Execution Time'] + explained['Planning Time'];
      plans.push(explained.Plan);
    }
    times.push(time);
  }
  return { times, plans };
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

function describe(plan: Plan): string {
  const of = plan['Index Name'] ?? plan['Relation Name'];
  return of === undefined ? plan['Node Type'] : `${plan['Node Type']} ${of}`;
}
