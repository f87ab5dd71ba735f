/** The pages in a real browser: ownership of addresses, and authentication again in place. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, skipWithoutBrowser, until } from '../support/browser.js';
import { type OutboxEntry, outbox } from '../support/client.js';
import {
  awaitMessage,
  codeField,
  describedBy,
  focused,
  identifierField,
  linkIn,
  newPages,
  openSignedIn,
  passwordField,
  requestCode,
  signInHere,
  signInOnPage,
  signUpOnPage,
  startPages,
  stepUpByPassword,
  tabTo,
  untilInvalid,
} from '../support/pages.js';
import { insertPerson, password } from '../support/people.js';
import { advance } from '../support/service.js';

const started = await startPages();
const { service } = started;

describe('the pages', { skip: skipWithoutBrowser }, () => {
  let page: Page;
  const open = newPages(started, (opened) => {
    page = opened;
  });

  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const newEmail = () => page.getByRole('textbox', { name: 'New email' });
  const warning = () => page.locator('.warning');

  /** Waits for a message with a code to that address. */
  async function codeTo(address: string): Promise<OutboxEntry> {
    let found: OutboxEntry | undefined;
    await until(async () => {
      found = (await outbox(service)).find(({ to, oneTimePassword }) => to === address && oneTimePassword);
      return found !== undefined;
    }, `a code to ${address}`);
    assert.ok(found);
    return found;
  }

  /** Counts the codes that pages request. */
  function countSends(): { count: number } {
    const sends = { count: 0 };
    page.on('request', (request) => {
      if (request.postData()?.includes('mutation SendOneTimePassword')) sends.count += 1;
    });
    return sends;
  }

  /** Lets the password be too new to prove anything but a recent authentication. */
  async function renewPassword(): Promise<void> {
    await advance(service, 7_200);
    await service.app.db.execute('update users set password_changed_at = now()');
  }

  async function changeEmailTo(address: string): Promise<void> {
    await button(/^(Add|Change) email$/).click();
    await newEmail().fill(address);
    await button('Save').click();
  }

  test('give an account that a stranger made to the owner of the address', async () => {
    const stranger = await open();
    await signUpOnPage(stranger, 'ada@example.com');
    await arrived(stranger, 'Verify your address');
    await awaitMessage(service);
    await advance(service, 60);
    await requestCode(page, 'ada@example.com');
    await until(async () => (await outbox(service)).length === 2, 'the code of the owner');
    await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
    await button(/^Sign in$/).click();
    await arrived(page, 'Your account');
    await page.getByText('Verified', { exact: true }).waitFor();
    await page.getByText('You sign in with a code.').waitFor();
    await stranger.goto('/account');
    await arrived(stranger, 'Sign in');
    await signInHere(stranger, 'ada@example.com');
    await stranger.getByText('Incorrect identifier or password.').waitFor();
  });

  describe('correct a wrong address', () => {
    test('after the sign-up, without a second code', async () => {
      await signUpOnPage(page, 'adda@example.com');
      await codeTo('adda@example.com');
      const sends = countSends();
      await button('Wrong address? Change it').click();
      assert.equal(await newEmail().inputValue(), 'adda@example.com');
      await newEmail().fill('ada@example.com');
      await button('Save').click();
      await page.getByText('We sent a code to ada@example.com').waitFor();
      await button(/^Send a new code in/).waitFor();
      await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
      await button('Verify').click();
      await page.getByText('Signed in as ada@example.com').waitFor();
      assert.equal(sends.count, 0);
    });

    test('on the account page', async () => {
      await insertPerson(service, { username: 'ada', hasPassword: true });
      await openSignedIn(page, 'ada');
      await changeEmailTo('adda@example.com');
      await stepUpByPassword(page);
      await codeTo('adda@example.com');
      await button('Cancel').click();
      await until(async () => (await focused(page)) === 'Verify email', 'the focus is on a button of the row');
      await button('Wrong address? Change it').click();
      await newEmail().fill('ada@example.com');
      await button('Save').click();
      await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
      await page.locator('form').getByRole('button', { name: 'Verify' }).click();
      await page.getByText('Verified.', { exact: true }).waitFor();
      assert.equal(await page.getByText('adda@example.com').count(), 0);
    });

    test('by keeping the current one', async () => {
      await insertPerson(service, { username: 'ada', email: 'ada@example.com', hasPassword: true, verified: true });
      await openSignedIn(page, 'ada');
      await changeEmailTo('grace@example.com');
      await stepUpByPassword(page);
      await button('Wrong address? Change it').click();
      await button('Keep current email').click();
      await page.getByText('Saved.').waitFor();
      assert.equal(await page.getByText('Waits for verification').count(), 0);
    });
  });

  describe('authenticate again', () => {
    beforeEach(async () => {
      await insertPerson(service, { username: 'ada', email: 'ada@example.com', hasPassword: true, verified: true });
    });

    test('by a code to the old address, and change it once the new one is verified', async () => {
      await openSignedIn(page, 'ada');
      const sends = countSends();
      await changeEmailTo('grace@example.com');
      await button(/^Send code to /).click();
      await page.getByText('We sent a code to').waitFor();
      await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
      await button('Continue').click();
      await page.getByText('We sent a code to grace@example.com').waitFor();
      const { oneTimePassword } = await codeTo('grace@example.com');
      await button('Cancel').click();
      await page.getByText('Waits for verification').waitFor();
      await page.getByText('Verified', { exact: true }).waitFor();
      await button('Verify new email').click();
      await codeField(page).fill(oneTimePassword);
      await page.locator('form').getByRole('button', { name: 'Verify' }).click();
      await page.getByText('Verified.', { exact: true }).waitFor();
      assert.equal(await page.getByText('Waits for verification').count(), 0);
      assert.equal(await page.getByText('ada@example.com').count(), 0);
      assert.equal(sends.count, 1);
    });

    test('by the link of the message to the new address', async () => {
      await openSignedIn(page, 'ada');
      await changeEmailTo('grace@example.com');
      await stepUpByPassword(page);
      await page.goto(linkIn(await codeTo('grace@example.com')));
      await page.getByText('Verify that grace@example.com belongs to you.').waitFor();
      await button('Verify').click();
      await page.getByText('grace@example.com is verified.').waitFor();
    });

    test('by the password, after a wrong one', async () => {
      await signInOnPage(page, 'ada');
      await openSignedIn(await open(), 'ada');
      await advance(service, 660);
      await page.reload();
      await button('Sign out everywhere else').click();
      await stepUpByPassword(page, 'wrong');
      await page.getByText('Incorrect').waitFor();
      await advance(service, 2);
      await stepUpByPassword(page);
      await page.getByText('Signed out of 2 other sessions.').waitFor();
    });

    test('with a way back that keeps what was typed', async () => {
      await openSignedIn(page, 'ada');
      await changeEmailTo('grace@example.com');
      await button(/^Send code to /).click();
      await button('Use another way').click();
      await passwordField(page, 'Current password').waitFor();
      await button('Cancel').last().click();
      assert.equal(await newEmail().inputValue(), 'grace@example.com');
      await button('Save').click();
      await stepUpByPassword(page);
      await codeField(page).waitFor();
    });

    test('by keyboard only, with the focus where the user goes on', async () => {
      await openSignedIn(page, 'ada');
      await button('Change email').waitFor();
      await tabTo(page, 'Change email');
      await page.keyboard.press('Enter');
      await newEmail().fill('grace@example.com');
      await page.keyboard.press('Tab');
      assert.equal(await focused(page), 'Save');
      await page.keyboard.press('Enter');
      await until(async () => (await focused(page)) === 'password', 'the focus is on the password');
      await page.keyboard.press('Escape');
      await until(async () => (await focused(page)) === 'Save', 'the focus is back');
      await page.keyboard.press('Enter');
      await until(async () => (await focused(page)) === 'password', 'the focus is on the password again');
      await page.keyboard.type(password);
      await page.keyboard.press('Enter');
      await until(async () => (await focused(page)) === 'one-time-code', 'the focus is on the code');
    });

    test('report that nothing can prove enough', async () => {
      await service.app.db.execute('delete from security_tokens');
      await service.app.db.execute('update users set email = null, email_key = null');
      await renewPassword();
      await openSignedIn(page, 'ada');
      await changeEmailTo('grace@example.com');
      await page.getByText('Nothing of this account can confirm this now.').waitFor();
      await button('Cancel').last().click();
      assert.equal(await newEmail().inputValue(), 'grace@example.com');
    });

    test('by a new password where a recent authentication suffices', async () => {
      await renewPassword();
      await openSignedIn(page, 'ada');
      await advance(service, 660);
      await page.reload();
      await button('Sign out everywhere else').click();
      await stepUpByPassword(page);
      await page.getByText(/^Signed out of \d other session/).waitFor();
    });
  });

  test('let a user without a password set one after a code', async () => {
    await insertPerson(service, { email: 'ada@example.com', verified: true });
    await requestCode(page, 'ada@example.com');
    await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
    await button(/^Sign in$/).click();
    await arrived(page, 'Your account');
    await advance(service, 60);
    await page.getByRole('button', { name: 'Set', exact: true }).click();
    await passwordField(page, 'New password').fill('a piano in the cellar');
    await button('Save').click();
    const before = (await outbox(service)).length;
    await page.evaluate('sessionStorage.clear()');
    await button(/^Send code to /).click();
    await until(async () => (await outbox(service)).length > before, 'a second code');
    await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
    await button('Continue').click();
    await page.getByText('You have a password.').waitFor();
  });

  test('warn a user who cannot recover the account', async () => {
    await insertPerson(service, { username: 'ada', hasPassword: true });
    await openSignedIn(page, 'ada');
    await page.getByText("If you forget your password, you can't get back in. Add an email address").waitFor();
    await changeEmailTo('ada@example.com');
    await stepUpByPassword(page);
    await codeField(page).waitFor();
    assert.match((await warning().textContent()) ?? '', /^Verify your email address\./);
    await codeField(page).fill((await codeTo('ada@example.com')).oneTimePassword);
    await page.locator('form').getByRole('button', { name: 'Verify' }).click();
    await page.getByText('Verified.', { exact: true }).waitFor();
    assert.equal(await warning().count(), 0);
  });

  test('tell that a reserved address is not verified', async () => {
    await signUpOnPage(page, 'ada@example.com');
    await arrived(page, 'Verify your address');
    await page.goto('/account');
    await page.getByText('Not verified', { exact: true }).waitFor();
    await page.getByText('Reserved for you until its owner verifies it.').waitFor();
  });

  test('explain at the field why the last verified address stays', async () => {
    await insertPerson(service, { email: 'ada@example.com', hasPassword: true, verified: true });
    await page.goto('/sign-in');
    await identifierField(page).waitFor();
    await signInHere(page, 'ada@example.com');
    await button('Add phone').click();
    await page.getByRole('textbox', { name: 'New phone' }).fill('+12025550123');
    await button('Save').click();
    await stepUpByPassword(page);
    await codeField(page).waitFor();
    await button('Change email').click();
    await button('Remove').click();
    await untilInvalid(newEmail());
    assert.match(await describedBy(newEmail()), /This is the last verified address\./);
  });
});
