/**
 * Fault 13: three concurrent migrations, a kill during one, and a process of the previous version.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { experiment, full } from '../support/experiment.js';
import {
  createOlderDatabase,
  migrationCount,
  migrationsThatStopOlderProcesses,
  migrationTags,
} from '../support/migrations.js';
import { appliedIn, connections, migrator, until } from '../support/migrators.js';
import { signUp } from '../support/people.js';
import { connect, type Replicas } from '../support/replicas.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';
import { lookForSignUps, startSignUps } from '../support/sign-up-load.js';

const secrets = sharedSecrets();
const times = full ? 10 : 1;

experiment(
  13,
  `three migrate an empty database at once, and one is killed at any moment, ${times} times`,
  [],
  async (found) => {
    const applied: number[] = [];
    const codes: (number | null)[] = [];
    let killedInTime = 0;
    for (let time = 0; time < times; time += 1) {
      const DATABASE_URL = await createDatabase('template template0');
      const { query } = await connect(DATABASE_URL);
      const [victim, ...others] = [migrator(DATABASE_URL), migrator(DATABASE_URL), migrator(DATABASE_URL)] as const;
      await until(async () => (await connections(query)) > 0);
      await delay((time * 300) / times);
      victim.process.kill('SIGKILL');
      killedInTime += Number((await victim.exited) === null);
      for (const { exited } of others) codes.push(await exited);
      codes.push(await migrator(DATABASE_URL).exited);
      applied.push(await appliedIn(query));
    }
    found({ acknowledged: 0, lost: 0, wrongYes: 0, recoveredAfterMilliseconds: [], also: { killed: killedInTime } });
    assert.deepEqual(codes, Array(3 * times).fill(0));
    assert.deepEqual(applied, Array(times).fill(migrationCount));
  },
);

experiment(
  13,
  'a process goes on while a newer one migrates, and what an older one writes is taken',
  [],
  async (found) => {
    const DATABASE_URL = await createDatabase();
    const { query } = await connect(DATABASE_URL);
    const service = await spawnService({ ...secrets, DATABASE_URL });
    const alice = await signUp(service, { username: 'alice' });
    const load = startSignUps([service.url], 4);
    await load.reach(50);
    const tables = (await query("select tablename as name from pg_tables where schemaname = 'public'")) as {
      name: string;
    }[];
    // Changes of a future version that are compatible with this version: it adds.
    for (const { name } of tables)
      await query(`alter table ${name} add column added_by_the_next_version text default 'x'`);
    await query('create table made_by_the_next_version (id int primary key)');
    await load.reach(load.acknowledged.length + 50);
    assert.equal((await alice.me()).username, 'alice');
    await load.stop();
    const { lost, withoutTokens } = await lookForSignUps({ query }, load.acknowledged);

    // An older version must not need to write the added columns.
    const refused: string[] = [];
    let taken = 0;
    const present = await columnsOf(query);
    for (let migrations = 1; migrations < migrationCount; migrations += 1) {
      const older = await connect(await createOlderDatabase(migrations));
      for (const [table, columns] of await columnsOf(older.query)) {
        const changed = stoppingColumns(migrations);
        const gone = [...columns].filter(
          ([name, type]) => present.get(table)?.get(name) !== type && !changed.has(`${table}.${name}`),
        );
        refused.push(...gone.map(([name, type]) => `${migrations}: ${table}.${name} is not ${type} any more`));
        const names = [...columns.keys()].join(', ');
        taken += await rewrite(DATABASE_URL, table, names).catch((error) => {
          refused.push(`${migrations}: ${table}: ${error.message}`);
          return 0;
        });
      }
    }
    found({
      acknowledged: load.acknowledged.length,
      lost,
      wrongYes: 0,
      recoveredAfterMilliseconds: [],
      also: { refused: load.refused(), 'rows written as by older versions': taken },
    });
    assert.deepEqual([load.refused(), lost, withoutTokens, refused], [0, 0, 0, []]);
    assert.ok(taken > 0);
  },
);

/** Writes every row again with these columns, and rolls back. @returns the number of rows */
async function rewrite(url: string, table: string, columns: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(
      `begin; set constraints all deferred; create temp table kept on commit drop as select ${columns} from ${table}`,
    );
    // Otherwise referencing rows would have to be deleted first.
    await client.query(`set local session_replication_role = replica; delete from ${table}`);
    await client.query('set local session_replication_role = origin');
    const { rowCount } = await client.query(
      `insert into ${table} (${columns}) overriding system value select ${columns} from kept`,
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
}

/** The columns of each table and their writable values. */
async function columnsOf(query: Replicas['query']): Promise<Map<string, Map<string, string>>> {
  const rows = await query(
    `select table_name as table, column_name as name, data_type || case is_nullable when 'NO' then ' not null' else '' end as type
      from information_schema.columns where table_schema = 'public'`,
  );
  const tables = new Map<string, Map<string, string>>();
  for (const { table, name, type } of rows) tables.set(table, (tables.get(table) ?? new Map()).set(name, type));
  return tables;
}

/** Columns with a later type change, which requires a stop of that version. */
function stoppingColumns(migrations: number): Set<string> {
  const later = migrationTags.slice(migrations);
  return new Set(later.flatMap((tag) => migrationsThatStopOlderProcesses[tag]?.columns ?? []));
}
