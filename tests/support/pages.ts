/** Actions and queries on the pages of the reference front end. */
import assert from 'node:assert/strict';
import { beforeEach } from 'node:test';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { arrived, browsersOf, until } from './browser.js';
import { type OutboxEntry, outbox } from './client.js';
import { lastMessage, password } from './people.js';
import { freePort } from './postgres.js';
import { clear, type Service, startService } from './service.js';

/** Starts the service at a name that a browser on this machine can open. */
export async function startPages(
  environment: Record<string, string> = {},
): Promise<{ base: string; service: Service }> {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  const own = { PORT: String(port), HOST: 'localhost', PUBLIC_URL: base };
  return { base, service: await startService({ ...own, ...environment }) };
}

/**
 * For a suite: each test has an empty database and a new window, which `use` receives before it.
 * @returns a function that opens a further window
 */
export function newPages(
  { base, service }: { base: string; service: Service },
  use: (page: Page) => void,
): (options?: BrowserContextOptions) => Promise<Page> {
  const open = browsersOf(base);
  beforeEach(async () => {
    await clear(service);
    use(await open());
  });
  return open;
}

/** Waits until a message is sent, and returns the newest. */
export async function awaitMessage(service: Service, channel: OutboxEntry['channel'] = 'email'): Promise<OutboxEntry> {
  await until(async () => (await outbox(service))[0]?.channel === channel, 'a message');
  return lastMessage(service);
}

/** Waits until a field is marked as invalid. */
export function untilInvalid(field: Locator): Promise<void> {
  return until(async () => (await field.getAttribute('aria-invalid')) === 'true', 'the field is invalid');
}

export function identifierField(page: Page) {
  return page.getByRole('textbox', { name: 'Username, email or phone' });
}

export function passwordField(page: Page, label = 'Password') {
  return page.getByRole('textbox', { name: label, exact: true });
}

export function codeField(page: Page) {
  return page.getByRole('textbox', { name: 'Code', exact: true });
}

export async function signUpOnPage(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-up');
  await identifierField(page).fill(identifier);
  await passwordField(page).fill(password);
  await page.getByRole('button', { name: 'Create account' }).click();
}

export async function signInOnPage(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-in');
  await signInHere(page, identifier);
  await arrived(page, 'Your account');
}

/** Opens a page as a signed-in user. The request sets the cookie as the sign-in page would. */
export async function openSignedIn(page: Page, username: string, path = '/account'): Promise<void> {
  const response = await page.request.post('/graphql', {
    headers: { 'x-session-transport': 'cookie' },
    data: {
      query: 'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename } }',
      variables: { input: { identifier: username, password } },
    },
  });
  const { data } = (await response.json()) as { data: { authenticate: { __typename: string } } };
  assert.equal(data.authenticate.__typename, 'AuthenticateSuccess');
  await page.goto(path);
}

/** Signs in by the form of the current page. */
export async function signInHere(page: Page, identifier: string, secret = password): Promise<void> {
  await identifierField(page).fill(identifier);
  await passwordField(page).fill(secret);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** Authenticates again by the form that replaces the one of the operation. */
export async function stepUpByPassword(page: Page, secret = password): Promise<void> {
  await passwordField(page, 'Current password').fill(secret);
  await page.getByRole('button', { name: 'Continue' }).click();
}

export async function signOutOnPage(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('button', { name: 'Sign out' }).click();
  await arrived(page, 'Sign in');
}

/** Requests a code for a sign-in and waits until it is sent. */
export async function requestCode(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-in');
  await identifierField(page).fill(identifier);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: /^Send code to / }).click();
  await codeField(page).waitFor();
}

export function linkIn({ text }: { text: string }): string {
  const link = /https?:\S+#\S+/.exec(text)?.[0];
  assert.ok(link, text);
  return link;
}

/** Returns the description of a field for screen readers. */
export async function describedBy(field: ReturnType<typeof passwordField>): Promise<string> {
  const ids = (await field.getAttribute('aria-describedby')) ?? '';
  const texts = ids.split(' ').map((id) => field.page().locator(`[id="${id}"]`).textContent());
  return (await Promise.all(texts)).join(' ');
}

/** Returns the name or the text of the focused element. */
export function focused(page: Page): Promise<string> {
  return page.evaluate('document.activeElement.name || document.activeElement.textContent');
}

export async function tabTo(page: Page, name: string, key = 'Tab'): Promise<void> {
  for (let presses = 0; (await focused(page)) !== name; presses += 1) {
    assert.ok(presses < 40, `${name} cannot be reached by ${key}`);
    await page.keyboard.press(key);
  }
}
