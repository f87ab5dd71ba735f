/** Fault 11: a lock on the users table. */
import assert from 'node:assert/strict';
import pg from 'pg';
import { send } from '../support/client.js';
import { experiment } from '../support/experiment.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';

const signUp = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }';

experiment(11, 'LOCK TABLE users for 30 s', [], async (found) => {
  const DATABASE_URL = await createDatabase();
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL });
  const locker = new pg.Client(DATABASE_URL);
  await locker.connect();
  await locker.query('begin; lock table users in access exclusive mode');
  const lockedAt = performance.now();
  const waits: number[] = [];
  const refused: unknown[] = [];
  for (let number = 0; performance.now() - lockedAt < 30_000; number++) {
    const askedAt = performance.now();
    const { status, errors } = await send(service, signUp, { input: { username: `user${number}` } });
    waits.push(performance.now() - askedAt);
    refused.push([status, errors?.[0]?.extensions.code]);
  }
  await locker.end();
  const healedAt = performance.now();
  let acknowledged = 0;
  while (acknowledged === 0) {
    const { data } = await send(service, signUp, { input: { username: 'afterwards' } });
    if (data !== null) acknowledged = 1;
  }
  found({
    acknowledged,
    lost: 0,
    wrongYes: 0,
    recoveredAfterMilliseconds: [performance.now() - healedAt],
    also: { refused: refused.length, 'longest wait, ms': Math.round(Math.max(...waits)) },
  });
  for (const refusal of refused) assert.deepEqual(refusal, [503, 'SERVICE_UNAVAILABLE']);
  assert.ok(Math.max(...waits) < 6_000);
  assert.ok(performance.now() - healedAt < 1_000);
});
