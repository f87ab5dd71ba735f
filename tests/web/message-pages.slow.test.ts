/** The pages that messages link to, in a real browser: verification and password reset. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, openBrowser, skipWithoutBrowser, until } from '../support/browser.js';
import { outbox } from '../support/client.js';
import {
  awaitMessage,
  codeField,
  identifierField,
  linkIn,
  newPages,
  openSignedIn,
  passwordField,
  signInHere,
  signOutOnPage,
  signUpOnPage,
  startPages,
} from '../support/pages.js';
import { insertPeople, insertPerson, lastMessage } from '../support/people.js';

const started = await startPages();
const { service } = started;

describe('the pages', { skip: skipWithoutBrowser }, () => {
  let page: Page;
  const open = newPages(started, (opened) => {
    page = opened;
  });

  describe('verify an address by the link of its message', () => {
    test('on a click and use no code before it', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await arrived(page, 'Verify your address');
      const link = linkIn(await awaitMessage(service));
      for (const scanner of [await open(), await open({ javaScriptEnabled: false })]) await scanner.goto(link);
      await page.goto(link);
      await page.reload();
      await page.getByRole('button', { name: 'Verify' }).click();
      await page.getByText('is verified.').waitFor();
      await page.getByRole('link', { name: 'Go to your account' }).click();
      await page.getByText('Verified', { exact: true }).waitFor();
    });

    test('on another device after a sign-in', async () => {
      await signUpOnPage(page, 'ada@example.com');
      const link = linkIn(await awaitMessage(service));
      const other = await open();
      await other.goto(link);
      await other.getByText('Sign in on this device first').waitFor();
      await signInHere(other, 'ada@example.com');
      await other.getByRole('button', { name: 'Verify' }).click();
      await other.getByText('is verified.').waitFor();
    });

    test('and report that another user is signed in', async () => {
      const [ada] = await insertPeople(service, [
        { email: 'ada@example.com', hasPassword: true },
        { username: 'bob', hasPassword: true },
      ]);
      await ada.sendOneTimePassword(ada.emailToken, 'VERIFICATION');
      await openSignedIn(page, 'bob', linkIn(await lastMessage(service)));
      await page.getByText('This link is for another account').waitFor();
      await page.getByRole('button', { name: /^Sign out and/ }).click();
      await signInHere(page, 'ada@example.com');
      await page.getByRole('button', { name: 'Verify' }).click();
      await page.getByText('is verified.').waitFor();
    });
  });

  describe('reset a password', () => {
    beforeEach(async () => {
      await insertPerson(service, { username: 'ada', email: 'ada@example.com', hasPassword: true, verified: true });
    });

    test('by a typed code', async () => {
      await page.goto('/sign-in');
      await identifierField(page).fill('ada');
      await page.getByRole('link', { name: 'Forgot your password?' }).click();
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('button', { name: /^Send code to / }).click();
      await page.getByText('we sent it a code').waitFor();
      await page.reload();
      await until(async () => (await outbox(service)).some(({ subject }) => /reset/i.test(subject ?? '')), 'a message');
      await codeField(page).fill((await lastMessage(service)).oneTimePassword);
      await passwordField(page, 'New password').fill('short');
      await page.getByRole('button', { name: 'Set new password' }).click();
      await page.getByText('The password must have at least 8 characters.').waitFor();
      await passwordField(page, 'New password').fill('a piano in the cellar');
      await page.getByRole('button', { name: 'Set new password' }).click();
      await arrived(page, 'Your account');
      await signOutOnPage(page);
      await signInHere(page, 'ada', 'a piano in the cellar');
      await arrived(page, 'Your account');
    });

    test('by the link of the message, on another device', async () => {
      await openSignedIn(page, 'ada');
      const other = await open();
      await other.goto('/reset-password');
      await identifierField(other).fill('ada@example.com');
      await other.getByRole('button', { name: 'Continue' }).click();
      await other.getByRole('button', { name: /^Send code to / }).click();
      await other.getByText('we sent it a code').waitFor();
      const third = await open();
      await third.goto(linkIn(await lastMessage(service)));
      await passwordField(third, 'New password').fill('a piano in the cellar');
      await third.getByRole('button', { name: 'Set new password' }).click();
      await arrived(third, 'Your account');
      await page.reload();
      await arrived(page, 'Sign in');
    });
  });
});

test('the pages work with the embedded database', { skip: skipWithoutBrowser }, async () => {
  const { base: url, service: embedded } = await startPages({ DATABASE_URL: 'memory:' });
  const { page, context, offences } = await openBrowser(url);
  await signUpOnPage(page, 'ada@example.com');
  await arrived(page, 'Verify your address');
  await page.goto(linkIn(await awaitMessage(embedded)));
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText('is verified.').waitFor();
  await signOutOnPage(page);
  await signInHere(page, 'ada@example.com');
  await arrived(page, 'Your account');
  assert.deepEqual(offences, []);
  await context.close();
});
