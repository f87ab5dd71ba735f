/** The trace of a request at a collector, and its independence of the collector. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pino } from 'pino';
import { createTracing } from '../../src/observability/tracing.js';
import { expectMember, operations, send } from '../support/client.js';
import { type CollectedSpan, startCollector } from '../support/collector.js';
import { connect } from '../support/replicas.js';
import { createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';

const collector = await startCollector();
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callersSpanId = '00f067aa0ba902b7';
const traceparent = `00-${traceId}-${callersSpanId}-01`;
const password = 'correct horse battery';

const start = async (environment: Record<string, string>) =>
  spawnService({ ...sharedSecrets(), DATABASE_URL: await createDatabase(), LOG_LEVEL: 'info', ...environment });

test('a request is a trace below the span of the caller, with its operation, statements and message', async () => {
  collector.clear();
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_SERVICE_NAME: 'accounts' });
  const { user, tokens } = expectMember(
    await operations(service).createUser({ email: 'alice@example.com', password }),
    'CreateUserSuccess',
  );
  const headers = { traceparent, 'x-request-id': 'request.1' };
  const asked = operations(service, { token: tokens!.accessToken, headers });
  const sent = await asked.sendOneTimePassword(user.securityTokens[0]!.id, 'VERIFICATION');
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
  // The stop sends the remaining spans.
  assert.equal(await service.kill('SIGTERM'), 0);

  const spans = collector.spans().filter((span) => span.traceId === traceId);
  const one = (name: string) => {
    const found = spans.filter((span) => span.name === name);
    assert.equal(found.length, 1, `${name} among ${spans.map((span) => span.name).join(', ')}`);
    return found[0]!;
  };
  const request = one('POST /graphql');
  assert.deepEqual(
    [request.parentSpanId, request.kind, request.failed, request.attributes],
    [
      callersSpanId,
      'server',
      false,
      { 'http.request.method': 'POST', 'http.route': '/graphql', 'http.response.status_code': 200 },
    ],
  );
  assert.equal(request.resource['service.name'], 'accounts');
  const operation = one('mutation sendOneTimePassword');
  assert.deepEqual(
    [operation.parentSpanId, operation.attributes],
    [
      request.spanId,
      {
        'graphql.operation.type': 'mutation',
        'flex_identity.operation': 'sendOneTimePassword',
        'flex_identity.outcome': 'ok',
      },
    ],
  );
  const viewer = one('find_live_session');
  assert.deepEqual([viewer.parentSpanId, viewer.kind], [request.spanId, 'client']);
  for (const name of ['begin', 'commit', 'replace_one_time_password', 'insert outbox_messages'])
    assert.ok(
      spans.some((span) => span.name === name),
      `${name} among ${spans.map((span) => span.name).join(', ')}`,
    );
  const message = one('send email');
  assert.deepEqual(
    [message.parentSpanId, message.attributes],
    [
      operation.spanId,
      {
        'flex_identity.channel': 'email',
        'flex_identity.provider': 'outbox',
        'flex_identity.message': 'one-time-password',
      },
    ],
  );
  assert.equal(one('insert outbox_messages').parentSpanId, message.spanId);
  assert.deepEqual(
    spans.filter((span) => !isWithin(span, spans)),
    [],
  );

  const lines = service
    .output()
    .split('\n')
    .filter((line) => line.includes('"requestId":"request.1"'));
  assert.ok(lines.length > 0);
  for (const line of lines) assert.equal(JSON.parse(line).trace_id, traceId);
});

/** Returns whether the span is a child of the caller's span or of a received span. */
function isWithin({ parentSpanId }: CollectedSpan, spans: CollectedSpan[]): boolean {
  return parentSpanId === callersSpanId || spans.some(({ spanId }) => spanId === parentSpanId);
}

test('a span has the code of an expected error, and is failed after an internal error', async () => {
  collector.clear();
  const DATABASE_URL = await createDatabase();
  const service = await start({ DATABASE_URL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces` });
  const headers = { traceparent, tracestate: 'vendor=hunter2' };
  await operations(service, { headers }).authenticate({ username: 'nobody', password });
  const { query } = await connect(DATABASE_URL);
  await query('alter table sign_in_throttles rename to sign_in_throttles_away');
  const signIn = 'mutation hunter2($input: AuthenticateInput!) { authenticate(input: $input) { __typename } }';
  const { errors } = await send(service, signIn, { input: { username: 'somebody', password } });
  assert.equal(errors![0]!.extensions.code, 'INTERNAL_SERVER_ERROR');
  await fetch(`${service.url}/hunter2`);
  await fetch(`${service.url}/healthz`);
  await service.kill('SIGTERM');

  const spans = collector.spans();
  const [refused, failed] = spans.filter(({ name }) => name === 'mutation authenticate');
  assert.deepEqual([refused!.attributes['flex_identity.outcome'], refused!.failed], ['INVALID_CREDENTIALS', false]);
  assert.deepEqual([failed!.attributes['flex_identity.outcome'], failed!.failed], ['INTERNAL_SERVER_ERROR', true]);
  const statement = spans.find((span) => span.parentSpanId === failed!.spanId && span.failed);
  assert.deepEqual([statement?.kind, statement?.attributes['error.type']], ['client', '42P01']);
  // Neither the client's name of the operation nor the requested path is part of a span.
  assert.ok(spans.some(({ name, attributes }) => name === 'GET' && attributes['http.response.status_code'] === 404));
  assert.ok(!collector.received().includes('hunter2'));
  assert.deepEqual(
    spans.filter(({ name }) => name.includes('healthz')),
    [],
  );
  // Work of the service itself, such as its start, has no trace.
  assert.deepEqual(
    [...new Set(spans.filter(({ parentSpanId }) => parentSpanId === '').map(({ kind }) => kind))],
    ['server'],
  );
});

test('without the variables, the service loads no OpenTelemetry packages', async () => {
  // prom-client imports only the API package.
  const loaded = () =>
    Object.keys(createRequire(import.meta.url).cache).filter((file) => /@opentelemetry.(?!api.)/.test(file));
  await startService();
  assert.deepEqual(loaded(), []);
  const tracing = await createTracing(
    { url: `${collector.url}/v1/traces`, serviceName: 'test' },
    pino({ level: 'silent' }),
  );
  await tracing.close();
  assert.ok(loaded().length > 0);
});
