/** The pages in a real browser during failures: they report the true state and offer a retry. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, skipWithoutBrowser, stopClock, until } from '../support/browser.js';
import { outbox } from '../support/client.js';
import {
  awaitMessage,
  codeField,
  focused,
  identifierField,
  linkIn,
  newPages,
  openSignedIn,
  passwordField,
  requestCode,
  signInHere,
  signOutOnPage,
  startPages,
  tabTo,
} from '../support/pages.js';
import { insertPerson, lastMessage, makeSuperuser, password } from '../support/people.js';
import { advance } from '../support/service.js';

const started = await startPages();
const { service } = started;

describe('the pages', { skip: skipWithoutBrowser }, () => {
  let page: Page;
  newPages(started, (opened) => {
    page = opened;
  });

  /** Lets every request of the operation fail until `unroute`. */
  async function failRequests(operation: string, how: 'unreachable' | 503 = 503): Promise<void> {
    await page.route('**/graphql', (route) => {
      if (!new RegExp(`(query|mutation) ${operation}\\b`).test(route.request().postData() ?? ''))
        return route.fallback();
      if (how === 'unreachable') return route.abort();
      const errors = [{ message: 'Busy.', extensions: { code: 'SERVICE_UNAVAILABLE' } }];
      return route.fulfill({ status: how, json: { errors }, contentType: 'application/graphql-response+json' });
    });
  }

  function focusOn(name: string): Promise<void> {
    return until(async () => (await focused(page)) === name, `the focus is on ${name}`);
  }

  describe('with a failed request', () => {
    beforeEach(async () => {
      await insertPerson(service, { username: 'ada', hasPassword: true });
    });

    for (const how of ['unreachable', 503] as const)
      test(`report a sign-out that failed with ${how}, and repeat it`, async () => {
        await openSignedIn(page, 'ada');
        await failRequests('SignOut', how);
        const signOut = page.getByRole('navigation').getByRole('button', { name: 'Sign out' });
        await signOut.click();
        await page.getByText('so you are still signed in').waitFor();
        await arrived(page, 'Your account');
        await page.reload();
        await page.getByText('Signed in as ada').waitFor();
        await page.unroute('**/graphql');
        await signOutOnPage(page);
        await page.reload();
        await arrived(page, 'Sign in');
      });

    test('report a failed sign-out before a change of user', async () => {
      const bob = await insertPerson(service, { email: 'bob@example.com', hasPassword: true });
      await bob.sendOneTimePassword(bob.emailToken, 'VERIFICATION');
      await openSignedIn(page, 'ada', linkIn(await lastMessage(service)));
      await failRequests('SignOut');
      const signOut = page.getByRole('button', { name: /^Sign out and/ });
      await signOut.click();
      await page.getByText('so you are still signed in').waitFor();
      await page.unroute('**/graphql');
      await signOut.click();
      await page.getByText('Sign in on this device first').waitFor();
    });

    test('keep the address and offer a retry if the service is unreachable at the start', async () => {
      await failRequests('RefreshSession');
      await openSignedIn(page, 'ada', '/users/1?from=here');
      await arrived(page, 'The service cannot be reached');
      await page.unroute('**/graphql');
      await page.getByRole('button', { name: 'Try again' }).click();
      await arrived(page, 'User');
      assert.equal(new URL(page.url()).search, '?from=here');
    });

    for (const [operation, path, shown] of [
      ['Me', '/account', 'Signed in as ada'],
      ['Sessions', '/account', 'Chrome on Linux'],
      ['Me', '/verify', 'Your addresses are verified.'],
    ] as const)
      test(`report a failed ${operation} query on ${path} and offer a retry`, async () => {
        await failRequests(operation);
        await openSignedIn(page, 'ada', path);
        await page.getByText('Busy.').waitFor();
        await page.unroute('**/graphql');
        await page.getByRole('button', { name: 'Try again' }).click();
        await page.getByText(shown).first().waitFor();
        assert.equal(await page.getByText('Busy.').count(), 0);
      });
  });

  describe('that verify an address', () => {
    beforeEach(async () => {
      const addresses = { email: 'ada@example.com', phone: '+12025550123' };
      await insertPerson(service, { username: 'ada', ...addresses, hasPassword: true });
    });

    test('do not send a second code when they are opened again', async () => {
      await stopClock(page);
      await openSignedIn(page, 'ada');
      const verifyEmail = page.getByRole('button', { name: 'Verify email' });
      await verifyEmail.click();
      const { oneTimePassword } = await awaitMessage(service);
      await page.getByRole('button', { name: /^Send a new code in/ }).waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      await verifyEmail.click();
      await page.getByText('We sent a code to').waitFor();
      await advance(service, 31);
      await page.clock.runFor(31_000);
      await codeField(page).fill(oneTimePassword);
      await page.locator('form').getByRole('button', { name: 'Verify' }).click();
      await page.getByText('Verified.', { exact: true }).waitFor();
      assert.equal((await outbox(service)).length, 1);
      await focusOn('Change email');
    });

    test('do not report a code that was sent for another purpose', async () => {
      await requestCode(page, 'ada@example.com');
      await page.getByRole('button', { name: 'Sign in another way' }).click();
      await signInHere(page, 'ada');
      await page.getByRole('button', { name: 'Verify email' }).click();
      await page.getByRole('button', { name: /^Send code in/ }).waitFor();
      assert.equal(await page.getByText('We sent a code to').count(), 0);
    });

    test('send no unrequested code to the next address', async () => {
      let sent = 0;
      page.on('request', (request) => {
        if (request.postData()?.includes('mutation SendOneTimePassword')) sent += 1;
      });
      await openSignedIn(page, 'ada', '/verify');
      await codeField(page).fill((await awaitMessage(service)).oneTimePassword);
      await page.getByRole('button', { name: 'Verify', exact: true }).click();
      await arrived(page, 'Your account');
      assert.equal(sent, 1);
    });
  });

  describe('that messages link to', () => {
    for (const [purpose, submit, done] of [
      ['VERIFICATION', 'Verify', 'is verified.'],
      ['AUTHENTICATION', 'Sign in', 'Signed in as ada'],
      ['PASSWORD_RESET', 'Set new password', 'Signed in as ada'],
    ] as const)
      test(`accept a new code after an invalid one: ${purpose}`, async () => {
        const row = { username: 'ada', email: 'ada@example.com', hasPassword: true };
        const ada = await insertPerson(service, { ...row, verified: purpose !== 'VERIFICATION' });
        if (purpose === 'VERIFICATION') await openSignedIn(page, 'ada');
        const sendLink = async () => {
          await ada.sendOneTimePassword(ada.emailToken, purpose);
          return linkIn(await lastMessage(service));
        };
        const replaced = await sendLink();
        await advance(service, 31);
        const fresh = await sendLink();
        const submitCode = async () => {
          if (purpose === 'PASSWORD_RESET') await passwordField(page, 'New password').fill('a piano in the cellar');
          await page.locator('form').getByRole('button', { name: submit }).click();
        };
        await page.goto(replaced);
        await submitCode();
        await page.getByText('Request a new code', { exact: true }).waitFor();
        await advance(service, 60);
        await page.goto(fresh);
        await submitCode();
        await page.getByText(done).waitFor();
      });

    test('keep the link when the user skips to the content', async () => {
      const ada = await insertPerson(service, { email: 'ada@example.com', verified: true });
      await ada.sendOneTimePassword(ada.emailToken, 'AUTHENTICATION');
      const link = linkIn(await lastMessage(service));
      await page.goto(link);
      await arrived(page, 'Sign in');
      await tabTo(page, 'Skip to content');
      await page.keyboard.press('Enter');
      assert.equal(await focused(page), 'Sign in');
      assert.equal(page.url(), link);
      await page.getByText('Continue to sign in on this device.').waitFor();
    });
  });

  describe('with user input', () => {
    test('do not show data of the previous user', async () => {
      await makeSuperuser(service);
      await insertPerson(service, { username: 'ada', hasPassword: true });
      await openSignedIn(page, 'root', '/users');
      await page.getByRole('link', { name: 'ada' }).waitFor();
      // Another tab signs in a user who may not list users.
      const other = await page.context().newPage();
      await failRequests('Users', 'unreachable');
      await other.goto('/account');
      await other.getByText('Signed in as root').waitFor();
      await other.evaluate(
        `fetch('/graphql', {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-session-transport': 'cookie' },
          body: JSON.stringify({ query: 'mutation { authenticate(input: { identifier: "ada", password: ${JSON.stringify(password)} }) { __typename } }' }),
        }).then(() => new BroadcastChannel('flex-identity').postMessage('signed in'))`,
      );
      await page.getByText('The service cannot be reached.').waitFor();
      assert.equal(await page.getByRole('link', { name: 'ada' }).count(), 0);
    });

    test('reset the search on a link and restore it on back', async () => {
      await makeSuperuser(service);
      await openSignedIn(page, 'root');
      await page.getByRole('link', { name: 'Users' }).click();
      const search = page.getByRole('searchbox');
      await search.fill('unknown');
      await page.getByText('No users match “unknown”.').waitFor();
      await page.getByRole('link', { name: 'Users' }).click();
      await page.getByRole('link', { name: 'root' }).waitFor();
      await until(async () => (await search.inputValue()) === '', 'the field is empty');
      await page.goBack();
      await until(async () => (await search.inputValue()) === 'unknown', 'the search is back');
    });

    test('return the focus when an inline editor closes', async () => {
      await insertPerson(service, { username: 'ada', email: 'ada@example.com', hasPassword: true });
      await openSignedIn(page, 'ada');
      const opener = page.getByRole('button', { name: 'Change username' });
      await opener.click();
      await page.keyboard.press('Escape');
      await focusOn('Change username');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await focusOn('Change username');
      await page.keyboard.press('Enter');
      await page.getByRole('textbox', { name: 'New username' }).fill('lovelace');
      await page.keyboard.press('Enter');
      await page.getByText('Saved.').waitFor();
      await focusOn('Change username');
    });

    test('name the button of a password field by its action', async () => {
      await page.goto('/sign-in');
      await identifierField(page).waitFor();
      await page.getByRole('button', { name: 'Show password', exact: true }).click();
      const hide = page.getByRole('button', { name: 'Hide password', exact: true });
      await hide.waitFor();
      assert.equal(await hide.getAttribute('aria-pressed'), null);
      assert.equal(await passwordField(page).getAttribute('type'), 'text');
    });
  });
});
