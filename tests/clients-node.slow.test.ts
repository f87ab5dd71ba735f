/** The examples of docs/clients.md: compared with the document and run against the service. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, type TestContext, test } from 'node:test';
import { buildSchema, isInterfaceType } from 'graphql';
import { MeDocument, PolicyDocument, SessionsDocument, UpdateAccountDocument } from '../web/src/generated/graphql.js';
import { countDown } from './examples/count-down.js';
import { possibleTypes } from './examples/possible-types.js';
import { describeResult } from './examples/sign-in.js';
import { operations } from './support/client.js';
import { documentedBlocks, documentedClients, documentedFiles, makeDocumentedProject } from './support/front-end.js';
import { password, signUp } from './support/people.js';
import { root } from './support/root.js';
import { advance, clear, startService } from './support/service.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const service = await startService();

const project = await makeDocumentedProject(service, 'copied');
const load = (name: string) => import(join(project, 'src', `${name}.js`));
const { tokens }: typeof import('./examples/tokens.js') = await load('tokens');

test('docs/clients.md quotes the examples', () => {
  // A reader has the generated files in other folders.
  const shown = documentedFiles.map((file) =>
    read(file)
      .replaceAll('../../web/src/generated/', './graphql/')
      .replaceAll('../../web/src/refresh-link', './refresh-link'),
  );
  assert.deepEqual(documentedBlocks(), shown);
});

test('the possible types of docs/clients.md match the schema', () => {
  const schema = buildSchema(read('schema.graphql'));
  const interfaces = Object.values(schema.getTypeMap()).filter(isInterfaceType);
  const implementing = interfaces.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]);
  const sorted = (types: Record<string, string[]>) =>
    Object.fromEntries(Object.entries(types).map(([name, members]) => [name, members.toSorted()]));
  assert.deepEqual(sorted(possibleTypes), sorted(Object.fromEntries(implementing)));
});

for (const [name, file] of Object.entries(documentedClients))
  test(`a sign-in with ${name} reports every result and stores its tokens`, async () => {
    await clear(service);
    await signUp(service, { username: 'ada', password });
    Object.assign(tokens, { accessToken: null, refreshToken: null });
    const { signIn }: Pick<typeof import('./examples/fetch.js'), 'signIn'> = await load(file);
    const outcome = async (secret: string, identifier = 'ada') => describeResult(await signIn(identifier, secret));
    assert.equal(await outcome(password), 'welcome, ada');
    const stored = { ...tokens };
    assert.equal((await operations(service, { token: stored.accessToken! }).me()).username, 'ada');
    assert.equal(await outcome('wrong'), 'Incorrect identifier or password.');
    assert.equal(await outcome('wrong'), 'try again in 1 s');
    assert.match(await outcome('wrong', '\u0000'), /^identifier: |^Incorrect/);
    assert.deepEqual({ ...tokens }, stored, 'an error changes no tokens');
    assert.equal(await tokens.refresh(), true);
    assert.equal((await operations(service, { token: tokens.accessToken! }).me()).username, 'ada');
  });

describe('the link that refreshes a session', () => {
  let sent: string[] = [];
  const originalFetch = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    sent.push(/(?:query|mutation) (\w+)/.exec(String(init?.body ?? ''))?.[1] ?? String(input));
    return originalFetch(input, init);
  };

  beforeEach(async () => {
    sent = [];
    await clear(service);
    const ada = await signUp(service, { username: 'ada', password });
    // As if it had expired.
    tokens.store({ ...ada.tokens, accessToken: `${ada.tokens.accessToken}x` });
    sent = [];
  });

  test('refreshes once for any number of rejected requests and repeats each', async () => {
    const { client }: typeof import('./examples/apollo-client.js') = await load('apollo-client');
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

  test('does not repeat a request if the refresh signs in another user', async () => {
    const { client }: typeof import('./examples/apollo-client.js') = await load('apollo-client');
    const bob = await signUp(service, { username: 'bob', password });
    // Bob signs in in another tab: the tabs of a browser share the cookie with the refresh token.
    tokens.refreshToken = bob.tokens.refreshToken;
    const rename = { mutation: UpdateAccountDocument, variables: { input: { username: 'lovelace' } } };
    await assert.rejects(client.mutate(rename), /sign in|session|token/i);
    const { data } = await client.query({ query: MeDocument, fetchPolicy: 'no-cache' });
    assert.equal(data?.me?.username, 'bob');
  });

  test('reports the error if the session is revoked', async () => {
    const { client }: typeof import('./examples/apollo-client.js') = await load('apollo-client');
    await operations(service).signOut(tokens.refreshToken!);
    sent = [];
    await assert.rejects(client.query({ query: MeDocument, fetchPolicy: 'no-cache' }), /sign in|session|token/i);
    assert.deepEqual(sent, ['Me', 'RefreshSession']);
    assert.equal(tokens.accessToken, null);
    const { data } = await client.query({ query: MeDocument, fetchPolicy: 'no-cache' });
    assert.equal(data?.me, null);
  });
});

test('a change that requires a step-up asks for the password and is repeated', async () => {
  await clear(service);
  await signUp(service, { username: 'ada', password });
  const { signIn }: Pick<typeof import('./examples/fetch.js'), 'signIn'> = await load('apollo-client');
  await signIn('ada', password);
  const { changeEmail }: typeof import('./examples/step-up.js') = await load('step-up');
  const refused = await changeEmail('ada@example.com', async () => 'wrong');
  assert.equal(refused.__typename, 'StepUpRequiredError');
  await advance(service, 1);
  const changed = await changeEmail('ada@example.com', async () => password);
  assert.ok(changed.__typename === 'UpdateUserSuccess');
  assert.equal(changed.user.pendingEmail, 'ada@example.com');
  const again = await changeEmail('ada@example.org', () => assert.fail('the proof is still fresh'));
  assert.equal(again.__typename, 'UpdateUserSuccess');
});

test('a countdown stops at 0', async () => {
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

describe('a countdown of ten seconds', () => {
  /** Starts the countdown, advances both clocks of the device and returns the last value shown. */
  function shownAfter(t: TestContext, monotonicSeconds: number, wallSeconds: number): number | undefined {
    let [monotonic, wall] = [5000, 1e12];
    t.mock.method(performance, 'now', () => monotonic);
    t.mock.method(Date, 'now', () => wall);
    t.mock.timers.enable({ apis: ['setInterval'] });
    let shown: number | undefined;
    countDown({ retryAfterSeconds: 10 }, (seconds) => {
      shown = seconds;
    });
    assert.equal(shown, 10);
    monotonic += monotonicSeconds * 1000;
    wall += wallSeconds * 1000;
    t.mock.timers.tick(1000);
    return shown;
  }

  test('ends after ten seconds', (t) => {
    assert.equal(shownAfter(t, 10, 10), 0);
  });

  test('is not longer if the wall clock is set back', (t) => {
    assert.equal(shownAfter(t, 8, -3600), 2);
  });

  test('is not longer if the device sleeps and its monotonic clock stops', (t) => {
    assert.equal(shownAfter(t, 0.5, 8), 2);
  });
});
