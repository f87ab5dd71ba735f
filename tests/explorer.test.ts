/** The explorer: the page at /graphql, its operations, and the hosted Studio that asks from another origin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, parse, validate } from 'graphql';
import { exampleOperations, exampleVariables } from '../src/graphql/explorer.js';
import { emitSchema } from '../src/graphql/schema.js';
import { openBrowser, skipWithoutBrowser } from './support/browser.js';
import { operations } from './support/client.js';
import { signUp } from './support/people.js';
import { clear, startService } from './support/service.js';

const service = await startService();

test('its operations are valid, and each has its variables', async () => {
  const document = parse(exampleOperations);
  assert.deepEqual(validate(buildSchema(emitSchema()), document), []);
  const asked = [...exampleOperations.matchAll(/\$(\w+): \w+!/g)].map(([, name]) => name!);
  assert.deepEqual([...new Set(asked)].sort(), Object.keys(exampleVariables).sort());
  await clear(service);
  const { createUser, authenticate } = operations(service);
  assert.equal((await createUser(exampleVariables.input)).__typename, 'CreateUserSuccess');
  assert.equal((await authenticate(exampleVariables.credentials)).__typename, 'AuthenticateSuccess');
});

test('its page lets the Sandbox run, for this API and with these operations, and says so where it cannot be loaded', {
  skip: skipWithoutBrowser,
}, async () => {
  const { page, context, offences } = await openBrowser(service.url);
  // What the page loads from the internet, in its place here: it notes what it is asked for.
  await context.route(/apollographql\.com|fonts\./, (route) =>
    route.request().url().includes('embeddable-sandbox')
      ? route.fulfill({
          contentType: 'text/javascript',
          body: 'window.EmbeddedSandbox = class { constructor(options) { window.asked = options; } };',
        })
      : route.abort(),
  );
  await page.goto('/graphql');
  const asked = (await page.evaluate('window.asked')) as {
    initialEndpoint: string;
    runTelemetry: boolean;
    initialState: { document: string };
  };
  assert.equal(asked.initialEndpoint, `${service.url}/graphql`);
  assert.equal(asked.runTelemetry, false);
  assert.equal(asked.initialState.document, exampleOperations);
  assert.deepEqual(offences, []);

  await context.unrouteAll();
  await context.route(/apollographql\.com|fonts\./, (route) => route.abort());
  await page.goto('/graphql');
  await page.getByText('Apollo Sandbox cannot be loaded').waitFor();
  await context.close();
});

for (const origin of ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'])
  test(`${origin} may ask, by the headers that it sends`, async () => {
    await clear(service);
    const ada = await signUp(service, { username: 'ada', password: 'violin under the stairs' });
    const headers = 'authorization,content-type,x-session-transport,apollographql-client-name';
    const preflight = await fetch(`${service.url}/graphql`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': headers },
    });
    assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
    assert.equal(preflight.headers.get('access-control-allow-headers'), headers);
    assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
    const answer = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json', authorization: `Bearer ${ada.tokens.accessToken}` },
      body: JSON.stringify({ query: '{ me { username } __schema { queryType { name } } }' }),
    });
    assert.equal(answer.headers.get('access-control-allow-origin'), origin);
    assert.deepEqual(await answer.json(), {
      data: { me: { username: 'ada' }, __schema: { queryType: { name: 'Query' } } },
    });
  });

test('a page of any other origin is not let in', async () => {
  const preflight = await fetch(`${service.url}/graphql`, {
    method: 'OPTIONS',
    headers: { origin: 'https://studio.apollographql.com.evil.test', 'access-control-request-method': 'POST' },
  });
  assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});
