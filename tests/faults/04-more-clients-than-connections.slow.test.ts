/** Fault 4: more clients than database connections. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import { startDatabaseServer } from '../support/database-server.js';
import { experiment, full } from '../support/experiment.js';
import { acknowledgedRows, lostRows, startLoad } from '../support/load.js';
import { connect } from '../support/replicas.js';
import { type ServiceProcess, sharedSecrets, spawnService } from '../support/service.js';

const clients = 500;
const seconds = full ? 30 : 2;
const known = { username: 'known', password: 'correct horse battery' };

experiment(4, `pools of 10 × 2 against max_connections=20, ${clients} clients for ${seconds} s`, [], async (found) => {
  // Exactly the connections of the pools: none for superusers or other clients.
  const database = await startDatabaseServer({ settings: { max_connections: 20, superuser_reserved_connections: 0 } });
  const environment = { ...sharedSecrets(), DATABASE_URL: database.url };
  const both = [await spawnService(environment), await spawnService(environment)];
  await operations(both[0]!).createUser(known);

  const load = startLoad(both, { clients, known, refusedMilliseconds: 1_000 });
  await delay(seconds * 1_000);
  const noted = await load.end();
  const connections = await Promise.all(both.map(connectionsOf));
  const log = database.log();
  assert.deepEqual(await Promise.all(both.map((service) => service.kill('SIGTERM'))), [0, 0]);
  const { query } = await connect(database.url);
  const left = await query(
    "select from pg_stat_activity where application_name like 'flex-identity%' and pid <> pg_backend_pid() and state is distinct from 'idle'",
  );
  const lost = await lostRows(noted, query);
  found({
    acknowledged: acknowledgedRows(noted),
    lost,
    wrongYes: noted.wrongYes,
    recoveredAfterMilliseconds: [],
    also: {
      'sign-ups': noted.signUps.length,
      shed: connections.reduce((sum, { shed }) => sum + shed!, 0),
      unavailable: noted.unavailable,
      'longest refusal, ms': Math.round(noted.longestRefusalMilliseconds),
      'longest answer, ms': Math.round(noted.longestAnswerMilliseconds),
    },
  });
  assert.deepEqual(noted.unexpected, []);
  assert.doesNotMatch(log, /too many clients|connection slots/);
  assert.equal(lost, 0);
  assert.equal(noted.wrongYes, 0);
  for (const { used, idle, waiting, shed } of connections) {
    // Clients on the same machine may be too slow to overload the services.
    if (full) assert.ok(shed! > 0, 'excess load is shed');
    assert.deepEqual([used, waiting], [0, 0]);
    assert.ok(idle! >= 1 && idle! <= 10);
  }
  assert.deepEqual(left, []);
});

/** The pool metrics of a process: used, idle and waiting connections, and shed requests. */
async function connectionsOf({ url }: ServiceProcess): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries(
    [...text.matchAll(/^flex_identity_(?:pool_connections\{state="|requests_)(\w+?)(?:_total|"\}) (\d+)$/gm)].map(
      ([, name, count]) => [name!, Number(count)],
    ),
  );
}
