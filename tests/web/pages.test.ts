/** The reference front end in a real browser, against the real service: every way in and out, by mouse, by keyboard, by the links of messages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { arrived, openBrowser, skipWithoutBrowser, until, type Window } from '../support/browser.js';
import { outbox } from '../support/client.js';
import { makeSuperuser, password, signUp, verify } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { advance, clear, type Service, startService } from '../support/service.js';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const port = await freePort();
const base = `http://localhost:${port}`;
const service = await startService({ PORT: String(port), HOST: 'localhost', PUBLIC_URL: base });

describe('the pages', { skip: skipWithoutBrowser }, () => {
  let windows: Window[] = [];
  let page: Page;

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const window = await openBrowser(base, options);
    windows.push(window);
    return window.page;
  }

  beforeEach(async () => {
    await clear(service);
    page = await open();
  });

  afterEach(async () => {
    const offences = windows.flatMap((window) => window.offences);
    for (const { context } of windows) await context.close();
    windows = [];
    assert.deepEqual(offences, []);
  });

  describe('sign somebody up', () => {
    test('by email, and confirm the address by the one-time password that is sent', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await arrived(page, 'Confirm your address');
      await until(async () => (await outbox(service)).length === 1, 'a message');
      const { oneTimePassword } = await newest();
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

  describe('confirm an address by the link of its message', () => {
    test('at a click, and spend nothing before it', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await arrived(page, 'Confirm your address');
      await until(async () => (await outbox(service)).length === 1, 'a message');
      const link = linkIn(await newest());
      for (const scanner of [await open(), await open({ javaScriptEnabled: false })]) await scanner.goto(link);
      await page.goto(link);
      await page.reload();
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByText('is confirmed.').waitFor();
      await page.getByRole('link', { name: 'Go to your account' }).click();
      await page.getByText('confirmed', { exact: true }).waitFor();
    });

    test('on another device, where they ask to sign in first', async () => {
      await signUpOnPage(page, 'ada@example.com');
      await until(async () => (await outbox(service)).length === 1, 'a message');
      const other = await open();
      await other.goto(linkIn(await newest()));
      await other.getByText('Sign in on this device first').waitFor();
      await signInHere(other, 'ada@example.com');
      await other.getByRole('button', { name: 'Confirm' }).click();
      await other.getByText('is confirmed.').waitFor();
    });

    test('and say so where somebody else is signed in', async () => {
      const ada = await signUp(service, { email: 'ada@example.com', password });
      await ada.sendOneTimePassword(ada.emailToken, 'VERIFICATION');
      await signUp(service, { username: 'bob', password });
      await signInOnPage(page, 'bob');
      await page.goto(linkIn(await newest()));
      await page.getByText('This link is for another account').waitFor();
      await page.getByRole('button', { name: /^Sign out and/ }).click();
      await signInHere(page, 'ada@example.com');
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByText('is confirmed.').waitFor();
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
        const { oneTimePassword } = await newest();
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
      await other.goto(linkIn(await newest()));
      await other.getByText('It signs you in on this device').waitFor();
      await other.getByRole('button', { name: 'Sign in' }).click();
      await arrived(other, 'Your account');
      assert.doesNotMatch(other.url(), /code/);
    });

    test('and count down what a TimeoutError makes them wait, also after a reload, and open by themselves', async () => {
      await askForOneTimePassword(page, 'ada');
      const { oneTimePassword } = await newest();
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

  describe('reset a password', () => {
    beforeEach(async () => {
      const ada = await signUp(service, { username: 'ada', email: 'ada@example.com', password });
      await verify(service, ada, ada.emailToken);
      await advance(service, 60);
    });

    test('by the one-time password that is typed', async () => {
      await page.goto('/sign-in');
      await identifierField(page).fill('ada');
      await page.getByRole('link', { name: 'Forgot your password?' }).click();
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('button', { name: /^Send it to ad/ }).click();
      await page.getByText('is on its way').waitFor();
      await page.reload();
      await until(async () => (await outbox(service)).some(({ subject }) => /reset/i.test(subject ?? '')), 'a message');
      await codeField(page).fill((await newest()).oneTimePassword);
      await passwordField(page, 'New password').fill('short');
      await page.getByRole('button', { name: 'Set the new password' }).click();
      await page.getByText('The password must have at least 8 characters.').waitFor();
      await passwordField(page, 'New password').fill('a piano in the cellar');
      await page.getByRole('button', { name: 'Set the new password' }).click();
      await arrived(page, 'Your account');
      await signOutOnPage(page);
      await signInHere(page, 'ada', 'a piano in the cellar');
      await arrived(page, 'Your account');
    });

    test('by the link of the message, on another device', async () => {
      await signInOnPage(page, 'ada');
      const other = await open();
      await other.goto('/reset-password');
      await identifierField(other).fill('ada@example.com');
      await other.getByRole('button', { name: 'Continue' }).click();
      await other.getByRole('button', { name: /^Send it to ad/ }).click();
      await other.getByText('is on its way').waitFor();
      const third = await open();
      await third.goto(linkIn(await newest()));
      await passwordField(third, 'New password').fill('a piano in the cellar');
      await third.getByRole('button', { name: 'Set the new password' }).click();
      await arrived(third, 'Your account');
      await page.reload();
      await arrived(page, 'Sign in');
    });
  });

  describe('show somebody their account', () => {
    beforeEach(async () => {
      await signUp(service, { username: 'ada', email: 'ada@example.com', password });
      await signInOnPage(page, 'ada');
    });

    test('and change, add and remove identifiers', async () => {
      await page.getByRole('button', { name: 'Add phone' }).click();
      await page.getByRole('textbox', { name: 'New phone' }).fill('nonsense');
      await page.getByRole('button', { name: 'Save' }).click();
      await until(
        async () => (await page.getByRole('textbox', { name: 'New phone' }).getAttribute('aria-invalid')) === 'true',
        'the field is marked',
      );
      await page.getByRole('textbox', { name: 'New phone' }).fill('+1 202 555 0123');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('+12025550123').waitFor();
      await page.getByRole('button', { name: 'Confirm phone' }).click();
      await until(async () => (await outbox(service))[0]?.channel === 'sms', 'a message');
      await codeField(page).fill((await newest()).oneTimePassword);
      await page.locator('form').getByRole('button', { name: 'Confirm' }).click();
      await page.getByText('Confirmed.', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Change username' }).click();
      await page.getByRole('button', { name: 'Remove it' }).click();
      await page.getByText('Signed in as ada@example.com').waitFor();
    });

    test('and ask for the current password ten minutes later', async () => {
      await advance(service, 660);
      await page.reload();
      await page.getByRole('button', { name: 'Change username' }).click();
      await page.getByRole('textbox', { name: 'New username' }).fill('lovelace');
      await page.getByRole('button', { name: 'Save' }).click();
      await passwordField(page, 'Current password').fill(password);
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('Signed in as lovelace').waitFor();
    });

    test('and change the password', async () => {
      await page.getByRole('region', { name: 'Password' }).getByRole('button', { name: 'Change' }).click();
      await passwordField(page, 'Current password').fill(password);
      await passwordField(page, 'New password').fill('a piano in the cellar');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('You are signed out everywhere else.').waitFor();
    });

    test('and sign out everywhere else', async () => {
      const other = await open();
      await signInOnPage(other, 'ada');
      await page.reload();
      await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
      // The sign-up opened a session too.
      await page.getByText('Signed out in 2 other places.').waitFor();
      await other.reload();
      await arrived(other, 'Sign in');
    });

    test('and delete it', async () => {
      await page.getByRole('button', { name: 'Delete …' }).click();
      await page.getByRole('button', { name: 'Delete my account' }).click();
      await arrived(page, 'Sign in');
      await signInHere(page, 'ada');
      await page.getByText('No account has').waitFor();
    });

    test('and go on when the access token has expired, with one refresh for all requests', async () => {
      let refreshes = 0;
      let refused = 0;
      page.on('request', (request) => {
        if (request.postData()?.includes('mutation RefreshSession')) refreshes += 1;
      });
      page.on('response', (response) => {
        if (response.status() === 401) refused += 1;
      });
      // As if it had: both requests of the page are refused with the first token.
      await page.route('**/graphql', async (route) => {
        const headers = route.request().headers();
        if (refreshes === 0 && headers.authorization) headers.authorization = 'Bearer expired';
        await route.continue({ headers });
      });
      await page.getByRole('link', { name: 'flex-identity' }).click();
      await page.goto('/sign-in');
      refreshes = 0;
      refused = 0;
      await page.getByRole('link', { name: 'Go to your account' }).click();
      await page.getByText('Chrome on Linux').first().waitFor();
      assert.ok(refused >= 1, 'a token was refused');
      assert.equal(refreshes, 1);
    });
  });

  describe('in two tabs', () => {
    test('are signed in and out together', async () => {
      await signUp(service, { username: 'ada', password });
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

    test('show the same user when another signs in', async () => {
      await signUp(service, { username: 'ada', password });
      await signUp(service, { username: 'bob', password });
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
    test('list and search users, and deactivate and activate them', async () => {
      const root = await makeSuperuser(service);
      const { id } = (await signUp(service, { username: 'steve', password })).user;
      await root.updateUser({ isStaff: true }, { id });
      for (let n = 10; n < 35; n += 1) await signUp(service, { username: `person${n}`, password: null });
      await signInOnPage(page, 'steve');
      await page.getByRole('link', { name: 'Users' }).click();
      await page.getByRole('link', { name: 'person34' }).waitFor();
      await page.getByRole('link', { name: 'Next page' }).click();
      await page.getByRole('link', { name: 'person10' }).waitFor();
      await page.getByRole('button', { name: 'Back' }).click();
      await page.getByRole('link', { name: 'person34' }).waitFor();
      await page.getByRole('searchbox').fill('PERSON2');
      await until(async () => (await page.getByRole('row').count()) === 11, 'ten people and the head');
      await page.getByRole('link', { name: 'person22' }).click();
      await page.getByRole('button', { name: 'Deactivate' }).click();
      await page.getByText('Deactivated. Every session has ended.').waitFor();
      assert.equal(await page.getByRole('button', { name: 'Make staff' }).count(), 0);
      await page.getByRole('button', { name: 'Activate' }).click();
      await page.getByText('Active again.').waitFor();
      await page.goto(`/users/${root.id}`);
      await page.getByText('Only superusers change staff and superusers.').waitFor();
    });

    test('let superusers give and take roles, and nobody their own', async () => {
      const root = await makeSuperuser(service);
      const { id } = (await signUp(service, { username: 'steve', password })).user;
      await signInOnPage(page, 'root');
      await page.goto(`/users/${id}`);
      await page.getByRole('button', { name: 'Make staff' }).click();
      await page.getByText('Staff from now on.').waitFor();
      await page.getByRole('button', { name: 'Make superuser' }).click();
      await page.getByText('A superuser from now on.').waitFor();
      await page.goto(`/users/${root.id}`);
      await page.getByText('This is you.').waitFor();
    });

    test('are not shown to anybody else', async () => {
      await signUp(service, { username: 'ada', password });
      await signInOnPage(page, 'ada');
      await page.getByText('Signed in as ada').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Users' }).count(), 0);
      await page.goto('/users');
      await page.getByText('Your role may not do this.').waitFor();
    });
  });

  for (const [about, options] of Object.entries({
    'in light': { colorScheme: 'light', viewport: { width: 1000, height: 800 } },
    'in dark': { colorScheme: 'dark', viewport: { width: 1000, height: 800 } },
    'at a width of 320': { viewport: { width: 320, height: 640 } },
  } satisfies Record<string, BrowserContextOptions>))
    test(`${about} are accessible by WCAG 2.2 AA, and scroll in one direction only`, async () => {
      const root = await makeSuperuser(service);
      await signUp(service, { username: 'x'.repeat(150), email: `${'y'.repeat(64)}@${'z'.repeat(60)}.example.com` });
      const tab = await open(options);
      for (const path of ['/sign-in', '/sign-up', '/reset-password', '/verify', '/nowhere']) {
        await tab.goto(path === '/nowhere' ? '/users/a' : path);
        await check(tab, path);
      }
      await tab.goto('/sign-up');
      await passwordField(tab).fill('pass');
      await tab.getByText('Far too easy to guess').waitFor();
      await tab.getByRole('button', { name: 'Create account' }).click();
      await tab.locator('[aria-invalid=true]').first().waitFor();
      await check(tab, 'a sign-up that is refused');
      await tab.goto('/sign-in');
      await identifierField(tab).fill('ada');
      for (let n = 0; n < 2; n += 1) {
        await tab.getByRole('button', { name: /Sign in|Try again/ }).click();
        await tab.locator('.problem').first().waitFor();
      }
      await check(tab, 'a sign-in that waits');
      await signInOnPage(tab, 'root');
      await tab.getByText('Chrome on Linux').first().waitFor();
      await tab.getByRole('button', { name: 'Add email' }).click();
      await tab.getByRole('button', { name: 'Delete …' }).click();
      await check(tab, '/account');
      await tab.goto('/users');
      await tab.getByRole('link', { name: 'xxxx' }).waitFor();
      await check(tab, '/users');
      await tab.getByRole('link', { name: 'xxxx' }).click();
      await tab.getByRole('button', { name: 'Deactivate' }).click();
      await tab.getByText('Deactivated.').waitFor();
      await check(tab, 'a user');
      await tab.goto(`/users/${root.id}`);
      await tab.getByText('This is you.').waitFor();
      await check(tab, 'oneself as a user');
    });

  /** Axe's rules for WCAG A and AA, and no wider than the window. */
  async function check(tab: Page, about: string): Promise<void> {
    await tab.locator('h1').waitFor();
    await tab.waitForLoadState('networkidle');
    // Beside the page's own world, where the content security policy does not keep it out.
    const session = await tab.context().newCDPSession(tab);
    const { frameTree } = await session.send('Page.getFrameTree');
    const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
    const evaluate = async (expression: string) => {
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        expression,
        contextId: executionContextId,
        awaitPromise: true,
        returnByValue: true,
      });
      assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
      return result.value;
    };
    await evaluate(axeSource);
    const found = await evaluate(
      `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join(' | ')) }))`,
    );
    assert.deepEqual(found.violations, [], about);
    assert.ok(found.passes > 10, `${about}: axe has looked at little`);
    const [wide, width] = await evaluate('[document.documentElement.scrollWidth, innerWidth]');
    assert.ok(wide <= width, `${about} is ${wide} wide in a window of ${width}`);
    await session.detach();
  }
});

