/** The wording of messages. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OneTimePasswordMessage } from '../../src/delivery/message.js';
import { renderMessage } from '../../src/delivery/templates.js';

const appUrl = 'https://app.example.com';
const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
const email: OneTimePasswordMessage = {
  kind: 'one-time-password',
  channel: 'email',
  to: 'alice@example.com',
  purpose: 'AUTHENTICATION',
  tokenId: 'e-Ab_cdefghijklmnopqrstuvwxyz01234',
  oneTimePassword: 'BCDF2345',
  lifetimeSeconds: 600,
};
const sms: OneTimePasswordMessage = { ...email, channel: 'sms', to: '+12025550123', oneTimePassword: '012345' };

/** @see 3GPP TS 23.038, the default alphabet less its extension table */
const gsm7 = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà]*$/;

function linkIn(text: string): URL {
  const links = text.match(/https?:\/\/\S+/g) ?? [];
  assert.equal(links.length, 1, text);
  return new URL(links[0]);
}

describe('an email', () => {
  test('says what it is for, in its subject and in its text', () => {
    const subjects = purposes.map((purpose) => renderMessage({ ...email, purpose }, appUrl).subject);
    assert.deepEqual(subjects, ['Confirm your address', 'Your one-time password', 'Reset your password']);
    const actions = ['confirm this address', 'sign in', 'choose a new password'];
    for (const [index, purpose] of purposes.entries())
      assert.match(
        renderMessage({ ...email, purpose }, appUrl).text,
        new RegExp(`^Use this one-time password to ${actions[index]}:`),
      );
  });

  test('shows the one-time password on a line of its own, but not in its subject', () => {
    const { subject, text } = renderMessage(email, appUrl);
    assert.match(text, /^ {4}BCDF2345$/m);
    assert.ok(!subject?.includes('BCDF2345'));
  });

  test('leads to a page of the front end, with the one-time password in the fragment, which no server is sent', () => {
    const pages = ['/verify', '/sign-in', '/reset-password'];
    for (const [index, purpose] of purposes.entries()) {
      const { origin, pathname, search, hash } = linkIn(renderMessage({ ...email, purpose }, appUrl).text);
      assert.equal(origin, appUrl);
      assert.equal(pathname, pages[index]);
      assert.equal(search, '');
      const fragment = new URLSearchParams(hash.slice(1));
      assert.deepEqual(Object.fromEntries(fragment), { token: email.tokenId, code: email.oneTimePassword });
    }
  });

  test('leads below the path of a front end that has one', () => {
    const link = linkIn(renderMessage(email, 'https://example.com/account').text);
    assert.equal(link.origin + link.pathname, 'https://example.com/account/sign-in');
  });

  test('keeps a one-time password of any alphabet whole in its link', () => {
    const oneTimePassword = '&=#%+?/"<>';
    const { hash } = linkIn(renderMessage({ ...email, oneTimePassword }, appUrl).text);
    assert.equal(new URLSearchParams(hash.slice(1)).get('code'), oneTimePassword);
  });

  test('says how long the one-time password is good, and what to do when nobody asked for it', () => {
    assert.match(renderMessage(email, appUrl).text, /good for 10 minutes and can be used once/);
    assert.match(renderMessage({ ...email, lifetimeSeconds: 60 }, appUrl).text, /good for 1 minute and/);
    assert.match(renderMessage({ ...email, lifetimeSeconds: 119 }, appUrl).text, /good for 1 minute and/);
    assert.match(renderMessage(email, appUrl).text, /If you did not ask for it, ignore this message/);
  });

  test('never promises a longer life than the one-time password has', () => {
    for (const lifetimeSeconds of [1, 30, 59, 60, 90, 600, 3599, 86_400]) {
      const [, amount, unit] = /good for (\d+) (second|minute)s? /.exec(
        renderMessage({ ...email, lifetimeSeconds }, appUrl).text,
      )!;
      assert.ok(Number(amount) * (unit === 'minute' ? 60 : 1) <= lifetimeSeconds, `${amount} ${unit}s`);
    }
  });
});

describe('an SMS', () => {
  test('has no subject, and begins with the one-time password', () => {
    const { subject, text } = renderMessage(sms, appUrl);
    assert.equal(subject, null);
    assert.equal(text.split('\n')[0], '012345 to sign in. Good for 10 min.');
  });

  test('ends with the line that binds it to the origin of the front end', () => {
    // https://wicg.github.io/sms-one-time-codes/: the last line, `@` host, a space, `#` code.
    for (const [url, host] of [
      [appUrl, 'app.example.com'],
      ['https://example.com/account', 'example.com'],
    ] as const) {
      const lines = renderMessage(sms, url).text.split('\n');
      assert.equal(lines.at(-1), `@${host} #012345`);
      assert.equal(lines.at(-2), '');
    }
  });

  test('fits one segment for every purpose, on a long host and with the longest life', () => {
    const host = `${'a'.repeat(40)}.example.com`;
    for (const purpose of purposes) {
      const { text } = renderMessage({ ...sms, purpose, lifetimeSeconds: 86_400 }, `https://${host}`);
      assert.match(text, gsm7);
      assert.ok(text.length <= 160, `${text.length}: ${text}`);
    }
  });

  test('holds no link: the person types, or the browser fills in', () => {
    for (const purpose of purposes) assert.doesNotMatch(renderMessage({ ...sms, purpose }, appUrl).text, /https?:/);
  });
});
