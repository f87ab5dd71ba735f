/** Classification of failures of real databases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { Database } from '../../src/database/database.js';
import { ping } from '../../src/database/health.queries.js';
import { isDatabaseUnavailable, violatedConstraint } from '../../src/database/postgres-errors.js';
import { assertUnavailable, open, testFailures } from '../support/database-failures.js';
import { freePort } from '../support/postgres.js';
import { connect } from '../support/replicas.js';
import { createDatabase } from '../support/service.js';

const url = await createDatabase();
const postgres = await open(url);
const { query } = await connect(url);

testFailures('PostgreSQL', postgres.db);

test('other errors are neither a violated constraint nor an unavailable database', () => {
  for (const error of [new Error('the user is unavailable'), new TypeError('x'), undefined, null, 'ECONNREFUSED', {}]) {
    assert.equal(violatedConstraint(error), undefined);
    assert.equal(isDatabaseUnavailable(error), false);
  }
});

test('PostgreSQL is unavailable if it refuses the connection or its host does not exist', async () => {
  for (const host of [`127.0.0.1:${await freePort()}`, `localhost:${await freePort()}`, 'database.invalid']) {
    const { db } = await open(`postgres://nobody:nothing@${host}/nowhere`);
    await assertUnavailable(ping(db));
    await assertUnavailable(db.transaction((tx) => ping(tx)));
  }
});

test('PostgreSQL is unavailable if the connection ends during a statement, and recovers', async () => {
  const { db } = await open(url);
  await ping(db);
  for (const work of [
    () => db.execute(sql`select pg_sleep(30)`),
    () => db.transaction((tx) => tx.execute(sql`select pg_sleep(30)`)),
  ]) {
    const sleeping = assertUnavailable(work());
    const terminated = () =>
      query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
        and query like 'select pg_sleep%' and state = 'active' and pid <> pg_backend_pid()`);
    while ((await terminated()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await sleeping;
    await ping(db);
  }
});

test('PostgreSQL is unavailable if the connection ends while idle in a transaction', async () => {
  const { db } = await open(url);
  await assertUnavailable(
    db.transaction(async (tx) => {
      const holder =
        "select pid from pg_stat_activity where datname = current_database() and state like 'idle in trans%'";
      await ping(tx);
      assert.equal((await query(`select pg_terminate_backend(pid) from (${holder}) holder`)).length, 1);
      await ping(tx);
    }),
  );
  await ping(db);
});

test('PostgreSQL is unavailable after a statement timeout, a lock timeout or a deadlock', async () => {
  const { db } = await open(url);
  await assertUnavailable(
    db.transaction(async (tx) => {
      await tx.execute(sql`set local statement_timeout = '10ms'`);
      await tx.execute(sql`select pg_sleep(30)`);
    }),
  );
  const other = await open(url);
  await other.db.transaction(async (holder) => {
    await holder.execute(sql`lock table users`);
    await assertUnavailable(
      db.transaction(async (tx) => {
        await tx.execute(sql`set local lock_timeout = '10ms'`);
        await tx.execute(sql`select from users`);
      }),
    );
  });
  const lockBoth = (database: Database, first: number, second: number) =>
    database.transaction(async (tx) => {
      await tx.execute(sql`select pg_advisory_xact_lock(${first})`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await tx.execute(sql`select pg_advisory_xact_lock(${second})`);
    });
  const outcomes = await Promise.allSettled([lockBoth(db, 1, 2), lockBoth(other.db, 2, 1)]);
  const rejected = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(rejected.length, 1);
  assert.equal(isDatabaseUnavailable(rejected[0]!.reason), true);
});

test('PostgreSQL is unavailable if all connections of the pool stay in use', async () => {
  const { db } = await open(url);
  await db.transaction(() => assertUnavailable(ping(db)));
});

test('PostgreSQL is unavailable if the server has no connection left', async () => {
  // The connection limit of a database does not apply to superusers.
  await query('create role visitor login password $$visitor$$');
  await query(`alter database ${new URL(url).pathname.slice(1)} connection limit 0`);
  const visitor = Object.assign(new URL(url), { username: 'visitor', password: 'visitor' });
  const { db } = await open(visitor.href);
  await assertUnavailable(ping(db));
});
