/** More concurrent requests than the service admits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { send } from '../support/client.js';
import { connect } from '../support/replicas.js';
import { createDatabase, startService } from '../support/service.js';

test('requests beyond twenty per connection are rejected and counted', async () => {
  const url = await createDatabase();
  const service = await startService({ DATABASE_URL: url, DATABASE_POOL_SIZE: '1' });
  const { query } = await connect(url);
  const holdUp = new pg.Client(url);
  await holdUp.connect();
  const signUp = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }';
  let answered = 0;
  const ask = async (index: number) => {
    const answer = await send(service, signUp, { input: { username: `user${index}` } });
    answered += 1;
    return answer;
  };
  try {
    await holdUp.query('begin; lock table users in exclusive mode');
    const within = Array.from({ length: 20 }, (_, index) => ask(index));
    // One request has the connection, and nineteen wait for it or are not read yet.
    const locked = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    while ((await query(locked)).length === 0);
    const beyond = await Promise.all(Array.from({ length: 5 }, (_, index) => ask(100 + index)));
    for (const { status, headers, errors } of beyond)
      assert.deepEqual(
        [status, headers.get('retry-after'), errors?.[0]?.extensions.code],
        [503, '1', 'SERVICE_UNAVAILABLE'],
      );
    assert.equal(answered, 5, 'the admitted requests still wait');
    await holdUp.query('rollback');
    await Promise.all(within);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    assert.match(metrics, /^flex_identity_requests_shed_total 5$/m);
  } finally {
    await holdUp.end();
  }
  assert.equal((await ask(200)).status, 200);
});
