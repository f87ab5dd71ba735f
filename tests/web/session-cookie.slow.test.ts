/** The session cookie in a real browser: on listed pages and on hostile pages of other origins. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { BrowserContext, Page, Request } from 'playwright-core';
import { openBrowser, skipWithoutBrowser } from '../support/browser.js';
import { operations } from '../support/client.js';
import { password } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { clear, createDatabase, sharedSecrets, startService } from '../support/service.js';

// The site id.test has several origins, and the API is one of them. There is also another site.
const [apiPort, pagePort] = [await freePort(), await freePort()];
const api = `http://id.test:${apiPort}`;
const front = `http://front.id.test:${pagePort}`;
const foreignOrigins = {
  'another site': `http://evil.test:${pagePort}`,
  'another host of this site': `http://evil.id.test:${pagePort}`,
  'another port of this host': `http://id.test:${pagePort}`,
};

const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const service = await startService({ ...environment, PORT: String(apiPort), PUBLIC_URL: api, CORS_ORIGINS: front });

const refreshSession =
  'mutation { refreshSession { __typename ... on RefreshSessionSuccess { tokens { refreshToken } } ... on IdentityError { code } } }';
const signOut = 'mutation { signOut { signedOut } }';
const authenticate = (username: string) =>
  `mutation { authenticate(input: { username: "${username}", password: "${password}" }) { ... on AuthenticateSuccess { tokens { refreshToken } } } }`;

const graphql = JSON.stringify(`${api}/graphql`);
const link = (query: string) => `${api}/graphql?query=${encodeURIComponent(query)}`;
const quoted = (query: string) => JSON.stringify(JSON.stringify({ query }));
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');

const form = (enctype: string, name: string, value: string) =>
  `<form method="post" action=${graphql} enctype="${enctype}"><input name="${escaped(name)}" value="${escaped(value)}"></form>
  <script>document.forms[0].submit()</script>`;
/** A page whose script sets the title when it is done, even after an error. */
const script = (promise: string) => `<script>
  Promise.resolve(${promise}).catch(() => {}).finally(() => { document.title = 'done'; });
</script>`;

/** The HTML of hostile pages that make the browser send a mutation. */
const attacks: Record<string, (query: string) => string> = {
  'a form posts JSON as text': (query) => {
    const [head, tail] = JSON.stringify({ query, extensions: { '=': 0 } }).split('=') as [string, string];
    return form('text/plain', head, tail);
  },
  'a form posts the query': (query) => form('application/x-www-form-urlencoded', 'query', query),
  'a form posts the query in parts': (query) => form('multipart/form-data', 'query', query),
  'a link is followed': (query) => `<script>location.href = ${JSON.stringify(link(query))}</script>`,
  'an image and a script are loaded': (query) =>
    script(`Promise.all(['img', 'script'].map((tag) => new Promise((resolve) => {
      document.head.append(Object.assign(document.createElement(tag), { src: ${JSON.stringify(link(query))}, onload: resolve, onerror: resolve }));
    })))`),
  'a script sends a no-cors request': (query) =>
    script(`fetch(${graphql}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: ${quoted(query)} })`),
  'a script sends a no-cors request with a JSON content type': (query) =>
    script(
      `fetch(${graphql}, { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'content-type': 'application/json' }, body: ${quoted(query)} })`,
    ),
  'a script sends the request of a front end': (query) => script(asFrontEnd(api, query)),
  'a script sends a GET request': (query) =>
    script(`fetch(${JSON.stringify(link(query))}, { credentials: 'include' })`),
  'beacons are sent': (query) =>
    script(
      `['application/json', 'text/plain'].map((type) => navigator.sendBeacon(${graphql}, new Blob([${quoted(query)}], { type })))`,
    ),
  'a frame without an origin sends a request': (query) =>
    `<iframe sandbox="allow-scripts" srcdoc="${escaped(`<script>${asFrontEnd(api, query)}.catch(() => {}).finally(() => parent.postMessage('done', '*'))</script>`)}"></iframe>
    <script>addEventListener('message', ({ data }) => { document.title = data; })</script>`,
};

