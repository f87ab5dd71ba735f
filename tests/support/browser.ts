/** A real browser for page tests, if one is installed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach } from 'node:test';
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

/**
 * Opens browsers for a suite. Closes them after each test, and fails the test after a forbidden
 * event.
 */
export function browsersOf(baseURL: string): (options?: BrowserContextOptions) => Promise<Page> {
  let windows: Window[] = [];
  afterEach(async () => {
    const offences = windows.flatMap((window) => window.offences);
    for (const { context } of windows) await context.close();
    windows = [];
    assert.deepEqual(offences, []);
  });
  return async (options) => {
    const window = await openBrowser(baseURL, options);
    windows.push(window);
    return window.page;
  };
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
