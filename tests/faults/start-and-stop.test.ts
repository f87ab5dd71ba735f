/** A start on a database of a newer version, and a stop during a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations, send } from '../support/client.js';
import { holdLock } from '../support/locks.js';
import { connect } from '../support/replicas.js';
import { createDatabase, runToExit, sharedSecrets, spawnService } from '../support/service.js';

test('after a stop signal the service rejects new requests, completes open requests and exits with 0', async () => {
  const DATABASE_URL = await createDatabase();
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL });
  const lock = await holdLock(DATABASE_URL, 'lock table users in exclusive mode');
  const signUp = operations(service).createUser({ username: 'alice' });
  await lock.awaited();

  service.process.kill('SIGTERM');
  const accepts = () =>
    fetch(`${service.url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (await accepts()) await new Promise((resolve) => setTimeout(resolve, 10));
  await lock.release();
  assert.equal((await signUp).__typename, 'CreateUserSuccess');
  assert.equal(await service.exited, 0);
  const { query } = await connect(DATABASE_URL);
  assert.deepEqual(await query('select username from users'), [{ username: 'alice' }]);
});

test('a service does not start on a PostgreSQL database of a newer version', async () => {
  const DATABASE_URL = await createDatabase();
  const { query } = await connect(DATABASE_URL);
  await query("insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)");
  const { code, stderr } = await runToExit({ ...sharedSecrets(), DATABASE_URL });
  assert.deepEqual(
    [code, stderr],
    [1, 'The database was migrated by a newer version of this program. Start that one.\n'],
  );
});

test('a request has an ID, its own or a new one, in the response and the log', async () => {
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL: await createDatabase(), LOG_LEVEL: 'info' });
  const idOf = async (headers: Record<string, string>) => {
    const { headers: answered } = await send(
      service,
      'mutation { authenticate(input: { username: "nobody", password: "wrong" }) { __typename } }',
      {},
      { headers },
    );
    const id = answered.get('x-request-id')!;
    const line = () =>
      service
        .output()
        .split('\n')
        .find((each) => each.includes(`"requestId":"${id}"`));
    for (let tries = 0; line() === undefined && tries < 50; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(line() ?? '', /SIGN_IN_(FAILED|THROTTLED)/);
    return id;
  };
  assert.equal(await idOf({ 'x-request-id': 'from-the-proxy.1' }), 'from-the-proxy.1');
  const [first, second] = [await idOf({}), await idOf({ 'x-request-id': 'two words' })];
  assert.match(first, /^[\da-f-]{36}$/);
  assert.match(second, /^[\da-f-]{36}$/);
  assert.notEqual(first, second);
});
