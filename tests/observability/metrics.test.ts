import assert from 'node:assert/strict';
import { test } from 'node:test';
import { send } from '../support/client.js';
import { caller, password, signUp } from '../support/people.js';
import { startService } from '../support/service.js';

const service = await startService();

/** Returns the value of a sample by its exposed name and labels. */
async function sample(name: string): Promise<number | undefined> {
  const response = await fetch(`${service.url}/metrics`);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const line = (await response.text()).split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

test('/metrics counts operations by outcome', async () => {
  const alice = await signUp(service, { username: 'alice', email: 'alice@a.test', password });
  const anonymous = caller(service);
  await anonymous.authenticate({ username: 'alice', password: 'wrong' });
  await anonymous.authenticate({ username: 'alice', password });
  await alice.me();
  await anonymous.ask('{ users { nodes { id } } }');
  const count = (operation: string, outcome: string) =>
    sample(`flex_identity_operation_duration_seconds_count{operation="${operation}",outcome="${outcome}"}`);
  assert.equal(await count('createUser', 'ok'), 1);
  assert.equal(await count('authenticate', 'INVALID_CREDENTIALS'), 1);
  assert.equal(await count('authenticate', 'TIMEOUT'), 1);
  assert.equal(await count('me', 'ok'), 1);
  assert.equal(await count('users', 'UNAUTHENTICATED'), 1);
});

test('/metrics counts messages by channel, provider and outcome', async () => {
  const bob = await signUp(service, { email: 'bob@a.test' });
  await bob.sendOneTimePassword(bob.emailToken, 'VERIFICATION');
  assert.equal(await sample('flex_identity_messages_total{channel="email",provider="outbox",outcome="sent"}'), 1);
  await service.app.db.execute('drop table outbox_messages');
  await service.app.db.execute('delete from rate_limit_events');
  await bob.sendOneTimePassword(bob.emailToken, 'VERIFICATION');
  assert.equal(await sample('flex_identity_messages_total{channel="email",provider="outbox",outcome="failed"}'), 1);
});

test('/metrics counts comparisons with unverifiable hashes', async () => {
  await signUp(service, { username: 'carol', password });
  await service.app.db.execute("update users set password_hash = 'rot13$cnffjbeq' where username_key = 'carol'");
  const refused = await caller(service).authenticate({ username: 'carol', password });
  assert.equal(refused.__typename, 'InvalidCredentialsError');
  assert.equal(await sample('flex_identity_unverifiable_hashes_total{scheme="other",fault="UNKNOWN_SCHEME"}'), 1);
});

test('/metrics shows the pool, the queue of hashes and the event loop', async () => {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  for (const name of [
    'flex_identity_pool_connections{state="idle"}',
    'flex_identity_hashes_waiting',
    'nodejs_eventloop_lag_p99_seconds',
    'process_resident_memory_bytes',
  ])
    assert.ok(Number.isFinite(await sample(name)), `${name} is not in\n${text}`);
});

test('/metrics counts requests by route and status, including malformed requests', async () => {
  const count = (route: string, status: number) =>
    sample(`flex_identity_request_seconds_count{route="${route}",status="${status}"}`);
  const before = (await count('/graphql', 401)) ?? 0;
  await send(service, '{ me { id } }', {}, { token: 'not.a.token' });
  assert.equal(await count('/graphql', 401), before + 1);
  await fetch(`${service.url}/graphql`, { method: 'POST', body: 'a=1' });
  assert.equal(await count('/graphql', 415), 1);
});

test('client input does not add series to /metrics', async () => {
  const series = async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith('flex_identity_')).length;
  };
  const ask = async (word: string) => {
    await fetch(`${service.url}/${word}?${word}`, { headers: { 'x-request-id': word } });
    await fetch(`${service.url}/users/${word}`, { redirect: 'manual' });
    await fetch(`${service.url}/users/${word}`, { method: 'PUT' });
    await send(service, `query ${word} { ${word} }`);
    await send(service, `query ${word} { ${word}: policy { passwordMinLength } }`);
    await send(service, '{ me { id } }', {}, { token: word });
  };
  await ask('first');
  await series();
  const before = await series();
  for (let number = 0; number < 20; number += 1) await ask(`word${number}`);
  assert.equal(await series(), before);
});

test('/metrics is hidden from clients of a proxy', async () => {
  const behind = await startService({ TRUST_PROXY: '127.0.0.1' });
  const metrics = async (headers: Record<string, string>) => (await fetch(`${behind.url}/metrics`, { headers })).status;
  assert.equal(await metrics({ 'x-forwarded-for': '203.0.113.7' }), 404);
  assert.equal(await metrics({ 'x-forwarded-for': '127.0.0.1' }), 404);
  assert.equal(await metrics({}), 200);
});
