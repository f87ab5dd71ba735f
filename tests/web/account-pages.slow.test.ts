/** The pages of signed-in users in a real browser: the account, two tabs, and the admin area. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, skipWithoutBrowser, until } from '../support/browser.js';
import {
  awaitMessage,
  codeField,
  focused,
  newPages,
  openSignedIn,
  passwordField,
  signInHere,
  signInOnPage,
  signOutOnPage,
  startPages,
  stepUpByPassword,
  untilInvalid,
} from '../support/pages.js';
import { insertPeople, insertPerson, makeSuperuser, password, signUp, verifyUnsent } from '../support/people.js';
import { advance } from '../support/service.js';

const started = await startPages();
const { service } = started;

describe('the pages', { skip: skipWithoutBrowser }, () => {
  let page: Page;
  const open = newPages(started, (opened) => {
    page = opened;
  });

  describe('of the account', () => {
    beforeEach(async () => {
      await insertPerson(service, { username: 'ada', email: 'ada@example.com', hasPassword: true });
      await openSignedIn(page, 'ada');
    });

    test('change, add and remove identifiers', async () => {
      await page.getByRole('button', { name: 'Add phone' }).click();
      const newPhone = page.getByRole('textbox', { name: 'New phone' });
      await newPhone.fill('nonsense');
      await page.getByRole('button', { name: 'Save' }).click();
      await untilInvalid(newPhone);
      await newPhone.fill('+1 202 555 0123');
      await page.getByRole('button', { name: 'Save' }).click();
      await stepUpByPassword(page);
      await codeField(page).fill((await awaitMessage(service, 'sms')).oneTimePassword);
      await page.locator('form').getByRole('button', { name: 'Verify' }).click();
      await page.getByText('Verified.', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Change username' }).click();
      await page.getByRole('button', { name: 'Remove', exact: true }).click();
      await page.getByText('Signed in as +12025550123').waitFor();
      // The account is owned now, so its other address is no longer reserved.
      await page.getByText('Waits for verification').waitFor();
    });

    test('require a recent authentication for a change of the username', async () => {
      const change = page.getByRole('button', { name: 'Change username' });
      // A reload would abort a refresh of the session that is in flight.
      await change.waitFor();
      await advance(service, 660);
      await page.reload();
      await change.click();
      await page.getByRole('textbox', { name: 'New username' }).fill('lovelace');
      await page.getByRole('button', { name: 'Save' }).click();
      await stepUpByPassword(page);
      await page.getByText('Signed in as lovelace').waitFor();
    });

    test('change the password', async () => {
      await page.getByRole('region', { name: 'Password' }).getByRole('button', { name: 'Change' }).click();
      await passwordField(page, 'Current password').fill(password);
      await passwordField(page, 'New password').fill('a piano in the cellar');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('You were signed out on all other devices.').waitFor();
    });

    test('sign out all other sessions', async () => {
      const other = await open();
      await openSignedIn(other, 'ada');
      await page.reload();
      await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
      // The user has a session from before too.
      await page.getByText('Signed out of 2 other sessions.').waitFor();
      await other.reload();
      await arrived(other, 'Sign in');
    });

    test('delete the account', async () => {
      await page.getByRole('button', { name: 'Delete…' }).click();
      await page.getByRole('button', { name: 'Delete my account' }).click();
      await stepUpByPassword(page);
      await arrived(page, 'Sign in');
      await signInHere(page, 'ada');
      await page.getByText('Incorrect identifier').waitFor();
    });

    test('refresh an expired access token once for all requests', async () => {
      let refreshes = 0;
      let rejected = 0;
      page.on('request', (request) => {
        if (request.postData()?.includes('mutation RefreshSession')) refreshes += 1;
      });
      page.on('response', (response) => {
        if (response.status() === 401) rejected += 1;
      });
      // Send an invalid token until the refresh, so that both requests of the page are rejected.
      await page.route('**/graphql', async (route) => {
        const headers = route.request().headers();
        if (refreshes === 0 && headers.authorization) headers.authorization = 'Bearer expired';
        await route.continue({ headers });
      });
      await page.goto('/sign-in');
      await page.getByText('You are signed in.').waitFor();
      refreshes = 0;
      rejected = 0;
      await page.getByRole('link', { name: 'Go to your account' }).click();
      await page.getByText('Chrome on Linux').first().waitFor();
      assert.ok(rejected >= 1, 'a token was rejected');
      assert.equal(refreshes, 1);
    });
  });

  describe('in two tabs', () => {
    test('sign in and out together', async () => {
      await insertPerson(service, { username: 'ada', hasPassword: true });
      const other = await page.context().newPage();
      await other.goto('/sign-in');
      await arrived(other, 'Sign in');
      await signInOnPage(page, 'ada');
      await other.getByText('You are signed in.').waitFor();
      await other.goto('/account');
      await arrived(other, 'Your account');
      await Promise.all([page.reload(), other.reload()]);
      for (const tab of [page, other]) await arrived(tab, 'Your account');
      await signOutOnPage(page);
      await arrived(other, 'Sign in');
      await other.reload();
      await arrived(other, 'Sign in');
    });

    test('show the same user after another user signs in', async () => {
      await insertPeople(service, [
        { username: 'ada', hasPassword: true },
        { username: 'bob', hasPassword: true },
      ]);
      await signInOnPage(page, 'ada');
      const other = await page.context().newPage();
      await other.goto('/account');
      await other.getByText('Signed in as ada').waitFor();
      await signOutOnPage(page);
      await signInHere(page, 'bob');
      await page.getByText('Signed in as bob').waitFor();
      await arrived(other, 'Sign in');
      await other.getByText('You are signed in.').waitFor();
      await other.getByRole('link', { name: 'Go to your account' }).click();
      await other.getByText('Signed in as bob').waitFor();
    });
  });

  describe('for staff', () => {
    test('list, search, deactivate and activate users', async () => {
      const root = await insertPerson(service, { username: 'root', role: 'superuser' });
      await insertPerson(service, { username: 'steve', role: 'staff', hasPassword: true });
      for (let n = 10; n < 35; n += 1) await insertPerson(service, { username: `person${n}` });
      await openSignedIn(page, 'steve');
      await page.getByRole('link', { name: 'Users' }).click();
      await page.getByRole('link', { name: 'person34' }).waitFor();
      await page.getByRole('link', { name: 'Next page' }).click();
      await page.getByRole('link', { name: 'person10' }).waitFor();
      await page.getByRole('button', { name: 'Back' }).click();
      await page.getByRole('link', { name: 'person34' }).waitFor();
      await page.getByRole('searchbox').fill('PERSON2');
      await until(async () => (await page.getByRole('row').count()) === 11, 'ten users and the header row');
      await page.getByRole('link', { name: 'person22' }).click();
      await page.getByRole('button', { name: 'Deactivate' }).click();
      await page.getByText('Deactivated. All sessions were revoked.').waitFor();
      assert.equal(await page.getByRole('button', { name: 'Add staff role' }).count(), 0);
      await page.getByRole('button', { name: 'Activate' }).click();
      await page.getByText('Activated.').waitFor();
      await page.goto(`/users/${root.id}`);
      await page.getByText('Only superusers can change staff and superusers.').waitFor();
    });

    test('let superusers change the roles of other users only', async () => {
      const root = await makeSuperuser(service);
      const steve = await insertPerson(service, { username: 'steve', email: 'steve@example.com' });
      await openSignedIn(page, 'root', `/users/${steve.id}`);
      const addStaffRole = page.getByRole('button', { name: 'Add staff role' });
      await addStaffRole.click();
      await page.getByText('A role needs a verified address').waitFor();
      await verifyUnsent(service, steve, steve.emailToken);
      await addStaffRole.click();
      await page.getByText('Staff access granted.').waitFor();
      await page.getByText('Verified', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Add superuser role' }).click();
      await page.getByText('Superuser access granted.').waitFor();
      await page.goto(`/users/${root.id}`);
      await page.getByText('This is you.').waitFor();
    });

    test('require a recent authentication from staff, and then go on', async () => {
      await insertPerson(service, { username: 'steve', role: 'staff', hasPassword: true });
      const ada = await insertPerson(service, { username: 'ada' });
      await openSignedIn(page, 'steve', `/users/${ada.id}`);
      const deactivate = page.getByRole('button', { name: 'Deactivate' });
      await deactivate.waitFor();
      await advance(service, 660);
      await deactivate.click();
      await passwordField(page, 'Current password').waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      await until(async () => (await focused(page)) === 'Deactivate', 'the focus is back');
      await deactivate.click();
      await stepUpByPassword(page);
      await page.getByText('Deactivated. All sessions were revoked.').waitFor();
    });

    test('show superusers the audit log, filtered by user and by event', async () => {
      await makeSuperuser(service);
      const { id } = await signUp(service, { username: 'steve', password });
      await openSignedIn(page, 'root', `/users/${id}`);
      await page.getByRole('link', { name: 'View audit log' }).click();
      await arrived(page, 'Audit log');
      await page.getByRole('rowheader', { name: 'Signed up' }).waitFor();
      assert.equal(await page.getByRole('rowheader', { name: 'Superuser created' }).count(), 0);
      await page.getByRole('link', { name: 'Show all' }).click();
      await page.getByRole('rowheader', { name: 'Superuser created' }).waitFor();
      await page.getByRole('combobox').selectOption('Signed in');
      const signedUp = page.getByRole('rowheader', { name: 'Signed up' });
      await until(async () => (await signedUp.count()) === 0, 'only matching events');
      await page.getByRole('rowheader', { name: 'Signed in' }).first().waitFor();
    });

    test('are not shown to other users', async () => {
      await insertPerson(service, { username: 'ada', hasPassword: true });
      await openSignedIn(page, 'ada');
      await page.getByText('Signed in as ada').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Users' }).count(), 0);
      await page.goto('/users');
      await page.getByText("You don't have permission to do this.").waitFor();
    });
  });
});
