/** The session cookie in a real browser: what a page of another origin can do with it, and what a page that may use it can. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { BrowserContext, Page, Request } from 'playwright-core';
import { openBrowser, skipWithoutBrowser } from '../support/browser.js';
import { operations } from '../support/client.js';
import { freePort } from '../support/postgres.js';
import { clear, createDatabase, sharedSecrets, startService } from '../support/service.js';
import { password } from '../support/sessions.js';

// One site, id.test, of which the API is one origin among others; and another site.
const [apiPort, pagePort] = [await freePort(), await freePort()];
const api = `http://id.test:${apiPort}`;
const front = `http://front.id.test:${pagePort}`;
const strangers = {
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
/** A page whose script says when it is done, whatever came of it. */
const script = (promise: string) => `<script>
  Promise.resolve(${promise}).catch(() => {}).finally(() => { document.title = 'done'; });
</script>`;

/** Pages that make the browser of their visitor do something, by a script or without: their HTML, for a mutation. */
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
  'a script asks, and does without the answer': (query) =>
    script(`fetch(${graphql}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: ${quoted(query)} })`),
  'a script asks, does without the answer, and says that it sends JSON': (query) =>
    script(
      `fetch(${graphql}, { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'content-type': 'application/json' }, body: ${quoted(query)} })`,
    ),
  'a script asks as a front end does': (query) => script(asFrontEnd(api, query)),
  'a script asks by GET': (query) => script(`fetch(${JSON.stringify(link(query))}, { credentials: 'include' })`),
  'beacons are sent': (query) =>
    script(
      `['application/json', 'text/plain'].map((type) => navigator.sendBeacon(${graphql}, new Blob([${quoted(query)}], { type })))`,
    ),
  'a frame without an origin asks': (query) =>
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

  test('keeps the cookie from scripts, and refreshes and signs out by it on a page that is listed', async () => {
    const page = await signIn();
    assert.equal(await page.evaluate('document.cookie'), '');
    const kept = await cookie();
    assert.deepEqual([kept!.httpOnly, kept!.sameSite, kept!.domain, kept!.path], [true, 'Lax', 'id.test', '/']);

    const { refreshSession: refreshed } = await ask(page, refreshSession);
    assert.deepEqual(refreshed, { __typename: 'RefreshSessionSuccess', tokens: { refreshToken: null } });
    assert.notEqual((await cookie())!.value, kept!.value);
    assert.deepEqual(await ask(page, signOut), { signOut: { signedOut: true } });
    assert.equal(await cookie(), undefined);
    const { refreshSession: over } = await ask(page, refreshSession);
    assert.deepEqual(over, { __typename: 'InvalidSessionError', code: 'INVALID_SESSION' });
  });

  test('goes by the cookie on a page of the service itself', async () => {
    await signIn();
    const page = await context.newPage();
    // One whose content security policy lets it ask: the rest of the service is no page.
    await page.goto(`${api}/sign-in`, { waitUntil: 'networkidle' });
    assert.equal((await ask(page, refreshSession)).refreshSession.__typename, 'RefreshSessionSuccess');
  });

  test('keeps the cookie with the prefix, as it is set where the service is reached by https', async () => {
    const port = await freePort();
    const secure = `http://localhost:${port}`;
    const origin = `http://localhost:${pagePort}`;
    // Browsers take http on localhost for as good as https.
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

  for (const [about, stranger] of Object.entries(strangers))
    test(`on a page of ${about} neither spends nor ends the session, nor changes whose it is`, async () => {
      await signIn();
      const before = [await cookie(), await stored()];
      const page = await context.newPage();
      const sent = noteRequests(page);
      for (const [way, attack] of Object.entries(attacks))
        for (const query of [refreshSession, signOut, authenticate('mallory')]) {
          await visit(page, stranger, attack(query));
          assert.deepEqual([await cookie(), await stored()], before, `${way}: ${query}`);
        }
      await page.close();
      const requests = await Promise.all(sent);
      // Beacons may arrive behind.
      assert.deepEqual([await cookie(), await stored()], before);
      const posts = requests.filter(({ method }) => method === 'POST');
      assert.ok(requests.length >= 3 * Object.keys(attacks).length - 3, `${requests.length} requests`);
      assert.ok(posts.every(({ status }) => status === undefined || (status >= 400 && status < 500)));
      // Within the site the cookie comes along: what refuses there is this service.
      assert.equal(
        posts.some(({ cookie }) => cookie),
        about !== 'another site',
      );
    });

  /** Opens a page and waits until it has done what it does. */
  async function visit(page: Page, origin: string, content: string): Promise<void> {
    html = content;
    await page.goto(origin, { waitUntil: 'commit' });
    if (content.includes("'done'")) await page.waitForFunction('document.title === "done"');
    else await page.waitForURL((url) => url.origin === api);
  }

  /** What the page sends to the service from now on, as it ends. */
  function noteRequests(page: Page): Promise<{ method: string; cookie: boolean; status: number | undefined }>[] {
    const noted: ReturnType<typeof noteRequests> = [];
    const note = async (request: Request) => {
      const headers = await request.allHeaders();
      const response = await request.response();
      const cookie = headers.cookie?.includes('refresh_token') ?? false;
      return { method: request.method(), cookie, status: response?.status() };
    };
    for (const event of ['requestfinished', 'requestfailed'] as const)
      page.on(event as 'requestfinished', (request) => {
        if (request.url().startsWith(`${api}/graphql`)) noted.push(note(request));
      });
    return noted;
  }

  /** Signs alice in on the page that may. */
  async function signIn(): Promise<Page> {
    html = '';
    const page = await context.newPage();
    await page.goto(front);
    assert.deepEqual(await ask(page, authenticate('alice')), { authenticate: { tokens: { refreshToken: null } } });
    return page;
  }

  // biome-ignore lint/suspicious/noExplicitAny: an answer
  function ask(page: Page, query: string, at = api): Promise<any> {
    return page.evaluate(`${asFrontEnd(at, query)}.then((response) => response.json()).then(({ data }) => data)`);
  }

  async function cookie() {
    return (await context.cookies(api)).find(({ name }) => name === 'refresh_token');
  }

  /** Everything that a refresh, a sign-out or a sign-in would change. */
  async function stored(): Promise<unknown> {
    const { rows } = (await service.app.db.execute(
      "select id, user_id, encode(refresh_token_hash, 'hex') as hash, refreshed_at, revoked_at from sessions order by id",
    )) as unknown as { rows: unknown };
    return rows;
  }
});

/** The script of a front end that asks by the cookie. */
function asFrontEnd(at: string, query: string): string {
  return `fetch(${JSON.stringify(`${at}/graphql`)}, { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json', 'x-session-transport': 'cookie' }, body: ${quoted(query)} })`;
}
