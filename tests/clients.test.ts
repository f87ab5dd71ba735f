/** The examples of docs/clients.md: quoted as they are, and run against the service. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { MeDocument, PolicyDocument, SessionsDocument, UpdateAccountDocument } from '../web/src/generated/graphql.js';
import { countDown } from './examples/count-down.js';
import { outcomeOf } from './examples/sign-in.js';
import { tokens } from './examples/tokens.js';
import { operations } from './support/client.js';
import { password, signUp } from './support/people.js';
import { clear, startService } from './support/service.js';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const service = await startService();
// The examples read it when they are loaded.
process.env.IDENTITY_URL = service.url;

test('docs/clients.md quotes the examples as they are run', () => {
  const quoted = [...read('docs/clients.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text);
  const files = [
    'tests/examples/codegen.ts',
    'tests/examples/sign-in.ts',
    'tests/examples/apollo-client.ts',
    'tests/examples/urql.ts',
    'tests/examples/graphql-request.ts',
    'tests/examples/fetch.ts',
    'web/src/refresh-link.ts',
    'tests/examples/tokens.ts',
    'tests/examples/count-down.ts',
  ];
  // But for where a reader has what is generated.
  const shown = files.map((file) =>
    read(file)
      .replaceAll('../../web/src/generated/', './graphql/')
      .replaceAll('../../web/src/refresh-link', './refresh-link'),
  );
  assert.deepEqual(quoted, shown);
});

const clients = {
  'Apollo Client': () => import('./examples/apollo-client.js'),
  urql: () => import('./examples/urql.js'),
  'graphql-request': () => import('./examples/graphql-request.js'),
  fetch: () => import('./examples/fetch.js'),
};
for (const [name, load] of Object.entries(clients))
  test(`a sign-in by ${name} is told every outcome`, async () => {
    await clear(service);
    await signUp(service, { username: 'ada', password });
    const { signIn } = await load();
    const outcome = async (secret: string, identifier = 'ada') => outcomeOf(await signIn(identifier, secret));
    assert.equal(await outcome(password), 'welcome, ada');
    assert.equal(await outcome('wrong'), 'No account has these identifiers and this password.');
    assert.equal(await outcome('wrong'), 'try again in 1 s');
    assert.match(await outcome('wrong', '\u0000'), /^identifier: |^No account/);
  });

describe('the link that refreshes a session', () => {
  let sent: string[] = [];
  const fetchOf = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    sent.push(/(?:query|mutation) (\w+)/.exec(String(init?.body ?? ''))?.[1] ?? String(input));
    return fetchOf(input, init);
  };

  beforeEach(async () => {
    sent = [];
    await clear(service);
    const ada = await signUp(service, { username: 'ada', password });
    tokens.refreshToken = ada.tokens.refreshToken;
    // As if it had expired.
    tokens.accessToken = `${ada.tokens.accessToken}x`;
    sent = [];
  });

  test('waits for one refresh, however many requests were refused, and sends each again', async () => {
    const { client } = await import('./examples/apollo-client.js');
    const noCache = { fetchPolicy: 'no-cache' } as const;
    const [me, sessions, policy, update] = await Promise.all([
      client.query({ query: MeDocument, ...noCache }),
      client.query({ query: SessionsDocument, ...noCache }),
      client.query({ query: PolicyDocument, ...noCache }),
      client.mutate({ mutation: UpdateAccountDocument, variables: { input: { username: 'lovelace' } } }),
    ]);
    assert.ok(me.data?.me);
    assert.equal(sessions.data?.me?.sessions.length, 1);
    assert.equal(policy.data?.policy.passwordMinLength, 8);
    assert.equal(update.data?.updateUser.__typename, 'UpdateUserSuccess');
    assert.equal(sent.filter((name) => name === 'RefreshSession').length, 1);
    assert.equal(sent.length, 9);
    const again = await client.query({ query: MeDocument, ...noCache });
    assert.equal(again.data?.me?.username, 'lovelace');
    assert.equal(sent.length, 10);
  });

  test('sends nothing again in the name of whoever the refresh signs in', async () => {
    const { client } = await import('./examples/apollo-client.js');
    const bob = await signUp(service, { username: 'bob', password });
    // As if he had signed in in another tab of a browser, where the refresh token is in a cookie of all tabs.
    tokens.refreshToken = bob.tokens.refreshToken;
    const rename = { mutation: UpdateAccountDocument, variables: { input: { username: 'lovelace' } } };
    await assert.rejects(client.mutate(rename), /sign in|session|token/i);
    const { data } = await client.query({ query: MeDocument, fetchPolicy: 'no-cache' });
    assert.equal(data?.me?.username, 'bob');
  });

  test('lets the refusal through where the session is over', async () => {
    const { client } = await import('./examples/apollo-client.js');
    await operations(service).signOut(tokens.refreshToken!);
    sent = [];
    await assert.rejects(client.query({ query: MeDocument, fetchPolicy: 'no-cache' }), /sign in|session|token/i);
    assert.deepEqual(sent, ['Me', 'RefreshSession']);
    assert.equal(tokens.accessToken, null);
    const { data } = await client.query({ query: MeDocument, fetchPolicy: 'no-cache' });
    assert.equal(data?.me, null);
  });
});

test('a wait counts down to 0 and ends', async () => {
  const shown: number[] = [];
  await new Promise<void>((resolve) => {
    countDown({ retryAfterSeconds: 2 }, (seconds) => {
      shown.push(seconds);
      if (seconds === 0) resolve();
    });
  });
  assert.equal(shown[0], 2);
  assert.equal(shown.at(-1), 0);
  assert.deepEqual([...new Set(shown)], shown);
});
