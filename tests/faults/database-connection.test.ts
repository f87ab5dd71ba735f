/** Loss and recovery of the database during a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { expectMember, operations, send } from '../support/client.js';
import { connect, tally } from '../support/replicas.js';
import { createDatabase, startService } from '../support/service.js';

const DATABASE_URL = await createDatabase();
const service = await startService({ DATABASE_URL });
const { query } = await connect(DATABASE_URL);
const signUp = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }';

test('a lost connection in a transaction makes only its request unavailable', async () => {
  const holdUp = new pg.Client(DATABASE_URL);
  await holdUp.connect();
  try {
    await holdUp.query('begin; lock table users in exclusive mode');
    const heldUp = send(service, signUp, { input: { username: 'alice' } });
    while ((await terminate("wait_event_type = 'Lock'")) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const { status, data, errors } = await heldUp;
    assert.deepEqual([status, data, errors?.[0]?.extensions.code], [503, null, 'SERVICE_UNAVAILABLE']);
  } finally {
    await holdUp.end();
  }
  assert.deepEqual(await query('select from users'), []);
  assert.equal((await operations(service).createUser({ username: 'alice' })).__typename, 'CreateUserSuccess');
});

test('a lost connection below the operation makes only its request unavailable', async () => {
  const { tokens } = expectMember(
    await operations(service).createUser({ email: 'bob@example.com' }),
    'CreateUserSuccess',
  );
  const holdUp = new pg.Client(DATABASE_URL);
  await holdUp.connect();
  try {
    await holdUp.query('begin; lock table one_time_passwords in access exclusive mode');
    const heldUp = send(service, '{ me { id securityTokens { id } } }', {}, { token: tokens!.accessToken });
    while ((await terminate("wait_event_type = 'Lock'")) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const { status, headers, data, errors } = await heldUp;
    assert.deepEqual([status, data, errors?.[0]?.extensions.code], [503, { me: null }, 'SERVICE_UNAVAILABLE']);
    assert.deepEqual(errors?.[0]?.path, ['me', 'securityTokens']);
    assert.equal(headers.get('retry-after'), '1');
  } finally {
    await holdUp.end();
  }
});

test('lost idle connections are replaced', async () => {
  await Promise.all(Array.from({ length: 20 }, () => operations(service).securityTokens('alice')));
  assert.ok((await terminate("state = 'idle'")) > 1);
  while (!(await fetch(`${service.url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 10));
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => operations(service).createUser({ username: 'ALICE' })),
  );
  assert.deepEqual(tally(answers), { ValidationError: 20 });
});

/** Terminates connections of the service in the given state. @returns their number */
async function terminate(state: string): Promise<number> {
  const ended = await query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'flex-identity' and ${state}`,
  );
  return ended.length;
}
