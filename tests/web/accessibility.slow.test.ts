/** The pages in a real browser, in light, dark and narrow: axe rules and horizontal overflow. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { browsersOf, skipWithoutBrowser } from '../support/browser.js';
import {
  awaitMessage,
  codeField,
  identifierField,
  openSignedIn,
  passwordField,
  startPages,
  stepUpByPassword,
} from '../support/pages.js';
import { makeSuperuser, signUp } from '../support/people.js';
import { clear } from '../support/service.js';

const { base, service } = await startPages();

const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

describe('the pages', { skip: skipWithoutBrowser }, () => {
  const open = browsersOf(base);

  beforeEach(() => clear(service));

  for (const { about, viewport, colorSchemes } of [
    { about: 'in light and dark', viewport: { width: 1000, height: 800 }, colorSchemes: ['light', 'dark'] },
    { about: 'at a width of 320', viewport: { width: 320, height: 640 }, colorSchemes: ['light'] },
  ] as const)
    test(`${about} conform to WCAG 2.2 AA and do not scroll sideways`, async () => {
      const root = await makeSuperuser(service);
      await signUp(service, { username: 'x'.repeat(150), email: `${'y'.repeat(64)}@${'z'.repeat(60)}.example.com` });
      const tab = await open({ viewport });
      const check = (about: string) => examine(tab, colorSchemes, about);
      for (const path of ['/sign-in', '/sign-up', '/reset-password', '/verify', '/nowhere']) {
        await tab.goto(path === '/nowhere' ? '/users/a' : path);
        await check(path);
      }
      await tab.goto('/sign-up');
      await passwordField(tab).fill('pass');
      await tab.getByText('Far too easy to guess').waitFor();
      await tab.getByRole('button', { name: 'Create account' }).click();
      await tab.locator('[aria-invalid=true]').first().waitFor();
      await check('a rejected sign-up');
      await tab.goto('/sign-in');
      await identifierField(tab).fill('ada');
      await tab.getByRole('button', { name: 'Sign in', exact: true }).click();
      await tab.locator('.problem').first().waitFor();
      // Extend the wait, so that it does not end during the check.
      await service.app.db.execute("update sign_in_throttles set retry_at = now() + interval '1 hour'");
      await tab.getByRole('button', { name: 'Sign in', exact: true }).click();
      await tab.getByRole('button', { name: /^Try again in/ }).waitFor();
      await check('a sign-in during a wait');
      await openSignedIn(tab, 'root');
      await tab.getByText('Chrome on Linux').first().waitFor();
      await tab.getByRole('button', { name: 'Add email' }).click();
      await tab.getByRole('button', { name: 'Delete…' }).click();
      await check('/account');
      await tab.getByRole('textbox', { name: 'New email' }).fill('root@example.com');
      await tab.getByRole('button', { name: 'Save' }).click();
      await passwordField(tab, 'Current password').waitFor();
      await check('authentication again by password');
      await stepUpByPassword(tab);
      await tab.getByText('We sent a code to').waitFor();
      // What a slow response moves is no shift of the next state.
      await tab.goto('/account');
      await tab.getByText('Waits for verification').waitFor();
      await check('an address that waits for verification');
      await tab.getByRole('button', { name: 'Verify email' }).click();
      await codeField(tab).fill((await awaitMessage(service)).oneTimePassword);
      await tab.locator('form').getByRole('button', { name: 'Verify' }).click();
      await tab.getByText('Verified.', { exact: true }).waitFor();
      await openSignedIn(tab, 'root');
      await tab.getByRole('button', { name: 'Change email' }).click();
      await tab.getByRole('button', { name: 'Remove' }).click();
      await tab.getByRole('button', { name: /^Send code to / }).waitFor();
      await check('authentication again by password or code');
      await tab.getByRole('button', { name: /^Send code to / }).click();
      await codeField(tab).waitFor();
      await check('authentication again by code');
      await tab.goto('/users');
      await tab.getByRole('link', { name: 'xxxx' }).waitFor();
      await check('/users');
      await tab.getByRole('link', { name: 'xxxx' }).click();
      await tab.getByRole('button', { name: 'Deactivate' }).click();
      await tab.getByText('Deactivated.').waitFor();
      await check('a user');
      await tab.goto('/audit');
      await tab.getByRole('rowheader', { name: 'Signed in' }).first().waitFor();
      await check('/audit');
      await tab.goto(`/users/${root.id}`);
      await tab.getByText('This is you.').waitFor();
      await check('the own user page');
    });

  /** Checks the axe rules for WCAG A and AA, the width of the page and its layout shifts. */
  async function examine(tab: Page, colorSchemes: readonly ('light' | 'dark')[], about: string): Promise<void> {
    await tab.locator('h1').waitFor();
    await tab.waitForLoadState('networkidle');
    // Run axe in an isolated world, because the content security policy blocks it in the page.
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
    await evaluate(axe.source);
    // The colour scheme changes nothing but colours.
    for (const colorScheme of colorSchemes) {
      await tab.emulateMedia({ colorScheme });
      // Wait for the colour transitions, because axe would check a colour in between.
      await tab.evaluate('Promise.allSettled(document.getAnimations().map(({ finished }) => finished))');
      const found = await evaluate(
        `axe.run({ runOnly: ${JSON.stringify(colorScheme === 'dark' ? ['color-contrast'] : standards)} }).then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join(' | ')) }))`,
      );
      assert.deepEqual(found.violations, [], `${about}, ${colorScheme}`);
      const checked = colorScheme === 'dark' ? 1 : 10;
      assert.ok(found.passes >= checked, `${about}, ${colorScheme}: axe has checked too little`);
    }
    await tab.emulateMedia({ colorScheme: 'light' });
    const [wide, width] = await evaluate('[document.documentElement.scrollWidth, innerWidth]');
    assert.ok(wide <= width, `${about} is ${wide} px wide in a window of ${width} px`);
    await session.detach();
    const shift = await tab.evaluate(
      `new Promise((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => { for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) sum += value; }).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => resolve(sum), 100);
      })`,
    );
    assert.ok(Number(shift) < 0.1, `${about}: layout shift of ${shift}`);
  }
});
