/** Runs all operations with canary secrets, then searches the log, responses and database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertKept, lead, startWithCanaries } from '../support/canaries.js';
import { oneTimePasswordSentTo } from '../support/client.js';

test('the log, responses and database contain no secret when messages are captured', async () => {
  // In development the service prints its addresses and generated secrets, such as the bootstrap
  // secret.
  const run = await startWithCanaries({ NODE_ENV: 'development' });
  await lead(run, (address) => oneTimePasswordSentTo(run.service, address));
  assert.match(run.service.output(), /Outbox/);
  await assertKept(run);
});
