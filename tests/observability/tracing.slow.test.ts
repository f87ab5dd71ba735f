/** Traces of unnamed statements, without sampling, and with an unavailable collector. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectMember, operations } from '../support/client.js';
import { startCollector } from '../support/collector.js';
import { freePort } from '../support/postgres.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';

const collector = await startCollector();

const start = async (environment: Record<string, string>) =>
  spawnService({ ...sharedSecrets(), DATABASE_URL: await createDatabase(), LOG_LEVEL: 'info', ...environment });

test('a statement without a prepared name is traced by its verb', async () => {
  collector.clear();
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, DATABASE_TRANSACTION_POOLER: 'true' });
  const { tokens } = expectMember(await operations(service).createUser({ username: 'alice' }), 'CreateUserSuccess');
  await operations(service, { token: tokens!.accessToken }).me();
  await service.kill('SIGTERM');
  const names = collector.spans().map(({ name }) => name);
  for (const name of ['insert sessions', 'select sessions']) assert.ok(names.includes(name), names.join(', '));
  assert.ok(!names.includes(''));
});

test('OTEL_TRACES_SAMPLER disables traces', async () => {
  collector.clear();
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER: 'always_off' });
  await operations(service).createUser({ username: 'alice' });
  assert.equal(await service.kill('SIGTERM'), 0);
  assert.equal(collector.received(), '');
});

const signUps = async (service: { url: string }) => {
  for (let number = 0; number < 20; number += 1) {
    const { __typename } = await operations(service).createUser({ username: `user${number}` });
    assert.equal(__typename, 'CreateUserSuccess');
  }
};

test('an unavailable collector is logged, and delays neither responses nor shutdown', async () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${await freePort()}`;
  const quickly = { OTEL_BSP_SCHEDULE_DELAY: '50', OTEL_EXPORTER_OTLP_TIMEOUT: '500' };
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT, ...quickly });
  await signUps(service);
  for (const deadline = Date.now() + 10_000; !service.output().includes('trace export failed'); ) {
    assert.ok(Date.now() < deadline, service.output());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await service.kill('SIGTERM'), 0);
});

test('a silent collector delays neither responses nor shutdown', async () => {
  const hanging = await startCollector();
  hanging.hang();
  // A running service waits for an export longer than this test.
  const service = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: hanging.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    OTEL_EXPORTER_OTLP_TIMEOUT: '600000',
    OTEL_BSP_EXPORT_TIMEOUT: '600000',
  });
  await signUps(service);
  assert.equal(await service.kill('SIGTERM'), 0);
});
