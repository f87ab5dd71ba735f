/** The texts of messages. */
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
  test('names its purpose in the subject and in the text', () => {
    const subjects = purposes.map((purpose) => renderMessage({ ...email, purpose }, appUrl).subject);
    assert.deepEqual(subjects, ['Verify your email address', 'Your sign-in code', 'Reset your password']);
    const actions = ['verify this email address', 'sign in', 'choose a new password'];
    for (const [index, purpose] of purposes.entries())
      assert.match(
        renderMessage({ ...email, purpose }, appUrl).text,
        new RegExp(`^Use this code to ${actions[index]}:`),
      );
  });

  test('shows the one-time password on its own line and not in the subject', () => {
    const { subject, text } = renderMessage(email, appUrl);
    assert.match(text, /^ {4}BCDF2345$/m);
    assert.ok(!subject?.includes('BCDF2345'));
  });

  test('links to a page of the front end, with the one-time password in the fragment', () => {
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

  test('keeps the path of APP_URL in its link', () => {
    const link = linkIn(renderMessage(email, 'https://example.com/account').text);
    assert.equal(link.origin + link.pathname, 'https://example.com/account/sign-in');
  });

  test('encodes a one-time password of any alphabet in its link', () => {
    const oneTimePassword = '&=#%+?/"<>';
    const { hash } = linkIn(renderMessage({ ...email, oneTimePassword }, appUrl).text);
    assert.equal(new URLSearchParams(hash.slice(1)).get('code'), oneTimePassword);
  });

  test('tells when the code expires and what to do with an unrequested code', () => {
    assert.match(renderMessage(email, appUrl).text, /This code expires in 10 minutes\. You can use it only once\./);
    assert.match(renderMessage({ ...email, lifetimeSeconds: 60 }, appUrl).text, /expires in 1 minute\./);
    assert.match(renderMessage({ ...email, lifetimeSeconds: 119 }, appUrl).text, /expires in 1 minute\./);
    assert.match(renderMessage(email, appUrl).text, /If you did not request this code, ignore this message/);
  });

  test('rounds the lifetime down', () => {
    for (const lifetimeSeconds of [1, 30, 59, 60, 90, 600, 3599, 7199, 7200, 10_799, 86_400]) {
      const [, amount, unit] = /expires in (\d+) (second|minute|hour)s?\./.exec(
        renderMessage({ ...email, lifetimeSeconds }, appUrl).text,
      )!;
      const unitSeconds = { second: 1, minute: 60, hour: 3600 }[unit!]!;
      const promised = Number(amount) * unitSeconds;
      assert.ok(promised <= lifetimeSeconds && promised > lifetimeSeconds - unitSeconds, `${amount} ${unit}s`);
    }
  });
});

describe('an SMS', () => {
  test('has no subject and starts with the one-time password', () => {
    const { subject, text } = renderMessage(sms, appUrl);
    assert.equal(subject, null);
    assert.equal(text.split('\n')[0], '012345 is your code to sign in. It expires in 10 minutes.');
  });

  test('ends with the line that binds the code to the origin of the front end', () => {
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

  test('fits one segment for every purpose, with a long host and the longest lifetime', () => {
    const host = `${'a'.repeat(40)}.example.com`;
    for (const purpose of purposes) {
      const { text } = renderMessage({ ...sms, purpose, lifetimeSeconds: 86_400 }, `https://${host}`);
      assert.match(text, gsm7);
      assert.ok(text.length <= 160, `${text.length}: ${text}`);
    }
  });

  test('has no link', () => {
    for (const purpose of purposes) assert.doesNotMatch(renderMessage({ ...sms, purpose }, appUrl).text, /https?:/);
  });
});
