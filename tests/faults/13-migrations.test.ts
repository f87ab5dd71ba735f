/** Fault 13: a kill of one of several concurrent migrations. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import pg from 'pg';
import { experiment } from '../support/experiment.js';
import { createOlderDatabase, migrationCount } from '../support/migrations.js';
import { appliedIn, migrator, until } from '../support/migrators.js';
import { connect } from '../support/replicas.js';

experiment(13, 'of two who migrate at once one is killed in the middle', [], async (found) => {
  const DATABASE_URL = await createOlderDatabase(1);
  const { query } = await connect(DATABASE_URL);
  await query("insert into users (username, username_key) values ('alice', 'alice')");
  const reader = new pg.Client(DATABASE_URL);
  await reader.connect();
  after(() => reader.end());
  // A reader blocks ALTER TABLE: earlier migrations are done, and nothing is committed.
  await reader.query('begin; lock table users in access share mode');
  const waiting = async (wait: string) =>
    (await query('select from pg_stat_activity where datname = current_database() and wait_event = $1', [wait])).length;
  const first = migrator(DATABASE_URL);
  await until(async () => (await waiting('relation')) > 0);
  const second = migrator(DATABASE_URL);
  await until(async () => (await waiting('advisory')) > 0);
  const appliedBefore = await appliedIn(query);
  first.process.kill('SIGKILL');
  const killed = await first.exited;
  await reader.end();
  const healedAt = performance.now();
  const code = await second.exited;
  const recoveredAfterMilliseconds = [performance.now() - healedAt];
  const appliedAfter = await appliedIn(query);
  const next = await migrator(DATABASE_URL).exited;
  const names = await query('select username, imported_id from users');
  found({
    acknowledged: 1,
    lost: 1 - names.length,
    wrongYes: 0,
    recoveredAfterMilliseconds,
    also: { 'applied before': appliedBefore, 'applied after': appliedAfter },
  });
  assert.deepEqual([killed, code, next], [null, 0, 0]);
  assert.deepEqual([appliedBefore, appliedAfter, await appliedIn(query)], [1, migrationCount, migrationCount]);
  assert.deepEqual(names, [{ username: 'alice', imported_id: null }]);
});
