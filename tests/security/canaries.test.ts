/** A service is led through all of its operations, with a canary in the place of every secret; then its log, its answers and its database are searched for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertKept, lead, startWithCanaries } from '../support/canaries.js';
import { oneTimePasswordSentTo } from '../support/client.js';

test('no secret is in the log, in an answer to anybody else, or in the database, with messages that are kept', async () => {
  // In development the service prints where it is and what it has made up, such as a bootstrap secret that is not configured.
  const run = await startWithCanaries({ NODE_ENV: 'development' });
  await lead(run, (address) => oneTimePasswordSentTo(run.service, address));
  assert.match(run.service.output(), /Outbox/);
  await assertKept(run);
});