test('the pages work on the embedded database too', { skip: skipWithoutBrowser }, async () => {
  const embeddedPort = await freePort();
  const url = `http://localhost:${embeddedPort}`;
  const embedded: Service = await startService({
    PORT: String(embeddedPort),
    HOST: 'localhost',
    PUBLIC_URL: url,
    DATABASE_URL: 'memory:',
  });
  const { page, context, offences } = await openBrowser(url);
  await signUpOnPage(page, 'ada@example.com');
  await arrived(page, 'Confirm your address');
  await until(async () => (await outbox(embedded)).length === 1, 'a message');
  const [message] = await outbox(embedded);
  await page.goto(linkIn(message!));
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('is confirmed.').waitFor();
  await signOutOnPage(page);
  await signInHere(page, 'ada@example.com');
  await arrived(page, 'Your account');
  assert.deepEqual(offences, []);
  await context.close();
});

function identifierField(page: Page) {
  return page.getByRole('textbox', { name: 'Username, email or phone' });
}

function passwordField(page: Page, label = 'Password') {
  return page.getByRole('textbox', { name: label, exact: true });
}

function codeField(page: Page) {
  return page.getByRole('textbox', { name: 'One-time password' });
}

async function signUpOnPage(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-up');
  await identifierField(page).fill(identifier);
  await passwordField(page).fill(password);
  await page.getByRole('button', { name: 'Create account' }).click();
}

