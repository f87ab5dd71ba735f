/** Impossible starts, and repeated stop signals. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { expectMember, operations, send } from '../support/client.js';
import { openTestDatabase } from '../support/database.js';
import { connect } from '../support/replicas.js';
import { createDatabase, runToExit, sharedSecrets, spawnService, temporaryFolder } from '../support/service.js';

test('in production the service does not start without secrets', async () => {
  const DATABASE_URL = await createDatabase('template template0');
  const DATA_DIR = join(temporaryFolder(), 'data');
  const { code, stdout, stderr } = await runToExit({
    NODE_ENV: 'production',
    DATABASE_URL,
    DATA_DIR,
    BCRYPT_COST: '9',
  });
  assert.equal(code, 78);
  assert.equal(stdout, '');
  assert.match(stderr, /SECRET_KEY is required in production/);
  assert.match(stderr, /PASSWORD_PEPPER is required in production/);
  assert.match(stderr, /BCRYPT_COST must be from 10 to 15 in production/);
  const { query } = await connect(DATABASE_URL);
  assert.deepEqual(await query("select tablename from pg_tables where schemaname = 'public'"), []);
  assert.equal(existsSync(DATA_DIR), false);
});

test('in production the schema, the explorer, the outbox and the bootstrap secret are hidden', async () => {
  const { BOOTSTRAP_SECRET: _, ...secrets } = sharedSecrets();
  const DATA_DIR = temporaryFolder();
  const service = await spawnService({
    ...secrets,
    NODE_ENV: 'production',
    DATABASE_URL: await createDatabase(),
    DATA_DIR,
    BCRYPT_COST: '10',
    DELIVERY_OUTBOX: 'true',
    LOG_LEVEL: 'info',
  });
  const alice = { email: 'alice@example.com', password: 'correct horse battery' };
  const { user } = expectMember(await operations(service).createUser(alice), 'CreateUserSuccess');
  assert.equal((await operations(service).authenticate(alice)).__typename, 'AuthenticateSuccess');
  assert.equal(
    (await operations(service).sendOneTimePassword(user.securityTokens[0]!.id)).__typename,
    'SendOneTimePasswordSuccess',
  );

  for (const query of ['{ __schema { queryType { name } } }', '{ __type(name: "User") { name } }'])
    assert.ok((await send(service, query)).errors);
  const misspelt = await send(service, '{ mee { id } }');
  assert.doesNotMatch(JSON.stringify(misspelt), /Did you mean|me"/);
  const explorer = await fetch(`${service.url}/graphql`, { headers: { accept: 'text/html' } });
  assert.doesNotMatch(explorer.headers.get('content-type') ?? '', /html/);
  assert.doesNotMatch(await explorer.text(), /<html/i);
  for (const accept of ['text/html', 'application/json'])
    assert.equal((await fetch(`${service.url}/dev/outbox`, { headers: { accept } })).status, 404);
  const superuser = operations(service, { headers: { 'x-bootstrap-secret': 'null' } });
  await assert.rejects(superuser.createSuperuser({ username: 'root' }), /UNAUTHENTICATED/);
  await assert.rejects(operations(service).createSuperuser({ username: 'root' }), /UNAUTHENTICATED/);

  assert.match(service.output(), /listening/);
  assert.doesNotMatch(service.output(), /bootstrap|alice@example\.com/i);
  assert.deepEqual(readdirSync(DATA_DIR), []);
});

test('a port in use is reported, and the service exits with 1', async () => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
  const { port } = occupant.address() as { port: number };
  try {
    const { code, stdout, stderr } = await runToExit({
      ...sharedSecrets(),
      DATABASE_URL: await createDatabase(),
      PORT: String(port),
    });
    assert.equal(code, 1);
    assert.match(stdout + stderr, new RegExp(`address already in use 127\\.0\\.0\\.1:${port}`));
  } finally {
    occupant.close();
  }
});

test('an unavailable database at start is reported, and the service exits with 1', async () => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
  const { port } = occupant.address() as { port: number };
  await new Promise((resolve) => occupant.close(resolve));
  const { code, stdout, stderr } = await runToExit({
    ...sharedSecrets(),
    DATABASE_URL: `postgres://someone:hunter2@127.0.0.1:${port}/identity`,
  });
  assert.equal(code, 1);
  assert.match(stdout + stderr, new RegExp(`ECONNREFUSED 127\\.0\\.0\\.1:${port}`));
  assert.doesNotMatch(stdout + stderr, /hunter2/);
});

test('after a stop signal the service is not ready, and serves until the load balancer notices', async () => {
  const service = await spawnService({
    ...sharedSecrets(),
    DATABASE_URL: await createDatabase(),
    NODE_ENV: 'production',
    BCRYPT_COST: '10',
    SHUTDOWN_DRAIN_SECONDS: '2',
  });
  service.process.kill('SIGTERM');
  // A request may overtake the signal.
  let ready = await fetch(`${service.url}/readyz`);
  while (ready.status === 200) ready = await fetch(`${service.url}/readyz`);
  assert.deepEqual([ready.status, await ready.json()], [503, { status: 'draining' }]);
  assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
  const { user } = expectMember(await operations(service).createUser({ username: 'late' }), 'CreateUserSuccess');
  assert.equal(user.username, 'late');
  assert.equal(await service.exited, 0);
});

test('a service does not start on an embedded database of a newer version', async () => {
  const DATA_DIR = temporaryFolder();
  const database = await openTestDatabase({ url: undefined, dataDir: DATA_DIR });
  await database.migrate();
  await database.db.execute(
    "insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)",
  );
  await database.close();
  const { code, stderr } = await runToExit({ ...sharedSecrets(), DATA_DIR });
  assert.deepEqual(
    [code, stderr],
    [1, 'The database was migrated by a newer version of this program. Start that one.\n'],
  );
});

test('a second stop signal of any kind stops the service immediately', async () => {
  const service = await spawnService({
    ...sharedSecrets(),
    DATABASE_URL: await createDatabase(),
    SHUTDOWN_DRAIN_SECONDS: '60',
  });
  service.process.kill('SIGTERM');
  while ((await fetch(`${service.url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await service.kill('SIGINT'), null, 'ended by the signal');
});
