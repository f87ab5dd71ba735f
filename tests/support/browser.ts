/** A real browser for page tests, if one is installed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach } from 'node:test';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { atWorkerEnd } from './worker-end.js';

/** The headless shell needs half the processor time of the browser. */
const executablePath =
  process.env.CHROMIUM ??
  (existsSync('/usr/bin/chromium-headless-shell') ? '/usr/bin/chromium-headless-shell' : '/usr/bin/chromium');

/** The `skip` option of a test: the reason, or false. */
export const skipWithoutBrowser = existsSync(executablePath)
  ? false
  : `there is no Chromium at ${executablePath}; CHROMIUM names another`;

interface Window {
  context: BrowserContext;
  page: Page;
  /** forbidden events of a page: policy violations and uncaught errors */
  offences: string[];
}

/** All files of a process share it. */
let running: Promise<Browser> | undefined;

/** Opens an empty browser profile, like another device. */
export async function openBrowser(baseURL?: string, options: BrowserContextOptions = {}): Promise<Window> {
  if (running === undefined) {
    const launched = chromium.launch({
      executablePath,
      // Resolves test host names to this machine.
      args: ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP *.test 127.0.0.1'],
    });
    atWorkerEnd(async () => (await launched).close());
    running = launched;
  }
  const context = await (await running).newContext({ ...(baseURL !== undefined && { baseURL }), ...options });
  const offences: string[] = [];
  context.on('weberror', (error) => offences.push(String(error.error())));
  context.on('console', (message) => {
    if (/content security policy|trusted ?types?/i.test(message.text())) offences.push(message.text());
  });
  return { context, page: await context.newPage(), offences };
}

/** Windows with a changed clock, which cannot be restored. */
const spent = new WeakSet<Page>();

/** Stops the clock of the page. The window is not used again. */
export async function stopClock(page: Page): Promise<void> {
  spent.add(page);
  await page.clock.install();
}

/**
 * Opens browsers for a suite. After each test, fails the test after a forbidden event, and closes
 * all but the first window. The next test gets that window emptied, because a new one starts a
 * process and loads the scripts without a cache.
 */
export function browsersOf(baseURL: string): (options?: BrowserContextOptions) => Promise<Page> {
  let windows: Window[] = [];
  let kept: Window | undefined;
  afterEach(async () => {
    const offences = windows.flatMap((window) => window.offences);
    for (const window of windows) if (!(window === kept && (await empty(window)))) await window.context.close();
    if (kept !== undefined && spent.has(kept.page)) kept = undefined;
    windows = [];
    assert.deepEqual(offences, []);
  });
  after(() => kept?.context.close());
  return async (options) => {
    const isFirst = windows.length === 0 && options === undefined;
    const window = (isFirst && kept) || (await openBrowser(baseURL, options));
    if (isFirst) kept = window;
    windows.push(window);
    return window.page;
  };
}

/**
 * Makes a window like a new one, except for its cache and its history.
 * @returns false if it cannot be used again
 */
async function empty({ context, page, offences }: Window): Promise<boolean> {
  if (spent.has(page)) return false;
  for (const other of context.pages()) if (other !== page) await other.close();
  for (const event of ['request', 'response', 'requestfinished', 'requestfailed']) page.removeAllListeners(event);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  // A page of the service without scripts, because the scripts of the others write to the storage.
  await page.goto('/healthz');
  await page.evaluate('sessionStorage.clear(); localStorage.clear()');
  await context.clearCookies();
  await context.clearPermissions();
  offences.length = 0;
  return true;
}

/** Waits for the page with this heading. */
export async function arrived(page: Page, heading: string): Promise<void> {
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
}

/** Waits for the condition for up to 30 seconds. */
export async function until(condition: () => Promise<boolean>, about: string): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    assert.ok(tries < 600, about);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
