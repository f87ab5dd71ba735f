/** Usage reports to GraphOS Studio: only if configured, and without user input. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { send } from './support/client.js';
import { freePort } from './support/postgres.js';
import { startService } from './support/service.js';

/** Receives the reports. */
const received: { url: string | undefined; key: string | undefined; text: string }[] = [];
const studio = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request
    .on('data', (chunk) => chunks.push(chunk))
    .on('end', () => {
      const text = gunzipSync(Buffer.concat(chunks)).toString('latin1');
      received.push({ url: request.url, key: request.headers['x-api-key']?.toString(), text });
      response.end('{}');
    });
});
const port = await freePort();
await new Promise<void>((resolve) => studio.listen(port, '127.0.0.1', resolve));
after(() => studio.close());
const APOLLO_REPORTING_URL = `http://127.0.0.1:${port}`;

const secret = 'violin under the stairs';

async function use(environment: Record<string, string>): Promise<string> {
  const service = await startService({ APOLLO_REPORTING_URL, ...environment });
  const headers = { 'apollographql-client-name': 'my-front-end', 'apollographql-client-version': '4.5.6' };
  const options = { headers: { ...headers, 'x-canary': 'canary-header' } };
  const answer = await send(
    service,
    `mutation SignUpForTraces($input: CreateUserInput!) { createUser(input: $input) { ... on CreateUserSuccess { tokens { accessToken } } } }`,
    { input: { email: 'canary@example.com', password: secret } },
    options,
  );
  const token = answer.data.createUser.tokens.accessToken;
  // Literals in the document, which clients should avoid. Rejected with a top-level error.
  await send(
    service,
    `mutation SignInForTraces { authenticate(input: { identifier: "canary@example.com", password: "${secret}!" }) { ... on AuthenticateSuccess { user { id } } } }`,
    {},
    options,
  );
  await send(service, 'query MeForTraces { me { email } }', {}, { ...options, token });
  await send(service, `query Broken { nothing(here: "${secret}") }`, {}, options);
  await service.stop();
  return token;
}

test('with a key and a graph, reports contain operations and clients, and no user input or output', async () => {
  const token = await use({ APOLLO_KEY: 'service:identity:key', APOLLO_GRAPH_REF: 'identity@test' });
  assert.ok(received.length > 0, 'a report');
  assert.ok(received.every(({ url, key }) => url === '/api/ingress/traces' && key === 'service:identity:key'));
  const text = received.map((report) => report.text).join('\n');
  for (const told of ['SignUpForTraces', 'SignInForTraces', 'MeForTraces', 'my-front-end', '4.5.6', 'identity@test'])
    assert.ok(text.includes(told), told);
  for (const kept of [secret, 'canary@example.com', 'canary-header', token, 'Incorrect identifier'])
    assert.ok(!text.includes(kept), kept);
});

test('without a configuration, nothing is reported', async () => {
  received.length = 0;
  await use({});
  assert.deepEqual(received, []);
});