async function signInOnPage(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-in');
  await signInHere(page, identifier);
  await arrived(page, 'Your account');
}

/** On whatever page asks for it. */
async function signInHere(page: Page, identifier: string, secret = password): Promise<void> {
  await identifierField(page).fill(identifier);
  await passwordField(page).fill(secret);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

async function signOutOnPage(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('button', { name: 'Sign out' }).click();
  await arrived(page, 'Sign in');
}

/** Asks for a one-time password to sign in by, and waits until it is sent. */
async function askForOneTimePassword(page: Page, identifier: string): Promise<void> {
  await page.goto('/sign-in');
  await identifierField(page).fill(identifier);
  await page.getByRole('button', { name: 'Send me a one-time password' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: /^Send it to / }).click();
  await codeField(page).waitFor();
}

async function newest() {
  const [message] = await outbox(service);
  assert.ok(message, 'no message was kept');
  return message;
}

function linkIn({ text }: { text: string }): string {
  const link = /https?:\S+#\S+/.exec(text)?.[0];
  assert.ok(link, text);
  return link;
}

/** What a screen reader says of a field beside its name. */
async function describedBy(field: ReturnType<typeof passwordField>): Promise<string> {
  const ids = (await field.getAttribute('aria-describedby')) ?? '';
  const texts = ids.split(' ').map((id) => field.page().locator(`[id="${id}"]`).textContent());
  return (await Promise.all(texts)).join(' ');
}

/** What has the focus: the name of a field, or what is written on it. */
function focused(page: Page): Promise<string> {
  return page.evaluate('document.activeElement.name || document.activeElement.textContent');
}

async function tabTo(page: Page, name: string, key = 'Tab'): Promise<void> {
  for (let presses = 0; (await focused(page)) !== name; presses += 1) {
    assert.ok(presses < 40, `${name} cannot be reached by ${key}`);
    await page.keyboard.press(key);
  }
}
