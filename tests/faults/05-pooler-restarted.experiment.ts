/** Fault 5: a restart of PgBouncer in transaction mode under load. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import { answers, databaseFolder, databaseUser, startDatabaseServer } from '../support/database-server.js';
import { experiment } from '../support/experiment.js';
import { acknowledgedRows, lostRows, overcounted, startLoad } from '../support/load.js';
import { freePort } from '../support/postgres.js';
import { connect } from '../support/replicas.js';
import { sharedSecrets, spawnService } from '../support/service.js';

const known = { username: 'known', password: 'correct horse battery' };
const restarts = 5;

experiment(5, `pgbouncer in transaction mode, restarted ${restarts} times`, ['pgbouncer'], async (found) => {
  const database = await startDatabaseServer();
  const { query } = await connect(database.url);
  for (const limit of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'])
    await query(`alter role postgres set ${limit} = '5s'`);
  const pooler = await startPooler(database.port);
  const environment = { ...sharedSecrets(), DATABASE_URL: pooler.url, DATABASE_TRANSACTION_POOLER: 'true' };
  // Starts both on an unmigrated database, so their lock must work through the pooler.
  const both = await Promise.all([spawnService(environment), spawnService(environment)]);
  await operations(both[0]).createUser(known);

  const load = startLoad(both, { clients: 20, known });
  const recovered: number[] = [];
  for (let restart = 0; restart < restarts; restart += 1) {
    await delay(2_000);
    await pooler.kill();
    await delay(500);
    await pooler.start();
    recovered.push(await load.nextSignUp());
  }
  const noted = await load.end();
  const lost = await lostRows(noted, query);
  const logged = both.map((service) => service.output()).join('');
  found({
    acknowledged: acknowledgedRows(noted),
    lost,
    wrongYes: noted.wrongYes,
    recoveredAfterMilliseconds: recovered,
    also: { 'sign-ups': noted.signUps.length, unavailable: noted.unavailable },
  });
  assert.deepEqual(noted.unexpected, []);
  assert.doesNotMatch(logged, /prepared statement/);
  assert.doesNotMatch(database.log(), /prepared statement|bind message/);
  assert.equal(lost, 0);
  assert.equal(noted.wrongYes, 0);
  assert.deepEqual(await overcounted(noted, query), []);
  assert.doesNotMatch(logged, /has no time limit/);
  assert.ok(noted.unavailable > 0, 'the fault was felt');
  assert.ok(Math.max(...recovered) < 2_000);
});

async function startPooler(port: number) {
  const folder = databaseFolder();
  const listenPort = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  const url = `postgres://postgres@127.0.0.1:${listenPort}/postgres`;
  writeFileSync(
    file,
    `[databases]
postgres = host=127.0.0.1 port=${port} user=postgres dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 100
`,
  );
  let pooler: ChildProcess;
  const start = async () => {
    pooler = spawn('pgbouncer', [file], { ...databaseUser, stdio: 'ignore' });
    while (!(await answers(url))) await delay(10);
  };
  const kill = async () => {
    const exited = new Promise((resolve) => pooler.on('exit', resolve));
    pooler.kill('SIGKILL');
    await exited;
  };
  after(() => pooler.kill('SIGKILL'));
  await start();
  return { url, start, kill };
}
