/** The explorer: its operations, and requests of the hosted Studio from another origin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, parse, validate } from 'graphql';
import { exampleOperations, exampleVariables } from '../../../src/graphql/server/explorer.js';
import { emitSchema } from '../../../src/graphql/server/schema.js';
import { operations } from '../../support/client.js';
import { signUp } from '../../support/people.js';
import { clear, startService } from '../../support/service.js';

const service = await startService();

test('its operations are valid and have their variables', async () => {
  const document = parse(exampleOperations);
  assert.deepEqual(validate(buildSchema(emitSchema()), document), []);
  const asked = [...exampleOperations.matchAll(/\$(\w+): \w+!/g)].map(([, name]) => name!);
  assert.deepEqual([...new Set(asked)].sort(), Object.keys(exampleVariables).sort());
  await clear(service);
  const { createUser, authenticate } = operations(service);
  assert.equal((await createUser(exampleVariables.input)).__typename, 'CreateUserSuccess');
  assert.equal((await authenticate(exampleVariables.credentials)).__typename, 'AuthenticateSuccess');
});

for (const origin of ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'])
  test(`accepts requests of ${origin} with its headers`, async () => {
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

test('rejects pages of other origins', async () => {
  const preflight = await fetch(`${service.url}/graphql`, {
    method: 'OPTIONS',
    headers: { origin: 'https://studio.apollographql.com.evil.test', 'access-control-request-method': 'POST' },
  });
  assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});
