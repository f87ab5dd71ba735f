/** The examples of docs/clients.md: quoted as they are, and run against the service. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, beforeEach, describe, type TestContext, test } from 'node:test';
import { buildSchema, isInterfaceType } from 'graphql';
import { createServer } from 'vite';
import { MeDocument, PolicyDocument, SessionsDocument, UpdateAccountDocument } from '../web/src/generated/graphql.js';
import { countDown } from './examples/count-down.js';
import { possibleTypes } from './examples/possible-types.js';
import { outcomeOf } from './examples/sign-in.js';
import { openBrowser, skipWithoutBrowser } from './support/browser.js';
import { operations } from './support/client.js';
import { compileInPlace } from './support/compile.js';
import { compileForBrowsers, generateAsDocumented } from './support/front-end.js';
import { password, signUp } from './support/people.js';
import { freePort } from './support/postgres.js';
import { root } from './support/root.js';
import { clear, startService } from './support/service.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const files = [
  'tests/examples/codegen.ts',
  'tests/examples/sign-in.ts',
  'tests/examples/api.ts',
  'tests/examples/possible-types.ts',
  'tests/examples/apollo-client.ts',
  'tests/examples/urql.ts',
  'tests/examples/graphql-request.ts',
  'tests/examples/fetch.ts',
  'web/src/refresh-link.ts',
  'tests/examples/tokens.ts',
  'tests/examples/count-down.ts',
];
const quoted = [...read('docs/clients.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!);

const port = await freePort();
const frontEnd = `http://localhost:${port}`;
const service = await startService({ CORS_ORIGINS: frontEnd });

// The project of a reader, of the blocks as they stand. Within this one, so that the packages are found from there.
const project = mkdtempSync(join(root, 'dist/clients-'));
after(() => rmSync(project, { recursive: true }));
await generateAsDocumented(project);
for (const [index, file] of files.map((file) => basename(file)).entries())
  writeFileSync(join(project, file === 'codegen.ts' ? '.' : 'src', file), quoted[index] ?? '');

// The one thing that a reader changes: where the API is.
const api = join(project, 'src/api.ts');
writeFileSync(api, readFileSync(api, 'utf8').replace('http://localhost:4000', service.url));
await compileInPlace(join(project, 'src'));
const load = (name: string) => import(join(project, 'src', `${name}.js`));
const { tokens }: typeof import('./examples/tokens.js') = await load('tokens');

test('docs/clients.md quotes the examples as they are', () => {
  // But for where a reader has what is generated.
  const shown = files.map((file) =>
    read(file)
      .replaceAll('../../web/src/generated/', './graphql/')
      .replaceAll('../../web/src/refresh-link', './refresh-link'),
  );
  assert.deepEqual(quoted, shown);
});

test('the blocks of docs/clients.md compile in a front end', () => {
  assert.equal(compileForBrowsers(project), '');
});

test('the possible types of docs/clients.md are those of the schema', () => {
  const schema = buildSchema(read('schema.graphql'));
  const interfaces = Object.values(schema.getTypeMap()).filter(isInterfaceType);
  const implementing = interfaces.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]);
  const sorted = (types: Record<string, string[]>) =>
    Object.fromEntries(Object.entries(types).map(([name, members]) => [name, members.toSorted()]));
  assert.deepEqual(sorted(possibleTypes), sorted(Object.fromEntries(implementing)));
});

const clients = {
  'Apollo Client': 'apollo-client',
  urql: 'urql',
  'graphql-request': 'graphql-request',
  fetch: 'fetch',
};
for (const [name, file] of Object.entries(clients))
  test(`a sign-in by ${name} is told every outcome, and keeps its tokens`, async () => {
    await clear(service);
    await signUp(service, { username: 'ada', password });
    Object.assign(tokens, { accessToken: null, refreshToken: null });
    const { signIn }: Pick<typeof import('./examples/fetch.js'), 'signIn'> = await load(file);
    const outcome = async (secret: string, identifier = 'ada') => outcomeOf(await signIn(identifier, secret));
    assert.equal(await outcome(password), 'welcome, ada');
    const kept = { ...tokens };
    assert.equal((await operations(service, { token: kept.accessToken! }).me()).username, 'ada');
    assert.equal(await outcome('wrong'), 'No account has these identifiers and this password.');
    assert.equal(await outcome('wrong'), 'try again in 1 s');
    assert.match(await outcome('wrong', '\u0000'), /^identifier: |^No account/);
    assert.deepEqual({ ...tokens }, kept, 'a refusal has none');
    assert.equal(await tokens.refresh(), true);
    assert.equal((await operations(service, { token: tokens.accessToken! }).me()).username, 'ada');
  });

test('the four sign in from a browser, served by Vite and on another origin than the API', {
  skip: skipWithoutBrowser,
}, async () => {
  await clear(service);
  await signUp(service, { username: 'ada', password });
  const names = Object.values(clients);
  const main = names.map((file, n) => `import { signIn as signIn${n} } from './src/${file}.js';`).join('\n');
  const signIns = names.map((_, n) => `signIn${n}`);
  writeFileSync(join(project, 'main.ts'), `${main}\nObject.assign(window, { signIns: [${signIns}] });\n`);
  writeFileSync(join(project, 'index.html'), '<!doctype html><script type="module" src="/main.ts"></script>');
  // Not what it builds, where `process.env` is an empty object.
  const server = await createServer({
    root: project,
    cacheDir: join(project, '.vite'),
    configFile: false,
    logLevel: 'warn',
    server: { host: 'localhost', port, strictPort: true, hmr: false, ws: false, watch: null },
  });
  await server.listen();
  const { context, page, offences } = await openBrowser(frontEnd);
  try {
    await page.goto('/');
    assert.deepEqual(offences, []);
    const outcomes = await page.evaluate(async (password) => {
      const { signIns } = globalThis as unknown as { signIns: typeof import('./examples/fetch.js').signIn[] };
      const outcomes: string[] = [];
      for (const signIn of signIns) outcomes.push((await signIn('ada', password)).__typename);
      return outcomes;
    }, password);
    assert.deepEqual(outcomes, Array(names.length).fill('AuthenticateSuccess'));
  } finally {
    await context.close();
    await server.close();
  }
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
    // As if it had expired.
    tokens.keep({ ...ada.tokens, accessToken: `${ada.tokens.accessToken}x` });
    sent = [];
  });

  test('waits for one refresh, however many requests were refused, and sends each again', async () => {
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

  test('sends nothing again in the name of whoever the refresh signs in', async () => {
    const { client }: typeof import('./examples/apollo-client.js') = await load('apollo-client');
    const bob = await signUp(service, { username: 'bob', password });
    // As if he had signed in in another tab of a browser, where the refresh token is in a cookie of all tabs.
    tokens.refreshToken = bob.tokens.refreshToken;
    const rename = { mutation: UpdateAccountDocument, variables: { input: { username: 'lovelace' } } };
    await assert.rejects(client.mutate(rename), /sign in|session|token/i);
    const { data } = await client.query({ query: MeDocument, fetchPolicy: 'no-cache' });
    assert.equal(data?.me?.username, 'bob');
  });

  test('lets the refusal through where the session is over', async () => {
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

describe('a wait of ten seconds', () => {
  /** Shows the wait, lets both clocks of the device go on by so many seconds, and gives what was shown last. */
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

  test('is over when ten seconds have gone by', (t) => {
    assert.equal(shownAfter(t, 10, 10), 0);
  });

  test('is not longer where the clock on the wall was set back', (t) => {
    assert.equal(shownAfter(t, 8, -3600), 2);
  });

  test('is not longer where the device has slept, and its monotonic clock with it', (t) => {
    assert.equal(shownAfter(t, 0.5, 8), 2);
  });
});
