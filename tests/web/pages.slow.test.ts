/** The reference front end in a real browser, against the real service: every way in and out, by mouse, by keyboard, by the links of messages. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { arrived, browsersOf, openBrowser, skipWithoutBrowser, until } from '../support/browser.js';
import { outbox } from '../support/client.js';
import {
  askForOneTimePassword,
  codeField,
  describedBy,
  focused,
  identifierField,
  linkIn,
  passwordField,
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

  describe('sign somebody up', () => {
    test('by email, and confirm the address by the one-time password that is sent', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await arrived(page, 'Confirm your address');
      await until(async () => (await outbox(service)).length === 1, 'a message');
      const { oneTimePassword } = await lastMessage(service);
      await codeField(page).fill(oneTimePassword.toLowerCase());
      await page.getByRole('button', { name: 'Confirm' }).click();
      await arrived(page, 'Your account');
      await page.getByText('confirmed', { exact: true }).waitFor();
    });

    test('by username, email and phone in one field that tells the kind as one types', async () => {
      await page.goto('/sign-up');
      for (const [typed, told] of [
        ['ada', 'This is a username'],
        ['ada@', 'This is an email address'],
        ['+1', 'This is a phone number'],
        ['202', 'This is a phone number'],
        ['', 'Any one of them'],
      ] as const) {
        await identifierField(page).fill(typed);
        await page.getByText(told).waitFor();
      }
      await signUpOnPage(page, '(202) 555-0123');
      await arrived(page, 'Confirm your address');
      await page.getByText('6 digits').waitFor();
      await until(async () => (await outbox(service)).length === 1, 'a message');
      assert.equal((await outbox(service))[0]?.to, '+12025550123');
    });

    test('and say at the field what is wrong with it, and how strong a password is', async () => {
      await signUp(service, { username: 'ada', password });
      await page.goto('/sign-up');
      await identifierField(page).fill('ADA');
      await passwordField(page).fill('password');
      await page.getByText('Far too easy to guess').waitFor();
      await page.getByRole('button', { name: 'Create account' }).click();
      await until(
        async () => (await passwordField(page).getAttribute('aria-invalid')) === 'true',
        'the field is marked',
      );
      assert.match(await describedBy(passwordField(page)), /too easy to guess/);
      await passwordField(page).fill('violin under the stairs');
      await page.getByText('Strong', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Create account' }).click();
      await until(
        async () => (await identifierField(page).getAttribute('aria-invalid')) === 'true',
        'the field is marked',
      );
      assert.equal(await focused(page), 'username');
    });

    test('without a password', async () => {
      await page.goto('/sign-up');
      await identifierField(page).fill('ada@example.com');
      await page.getByRole('checkbox').check();
      await page.getByRole('button', { name: 'Create account' }).click();
      await arrived(page, 'Confirm your address');
      await page.goto('/account');
      await page.getByText('You sign in by one-time password.').waitFor();
    });
  });

  describe('sign somebody in', () => {
    beforeEach(async () => {
      const ada = await signUp(service, { username: 'ada', email: 'ada@example.com', password });
      await verify(service, ada, ada.emailToken);
      await advance(service, 60);
    });

    test('by password, and keep nothing of the session where a script finds it', async () => {
      await signInOnPage(page, 'Ada@Example.com');
      await page.getByText('Signed in as ada').waitFor();
      const kept = await page.evaluate('JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])');
      assert.doesNotMatch(String(kept), /eyJ|refresh|token/i);
      await page.reload();
      await page.getByText('Signed in as ada').waitFor();
    });

    for (const [about, paste] of Object.entries({
      'as it is': (code: string) => code,
      'in groups, in lower case, with a dash': (code: string) => ` ${code.slice(0, 4)}-${code.slice(4)} `.toLowerCase(),
      'with the whole message around it': (code: string) =>
        `Use this one-time password to sign in:\n\n    ${code}\n\nIt is good`,
    }))
      test(`by a one-time password that is pasted ${about}`, async () => {
        await askForOneTimePassword(page, 'ada');
        await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
        const { oneTimePassword } = await lastMessage(service);
        await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(paste(oneTimePassword))})`);
        await codeField(page).focus();
        await page.keyboard.press('Control+V');
        await until(
          async () => (await codeField(page).inputValue()).replace(' ', '') === oneTimePassword,
          'it is read',
        );
        await page.keyboard.press('Enter');
        await arrived(page, 'Your account');
      });

    test('by a one-time password, whose field browsers fill in and people correct', async () => {
      await askForOneTimePassword(page, 'ada@example.com');
      assert.equal(await codeField(page).getAttribute('autocomplete'), 'one-time-code');
      await codeField(page).pressSequentially('bcdf2345');
      assert.equal(await codeField(page).inputValue(), 'BCDF 2345');
      for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'Backspace', 'g']) await page.keyboard.press(key);
      assert.equal(await codeField(page).inputValue(), 'BCDF G345');
      await page.reload();
      await codeField(page).waitFor();
    });

    test('by the link of a message, at a click', async () => {
      await askForOneTimePassword(page, 'ada');
      const other = await open();
      await other.goto(linkIn(await lastMessage(service)));
      await other.getByText('It signs you in on this device').waitFor();
      await other.getByRole('button', { name: 'Sign in' }).click();
      await arrived(other, 'Your account');
      assert.doesNotMatch(other.url(), /code/);
    });

    test('and count down what a TimeoutError makes them wait, also after a reload, and open by themselves', async () => {
      await askForOneTimePassword(page, 'ada');
      const { oneTimePassword } = await lastMessage(service);
      for (let failures = 0; failures < 4; failures += 1) {
        await codeField(page).fill('WWWW WWWW');
        await page.getByRole('button', { name: 'Sign in', exact: true }).click();
        await page.getByText('is not valid').waitFor();
        await advance(service, 10);
      }
      // The last wait is 8 seconds; 10 have passed: one failure more makes 16, less what we let pass.
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await until(async () => (await failureCount()) === 5, 'the fifth failure is counted');
      await advance(service, 12);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      const closed = page.getByRole('button', { name: /^Try again in 0:0\d$/ });
      await closed.waitFor();
      assert.equal(await closed.getAttribute('aria-disabled'), 'true');
      await page.reload();
      await closed.waitFor();
      await codeField(page).fill(oneTimePassword);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await arrived(page, 'Your account');
    });

    test('and send another one-time password, once the wait for it is over', async () => {
      await page.clock.install();
      await askForOneTimePassword(page, 'ada');
      const again = page.getByRole('button', { name: /^Send another/ });
      await page.clock.runFor(1000);
      assert.match((await again.textContent()) ?? '', /^Send another in 0:[23]\d$/);
      // By force: otherwise the click itself waits until the button may be clicked.
      await again.click({ force: true });
      assert.equal(await again.getAttribute('aria-disabled'), 'true');
      const { oneTimePassword } = await lastMessage(service);
      await advance(service, 31);
      await page.clock.runFor(30_000);
      await page.getByRole('button', { name: 'Send another', exact: true }).click();
      await page.getByText('Only the newest is good.').waitFor();
      await until(async () => (await lastMessage(service)).oneTimePassword !== oneTimePassword, 'another');
      await codeField(page).fill((await lastMessage(service)).oneTimePassword);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await arrived(page, 'Your account');
    });

    test('and say alike for every name that there is no such account and password', async () => {
      await page.goto('/sign-in');
      for (const name of ['ada', 'nobody']) {
        await identifierField(page).fill(name);
        await passwordField(page).fill('wrong');
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByText('No account has these identifiers and this password.').waitFor();
      }
    });

    test('by keyboard alone', async () => {
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

test('a page of an origin that is not listed says that it may not sign anybody in', {
  skip: skipWithoutBrowser,
}, async () => {
  const { url } = await startService({ HOST: 'localhost', PUBLIC_URL: 'https://id.example.com' });
  const { page, context } = await openBrowser(url.replace('[::1]', 'localhost'));
  await page.goto('/sign-in');
  await signInHere(page, 'ada');
  await page.getByText('Pages of this origin may not use the session cookie.').waitFor();
  await context.close();
});