describe('a browser', { skip: skipWithoutBrowser }, () => {
  let context: BrowserContext;
  let html = '';
  const pages = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(`<!doctype html><title>page</title><body>${html}`);
  });

  before(async () => {
    await new Promise<void>((resolve) => pages.listen(pagePort, '127.0.0.1', resolve));
  });

  after(async () => {
    await context?.close();
    pages.closeAllConnections();
    pages.close();
  });

  beforeEach(async () => {
    html = '';
    await context?.close();
    ({ context } = await openBrowser());
    await clear(service);
    await operations(service).createUser({ username: 'alice', password });
    await operations(service).createUser({ username: 'mallory', password });
  });

  test('hides the cookie from scripts, and refreshes and signs out with it on a listed page', async () => {
    const page = await signIn();
    assert.equal(await page.evaluate('document.cookie'), '');
    const stored = await cookie();
    assert.deepEqual([stored!.httpOnly, stored!.sameSite, stored!.domain, stored!.path], [true, 'Lax', 'id.test', '/']);

    const { refreshSession: refreshed } = await ask(page, refreshSession);
    assert.deepEqual(refreshed, { __typename: 'RefreshSessionSuccess', tokens: { refreshToken: null } });
    assert.notEqual((await cookie())!.value, stored!.value);
    assert.deepEqual(await ask(page, signOut), { signOut: { signedOut: true } });
    assert.equal(await cookie(), undefined);
    const { refreshSession: failed } = await ask(page, refreshSession);
    assert.deepEqual(failed, { __typename: 'InvalidSessionError', code: 'INVALID_SESSION' });
  });

  test('uses the cookie on a page of the service', async () => {
    await signIn();
    const page = await context.newPage();
    // This page has a content security policy that allows requests.
    await page.goto(`${api}/sign-in`, { waitUntil: 'networkidle' });
    assert.equal((await ask(page, refreshSession)).refreshSession.__typename, 'RefreshSessionSuccess');
  });

  test('accepts the __Host- cookie of a service with an https URL', async () => {
    const port = await freePort();
    const secure = `http://localhost:${port}`;
    const origin = `http://localhost:${pagePort}`;
    // Browsers treat http on localhost as a secure origin.
    const PUBLIC_URL = secure.replace('http:', 'https:');
    await startService({ ...environment, PORT: String(port), PUBLIC_URL, CORS_ORIGINS: origin });
    const page = await context.newPage();
    await page.goto(origin);
    await ask(page, authenticate('alice'), secure);
    const [kept] = await context.cookies(PUBLIC_URL);
    assert.deepEqual([kept?.name, kept?.secure, kept?.httpOnly], ['__Host-refresh_token', true, true]);
    const answer = await ask(page, refreshSession, secure);
    assert.equal(answer.refreshSession.__typename, 'RefreshSessionSuccess');
  });

  for (const [about, origin] of Object.entries(foreignOrigins))
    test(`on a page of ${about} cannot refresh, revoke or replace the session`, async () => {
      await signIn();
      const before = [await cookie(), await stored()];
      const page = await context.newPage();
      const sent = recordRequests(page);
      for (const [way, attack] of Object.entries(attacks))
        for (const query of [refreshSession, signOut, authenticate('mallory')]) {
          await visit(page, origin, attack(query));
          assert.deepEqual([await cookie(), await stored()], before, `${way}: ${query}`);
        }
      await page.close();
      const requests = await Promise.all(sent);
      // Beacons may arrive late.
      assert.deepEqual([await cookie(), await stored()], before);
      const posts = requests.filter(({ method }) => method === 'POST');
      assert.ok(requests.length >= 3 * Object.keys(attacks).length - 3, `${requests.length} requests`);
      assert.ok(posts.every(({ status }) => status === undefined || (status >= 400 && status < 500)));
      // Within the site the browser sends the cookie, so the service rejects the request.
      assert.equal(
        posts.some(({ cookie }) => cookie),
        about !== 'another site',
      );
    });

  /** Opens a page and waits until its script is done. */
  async function visit(page: Page, origin: string, content: string): Promise<void> {
    html = content;
    await page.goto(origin, { waitUntil: 'commit' });
    if (content.includes("'done'")) await page.waitForFunction('document.title === "done"');
    else await page.waitForURL((url) => url.origin === api);
  }

  /** Records the requests that the page sends to the service from now on. */
  function recordRequests(page: Page): Promise<{ method: string; cookie: boolean; status: number | undefined }>[] {
    const recorded: ReturnType<typeof recordRequests> = [];
    const record = async (request: Request) => {
      const headers = await request.allHeaders();
      const response = await request.response();
      const cookie = headers.cookie?.includes('refresh_token') ?? false;
      return { method: request.method(), cookie, status: response?.status() };
    };
    for (const event of ['requestfinished', 'requestfailed'] as const)
      page.on(event as 'requestfinished', (request) => {
        if (request.url().startsWith(`${api}/graphql`)) recorded.push(record(request));
      });
    return recorded;
  }

  /** Signs in alice on the listed page. */
  async function signIn(): Promise<Page> {
    html = '';
    const page = await context.newPage();
    await page.goto(front);
    assert.deepEqual(await ask(page, authenticate('alice')), { authenticate: { tokens: { refreshToken: null } } });
    return page;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the data of a response
  function ask(page: Page, query: string, at = api): Promise<any> {
    return page.evaluate(`${asFrontEnd(at, query)}.then((response) => response.json()).then(({ data }) => data)`);
  }

  async function cookie() {
    return (await context.cookies(api)).find(({ name }) => name === 'refresh_token');
  }

  /** Returns everything that a refresh, a sign-out or a sign-in would change. */
  async function stored(): Promise<unknown> {
    const { rows } = (await service.app.db.execute(
      "select id, user_id, encode(refresh_token_hash, 'hex') as hash, refreshed_at, revoked_at from sessions order by id",
    )) as unknown as { rows: unknown };
    return rows;
  }
});

/** Returns the script of a request that uses the cookie. */
function asFrontEnd(at: string, query: string): string {
  return `fetch(${JSON.stringify(`${at}/graphql`)}, { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json', 'x-session-transport': 'cookie' }, body: ${quoted(query)} })`;
}
