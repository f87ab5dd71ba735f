/** A real browser for the tests of pages, where there is one. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach } from 'node:test';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { atWorkerEnd } from './worker-end.js';

/** The headless shell takes half the processor time of the whole browser. */
const executablePath =
  process.env.CHROMIUM ??
  (existsSync('/usr/bin/chromium-headless-shell') ? '/usr/bin/chromium-headless-shell' : '/usr/bin/chromium');

/** For the option `skip` of a test: why it is left out; false where it is not. */
export const skipWithoutBrowser = existsSync(executablePath)
  ? false
  : `there is no Chromium at ${executablePath}; CHROMIUM names another`;

interface Window {
  context: BrowserContext;
  page: Page;
  /** what a page should never meet: breaches of the content security policy, and errors that no script caught */
  offences: string[];
}

/** One for all files of a process. */
let running: Promise<Browser> | undefined;

/** Opens a browser that remembers nothing, like another device. */
export async function openBrowser(baseURL?: string, options: BrowserContextOptions = {}): Promise<Window> {
  if (running === undefined) {
    const launched = chromium.launch({
      executablePath,
      // Names of test sites lead to this machine.
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

/** For a suite: opens browsers that are closed after each test, which fails where a page of theirs has met what none should. */
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

/** Waits for a heading of that name, which is the page. */
export async function arrived(page: Page, heading: string): Promise<void> {
  await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
}

/** Waits until the condition holds, for half a minute at most. */
export async function until(condition: () => Promise<boolean>, about: string): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    assert.ok(tries < 600, about);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
