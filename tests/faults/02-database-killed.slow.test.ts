/** Fault 2: `kill -9` of PostgreSQL during writes. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import { startDatabaseServer } from '../support/database-server.js';
import { experiment, full } from '../support/experiment.js';
import { acknowledgedRows, incompleteUsers, lostRows, overcounted, startLoad } from '../support/load.js';
import { connect } from '../support/replicas.js';
import { sharedSecrets, spawnService } from '../support/service.js';

const kills = full ? 10 : 1;
const leastRows = full ? 20_000 : 100;
const known = { username: 'known', password: 'correct horse battery' };

experiment(2, `kill -9 PostgreSQL, ${kills} times`, [], async (found) => {
  const database = await startDatabaseServer();
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL: database.url });
  await operations(service).createUser({ ...known, email: 'known@example.com' });
  const { id: guarded } = (await operations(service).securityTokens('known@example.com'))[0]!;
  await operations(service).checkOneTimePassword(guarded, 'WRONG234');

  const load = startLoad([service], { clients: 20, known });
  const recovered: number[] = [];
  const signedUp = async (least: number) => {
    while (load.noted.signUps.length < least) await load.nextSignUp();
  };
  for (let kill = 1; kill <= kills; kill += 1) {
    await signedUp((leastRows / 3 / (kills + 1)) * kill);
    await database.kill();
    // Long enough for a response and a retry.
    await delay(500);
    await database.start();
    recovered.push(await load.nextSignUp());
  }
  await signedUp(leastRows / 3);
  const noted = await load.end();

  const { query } = await connect(database.url);
  const lost = await lostRows(noted, query);
  found({
    acknowledged: acknowledgedRows(noted),
    lost,
    wrongYes: noted.wrongYes,
    recoveredAfterMilliseconds: recovered,
    also: {
      'sign-ups': noted.signUps.length,
      unavailable: noted.unavailable,
      'longest refusal, ms': Math.round(noted.longestRefusalMilliseconds),
    },
  });
  assert.deepEqual(noted.unexpected, []);
  assert.equal(lost, 0);
  assert.equal(noted.wrongYes, 0);
  assert.equal(await incompleteUsers(query), 0);
  assert.deepEqual(await overcounted(noted, query), []);
  assert.deepEqual(
    (await query('select failure_count from one_time_passwords where token_id = $1', [guarded])).map(
      ({ failure_count }) => failure_count,
    ),
    [1],
  );
  assert.equal(service.process.exitCode, null, 'the service stays up');
  assert.ok(noted.unavailable > 0, 'the fault was felt');
  // Other tests use the same processors.
  if (full) {
    assert.ok(noted.longestRefusalMilliseconds < 2_500);
    assert.ok(Math.max(...recovered) < 2_000);
  }
});
