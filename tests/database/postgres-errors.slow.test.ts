/** Failures of the embedded database, and failures of PostgreSQL that take seconds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ping } from '../../src/database/health.queries.js';
import { assertUnavailable, open, testFailures } from '../support/database-failures.js';
import { startProxy } from '../support/proxy.js';
import { createDatabase } from '../support/service.js';

// Open before the tests: creating the embedded database blocks this process.
const embedded = await open('memory:');
await embedded.migrate();
const url = await createDatabase();

testFailures('the embedded database', embedded.db);

describe('PostgreSQL failures that take seconds', { concurrency: true }, () => {
  test('PostgreSQL is unavailable while the network drops everything, and no connection leaks', async () => {
    const proxy = await startProxy(url);
    const { db, connections } = await open(proxy.url, 3);
    const held = () => connections()?.total;
    const both = () => Promise.all([ping(db), db.transaction((tx) => ping(tx))]);
    await assertUnavailable(
      db.transaction(async (tx) => {
        await both();
        proxy.stall();
        // One connection is about to begin, one is idle, one is in a transaction.
        await Promise.all([
          assertUnavailable(ping(db)),
          assertUnavailable(db.transaction((tx) => ping(tx))),
          assertUnavailable(ping(tx)),
        ]);
        await assertUnavailable(ping(db));
      }),
    );
    assert.equal(held(), 0);
    await proxy.heal();
    await Promise.all([both(), ping(db)]);
  });

  test('PostgreSQL stays available to a transaction that is idle for longer', async () => {
    const { db } = await open(url);
    await db.transaction(async (tx) => {
      await tx.execute('set local idle_in_transaction_session_timeout = 0');
      await delay(6_500);
      await ping(tx);
    });
  });
});

test('the embedded database is unavailable after it is closed', async () => {
  await embedded.close();
  await assertUnavailable(ping(embedded.db));
  await assertUnavailable(embedded.db.transaction((tx) => ping(tx)));
});
