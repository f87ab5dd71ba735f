/** The reference front end in a real browser with a real service: sign-up and sign-in. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, browsersOf, openBrowser, skipWithoutBrowser, stopClock, until } from '../support/browser.js';
import { outbox } from '../support/client.js';
import {
  codeField,
  describedBy,
  focused,
  identifierField,
  linkIn,
  passwordField,
  requestCode,
  signInHere,
  signInOnPage,
  signUpOnPage,
  startPages,
  tabTo,
} from '../support/pages.js';
import { lastMessage, password, signUp, verify } from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

const { base, service } = await startPages();

describe('the pages', { skip: skipWithoutBrowser }, () => {
  const open = browsersOf(base);
  let page: Page;

  beforeEach(async () => {
    await clear(service);
    page = await open();
  });

  describe('sign up a user', () => {
    test('by email and verify the address by a code', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await arrived(page, 'Verify your address');
      await until(async () => (await outbox(service)).length === 1, 'a message');
      const { oneTimePassword } = await lastMessage(service);
      await codeField(page).fill(oneTimePassword.toLowerCase());
      await page.getByRole('button', { name: 'Verify' }).click();
      await arrived(page, 'Your account');
      await page.getByText('Verified', { exact: true }).waitFor();
    });

    test('by username, email or phone in a field that detects the kind', async () => {
      await page.goto('/sign-up');
      for (const [typed, hint] of [
        ['ada', 'Usernames are public.'],
        ['ada@', 'this email address'],
        ['+1', 'this phone number'],
        ['202', 'this phone number'],
        ['', 'Use any one of these.'],
      ] as const) {
        await identifierField(page).fill(typed);
        await page.getByText(hint).waitFor();
      }
      await signUpOnPage(page, '(202) 555-0123');
      await arrived(page, 'Verify your address');
      await page.getByText('6 digits').waitFor();
      await until(async () => (await outbox(service)).length === 1, 'a message');
      assert.equal((await outbox(service))[0]?.to, '+12025550123');
    });

    test('with errors at their fields and a password strength', async () => {
      await signUp(service, { username: 'ada', password });
      await page.goto('/sign-up');
      await identifierField(page).fill('ADA');
      await passwordField(page).fill('password');
      await page.getByText('Far too easy to guess').waitFor();
      await page.getByRole('button', { name: 'Create account' }).click();
      await until(
        async () => (await passwordField(page).getAttribute('aria-invalid')) === 'true',
        'the field is invalid',
      );
      assert.match(await describedBy(passwordField(page)), /too easy to guess/);
      await passwordField(page).fill('violin under the stairs');
      await page.getByText('Strong', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Create account' }).click();
      await until(
        async () => (await identifierField(page).getAttribute('aria-invalid')) === 'true',
        'the field is invalid',
      );
      assert.equal(await focused(page), 'username');
    });

    test('without a password', async () => {
      await page.goto('/sign-up');
      await identifierField(page).fill('ada@example.com');
      await page.getByRole('checkbox').check();
      await page.getByRole('button', { name: 'Create account' }).click();
      await arrived(page, 'Verify your address');
      await page.goto('/account');
      await page.getByText('You sign in with a code.').waitFor();
    });
  });

  describe('sign in a user', () => {
    beforeEach(async () => {
      const ada = await signUp(service, { username: 'ada', email: 'ada@example.com', password });
      await verify(service, ada, ada.emailToken);
      await advance(service, 60);
    });

    test('by password and store no token where scripts can read it', async () => {
      await signInOnPage(page, 'Ada@Example.com');
      await page.getByText('Signed in as ada').waitFor();
      const stored = await page.evaluate(
        'JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])',
      );
      assert.doesNotMatch(String(stored), /eyJ|refresh|token/i);
      await page.reload();
      await page.getByText('Signed in as ada').waitFor();
    });

    for (const [about, paste] of Object.entries({
      unchanged: (code: string) => code,
      'with spaces, a dash and in lower case': (code: string) => ` ${code.slice(0, 4)}-${code.slice(4)} `.toLowerCase(),
      'within the whole message': (code: string) =>
        `Use this code to sign in:\n\n    ${code}\n\nThis code expires in 10 minutes.`,
    }))
      test(`by a code that is pasted ${about}`, async () => {
        await requestCode(page, 'ada');
        await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
        const { oneTimePassword } = await lastMessage(service);
        await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(paste(oneTimePassword))})`);
        await codeField(page).focus();
        await page.keyboard.press('Control+V');
        await until(
          async () => (await codeField(page).inputValue()).replace(' ', '') === oneTimePassword,
          'the field has the code',
        );
        await page.keyboard.press('Enter');
        await arrived(page, 'Your account');
      });

    test('by a code in a field that supports autofill and editing', async () => {
      await requestCode(page, 'ada@example.com');
      assert.equal(await codeField(page).getAttribute('autocomplete'), 'one-time-code');
      await codeField(page).pressSequentially('bcdf2345');
      assert.equal(await codeField(page).inputValue(), 'BCDF 2345');
      for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'Backspace', 'g']) await page.keyboard.press(key);
      assert.equal(await codeField(page).inputValue(), 'BCDF G345');
      await page.reload();
      await codeField(page).waitFor();
    });

    test('by the link of a message on a click', async () => {
      await requestCode(page, 'ada');
      const other = await open();
      await other.goto(linkIn(await lastMessage(service)));
      await other.getByText('Continue to sign in on this device.').waitFor();
      await other.getByRole('button', { name: 'Sign in' }).click();
      await arrived(other, 'Your account');
      assert.doesNotMatch(other.url(), /code/);
    });

    test('after a countdown for a TimeoutError that survives a reload', async () => {
      await requestCode(page, 'ada');
      const { oneTimePassword } = await lastMessage(service);
      for (let failures = 0; failures < 4; failures += 1) {
        await codeField(page).fill('WWWW WWWW');
        await page.getByRole('button', { name: 'Sign in', exact: true }).click();
        await page.getByText('is wrong or expired').waitFor();
        await advance(service, 10);
      }
      // The last wait was 8 seconds, and 10 have passed. The next failure starts a wait of 16.
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await until(async () => (await failureCount()) === 5, 'the fifth failure is counted');
      await advance(service, 12);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      const waiting = page.getByRole('button', { name: /^Try again in 0:0\d$/ });
      await waiting.waitFor();
      assert.equal(await waiting.getAttribute('aria-disabled'), 'true');
      await page.reload();
      await waiting.waitFor();
      await codeField(page).fill(oneTimePassword);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await arrived(page, 'Your account');
    });

    test('by a new code that can be requested after a wait', async () => {
      await stopClock(page);
      await requestCode(page, 'ada');
      const resend = page.getByRole('button', { name: /^Send a new code/ });
      await page.clock.runFor(1000);
      assert.match((await resend.textContent()) ?? '', /^Send a new code in 0:[23]\d$/);
      // Force the click, because Playwright would wait until the button is enabled.
      await resend.click({ force: true });
      assert.equal(await resend.getAttribute('aria-disabled'), 'true');
      const { oneTimePassword } = await lastMessage(service);
      await advance(service, 31);
      await page.clock.runFor(30_000);
      await page.getByRole('button', { name: 'Send a new code', exact: true }).click();
      await page.getByText('Use the most recent code.').waitFor();
      await until(async () => (await lastMessage(service)).oneTimePassword !== oneTimePassword, 'a new code');
      await codeField(page).fill((await lastMessage(service)).oneTimePassword);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await arrived(page, 'Your account');
    });

    test('with the same error for known and unknown identifiers', async () => {
      await page.goto('/sign-in');
      for (const name of ['ada', 'nobody']) {
        await identifierField(page).fill(name);
        await passwordField(page).fill('wrong');
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByText('Incorrect identifier or password.').waitFor();
      }
    });

    test('by keyboard only', async () => {
      await page.goto('/');
      await arrived(page, 'Sign in');
      await tabTo(page, 'username');
      await page.keyboard.type('ada');
      await page.keyboard.press('Tab');
      assert.equal(await focused(page), 'password');
      await page.keyboard.type(password);
      await page.keyboard.press('Enter');
      await arrived(page, 'Your account');
      assert.equal(await focused(page), 'Your account');
      await tabTo(page, 'Change email');
      await page.keyboard.press('Enter');
      assert.equal(await focused(page), 'email');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Change email' }).waitFor();
      await page.keyboard.press('Shift+Tab');
      await tabTo(page, 'Sign out', 'Shift+Tab');
      await page.keyboard.press('Enter');
      await arrived(page, 'Sign in');
    });

    async function failureCount(): Promise<number> {
      const { rows } = (await service.app.db.execute(
        'select max(failure_count)::int as most from one_time_passwords',
      )) as unknown as { rows: { most: number }[] };
      return rows[0]!.most;
    }
  });
});

test('a page of an unlisted origin reports that it cannot use the session cookie', {
  skip: skipWithoutBrowser,
}, async () => {
  const { url } = await startService({ HOST: 'localhost', PUBLIC_URL: 'https://id.example.com' });
  const { page, context } = await openBrowser(url.replace('[::1]', 'localhost'));
  await page.goto('/sign-in');
  await signInHere(page, 'ada');
  await page.getByText('Pages of this origin may not use the session cookie.').waitFor();
  await context.close();
});
