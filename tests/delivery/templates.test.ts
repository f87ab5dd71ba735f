/** The texts and the HTML of messages. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Message, NoticeEvent, OneTimePasswordMessage } from '../../src/delivery/message.js';
import { renderMessage } from '../../src/delivery/templates.js';

const appUrl = 'https://app.example.com';
const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
const userAgent =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';
const events: NoticeEvent[] = [
  { type: 'password-changed' },
  { type: 'password-reset', dropped: [] },
  { type: 'password-reset', dropped: ['phone'] },
  { type: 'username-changed' },
  { type: 'address-added', field: 'email' },
  { type: 'address-verified', field: 'phone' },
  { type: 'address-removed', field: 'email' },
  { type: 'address-removed', field: 'phone' },
  { type: 'address-lost', field: 'email' },
  { type: 'role-changed', role: 'isStaff', granted: true, account: null },
  { type: 'role-changed', role: 'isSuperuser', granted: false, account: '0b9d8f0e-6c1a-4e0b-9a55-2f0f6b1c7a01' },
  { type: 'new-device', userAgent, ipAddress: '203.0.113.7' },
  { type: 'new-device', userAgent: null, ipAddress: null },
  { type: 'account-deleted' },
];
const reuse: NoticeEvent = { type: 'refresh-token-reused', userAgent };

const code: OneTimePasswordMessage = {
  kind: 'one-time-password',
  channel: 'email',
  to: 'alice@example.com',
  purpose: 'AUTHENTICATION',
  tokenId: 'e-Ab_cdefghijklmnopqrstuvwxyz01234',
  oneTimePassword: 'BCDF2345',
  lifetimeSeconds: 600,
};
const smsCode: OneTimePasswordMessage = { ...code, channel: 'sms', to: '+12025550123', oneTimePassword: '012345' };

function notice(event: NoticeEvent, channel: 'email' | 'sms' = 'email'): Message {
  return { kind: 'notice', channel, to: channel === 'email' ? 'alice@example.com' : '+12025550123', event };
}

const emails: Message[] = [
  ...purposes.map((purpose) => ({ ...code, purpose })),
  ...events.map((event) => notice(event)),
];

/** Returns the visible text of the HTML, with one line for each paragraph. */
function visibleText(html: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return html
    .replace(/<head>[\s\S]*<\/head>/, '')
    .replace(/<\/(p|h1)>/g, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&([^;]+);/g, (_, name: string) => entities[name]!);
}

function linksIn(html: string): string[] {
  return [...html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link!.replaceAll('&amp;', '&'));
}

/** Returns the parameters in the fragment of a link. */
const fragmentOf = (link: string) => Object.fromEntries(new URLSearchParams(new URL(link).hash.slice(1)));

describe('an email with a code', () => {
  test('names its purpose and links to its page of the front end, with the code in the fragment', () => {
    for (const [purpose, expectedSubject, action, path] of [
      ['VERIFICATION', 'Verify your email address', 'verify this email address', '/verify'],
      ['AUTHENTICATION', 'Your sign-in code', 'sign in', '/sign-in'],
      ['PASSWORD_RESET', 'Reset your password', 'choose a new password', '/reset-password'],
    ] as const) {
      const { subject, text, html } = renderMessage({ ...code, purpose }, appUrl);
      assert.equal(subject, expectedSubject);
      assert.ok(text.startsWith(`Use this code to ${action}:\n\n    BCDF2345\n`), text);
      const [link, ...others] = linksIn(html!);
      assert.deepEqual(others, []);
      assert.equal(link!.split('#')[0], appUrl + path);
      assert.deepEqual(fragmentOf(link!), { token: code.tokenId, code: 'BCDF2345' });
    }
  });

  test('keeps the path of APP_URL in its link', () => {
    const [link] = linksIn(renderMessage(code, 'https://example.com/account').html!);
    assert.ok(link!.startsWith('https://example.com/account/sign-in#'));
  });

  test('tells when the code expires, rounded down, and what to do with an unrequested code', () => {
    const { text } = renderMessage(code, appUrl);
    assert.match(text, /This code expires in 10 minutes\. You can use it only once\./);
    assert.match(text, /If you did not request this code, ignore this message/);
    for (const lifetimeSeconds of [1, 30, 59, 60, 90, 119, 600, 3599, 7199, 7200, 10_799, 86_400])
      for (const message of [code, smsCode]) {
        const { text } = renderMessage({ ...message, lifetimeSeconds }, appUrl);
        const [, amount, unit] = /expires in (\d+) (second|minute|hour)s?\./.exec(text)!;
        const unitSeconds = { second: 1, minute: 60, hour: 3600 }[unit!]!;
        const promised = Number(amount) * unitSeconds;
        assert.ok(promised <= lifetimeSeconds && promised > lifetimeSeconds - unitSeconds, `${amount} ${unit}s`);
      }
    assert.match(renderMessage({ ...code, lifetimeSeconds: 60 }, appUrl).text, /expires in 1 minute\./);
  });
});

describe('the HTML of an email', () => {
  test('has the content and the links of the text, and no others', () => {
    for (const message of emails) {
      const { subject, text, html } = renderMessage(message, appUrl);
      const shown = visibleText(html!);
      assert.ok(shown.includes(subject!));
      for (const line of text.split('\n\n'))
        if (!line.includes('https://') && line !== 'Or open this link:')
          assert.ok(shown.includes(line.trim()), `${line} is not in ${shown}`);
      assert.deepEqual(linksIn(html!), text.match(/https?:\/\/\S+/g) ?? []);
      assert.ok(linksIn(html!).every((link) => link.startsWith(`${appUrl}/`)));
    }
  });

  test('loads no resources, runs no scripts, and supports light and dark', () => {
    for (const message of emails) {
      const { html } = renderMessage(message, appUrl);
      assert.doesNotMatch(html!, /<(script|img|link|iframe|object|form)|\bsrc=|url\(|@import|\bon\w+=/i);
      assert.match(html!, /<meta name="color-scheme" content="light dark">/);
      assert.match(html!, /@media \(prefers-color-scheme: dark\)/);
    }
  });

  test('shows the one-time password in groups of four that do not break and copy without spaces', () => {
    for (const groups of [
      ['BCDF', '2345'],
      ['BCDF', '2'],
      ['BCDF', '2345', 'GHJK', '67'],
    ]) {
      const { html } = renderMessage({ ...code, oneTimePassword: groups.join('') }, appUrl);
      const [, shown] = /<p class="code"[^>]*>(.*?)<\/p>/s.exec(html!)!;
      const spans = [...shown!.matchAll(/<span style="white-space:nowrap[^"]*">(.*?)<\/span>/g)];
      assert.deepEqual(
        spans.map(([, group]) => group),
        groups,
      );
      assert.equal(shown!.replace(/<[^>]*>/g, ''), groups.join(''));
    }
  });

  test('keeps the style of the one-time password and the button without the head', () => {
    const { html } = renderMessage(code, appUrl);
    const body = html!.replace(/<head>[\s\S]*<\/head>/, '');
    assert.match(body, /<p class="code" style="[^"]*font:700 30px/);
    assert.match(body, /<a href="[^"]*" style="[^"]*background:#1d4ed8;color:#ffffff/);
  });

  test('escapes a one-time password of any alphabet', () => {
    const strange = `<b>&=+/?"'#%</b>`;
    const { html } = renderMessage({ ...code, oneTimePassword: strange }, appUrl);
    assert.ok(!html!.includes('<b>'));
    assert.ok(visibleText(html!).includes(strange));
    assert.equal(fragmentOf(linksIn(html!)[0]!).code, strange);
  });
});

describe('a notice', () => {
  test('names the change and the service, and advises what to do if the owner did not make the change', () => {
    // A code cannot be sent to a removed address, and a deleted account has no page.
    const expected = [
      ['Your password was changed', '/reset-password'],
      ['Your password was reset', '/reset-password'],
      ['Your password was reset', '/reset-password'],
      ['Your username was changed', '/reset-password'],
      ['A new email address was added', '/reset-password'],
      ['A new phone number was verified', '/reset-password'],
      ['Your email address was removed', '/sign-in'],
      ['Your phone number was removed', '/sign-in'],
      ['An unverified email address left your account', '/sign-in'],
      ['The staff role was granted', '/sign-in'],
      ['The superuser role was removed', '/audit'],
      ['New sign-in to your account', '/reset-password'],
      ['New sign-in to your account', '/reset-password'],
      ['Your account was deleted'],
    ];
    assert.equal(events.length, expected.length);
    for (const [index, event] of events.entries()) {
      const { subject, text, html } = renderMessage(notice(event), appUrl);
      assert.deepEqual([subject, ...linksIn(html!).map((link) => new URL(link).pathname)], expected[index]);
      const sms = renderMessage(notice(event, 'sms'), appUrl).text;
      const [advice, adviceBySms] = adviceOf(event);
      assert.match(text, advice);
      assert.match(sms, adviceBySms);
      assert.doesNotMatch(sms, /https?:/);
      for (const each of [text, sms]) assert.ok(each.includes('app.example.com'));
    }
  });

  /** The starts of the advice by email and by SMS. */
  function adviceOf({ type }: NoticeEvent): [RegExp, RegExp] {
    if (type === 'address-lost') return [/If the address is yours, /, /Is it yours\? /];
    if (type === 'role-changed') return [/If you did not expect this, /, /Not expected\? /];
    return [/If this was not you, /, /Not you\? /];
  }

  test('of a reset lists the dropped addresses, and one of a role names the account of another user', () => {
    const paragraphsOf = (event: NoticeEvent) => renderMessage(notice(event), appUrl).text.split('\n\n').slice(0, -3);
    const reset = 'The password of your account was reset with a code. All other sessions have ended.';
    const dropped = (noun: string) => `The ${noun} that was added lately was removed. Add it again if it is yours.`;
    assert.deepEqual(paragraphsOf({ type: 'password-reset', dropped: [] }), [reset]);
    assert.deepEqual(paragraphsOf({ type: 'password-reset', dropped: ['email', 'phone'] }), [
      reset,
      dropped('email address'),
      dropped('phone number'),
    ]);
    const role = { type: 'role-changed', role: 'isStaff', granted: false } as const;
    for (const [account, whose] of [
      [null, 'your account'],
      ['0b9d8f0e', 'the account 0b9d8f0e'],
    ] as const)
      assert.deepEqual(paragraphsOf({ ...role, account }), [`The staff role of ${whose} was removed.`]);
  });

  test('names the browser, the system and the IP address of a new device', () => {
    const mozilla = 'Mozilla/5.0';
    const safari = 'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6';
    const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0';
    for (const [agent, name] of [
      [userAgent, 'Chrome on Windows'],
      [`${userAgent} Edg/141.0.0.0`, 'Edge on Windows'],
      [`${mozilla} (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0`, 'Firefox on Linux'],
      [`${mozilla} (iPhone; CPU iPhone OS 18_6 like Mac OS X) ${safari} Mobile/15E148 Safari/604.1`, 'Safari on iOS'],
      [`${mozilla} (Macintosh; Intel Mac OS X 10_15_7) ${safari} Safari/605.1.15`, 'Safari on macOS'],
      [`${mozilla} (Linux; Android 10; K) ${chrome} Mobile Safari/537.36`, 'Chrome on Android'],
      ['curl/8.5.0', 'curl/8.5.0'],
      ['okhttp/4.12.0 (something else)', 'okhttp/4.12.0'],
      [null, 'Unknown device'],
      ['', 'Unknown device'],
    ] as const) {
      const event: NoticeEvent = { type: 'new-device', userAgent: agent, ipAddress: '203.0.113.7' };
      const { text } = renderMessage(notice(event), appUrl);
      assert.ok(text.includes(`\n\n${name}, IP address 203.0.113.7.\n\n`), `${agent}: ${text}`);
    }
  });

  test('repeats no text, link or markup of a hostile User-Agent', () => {
    for (const agent of [
      '<img src=x onerror=alert(1)>',
      'Mozilla/5.0 <script>alert(1)</script> Chrome/1',
      'Your account is in danger, call 555-0100 now',
      'https://evil.test/reset',
      'evil.test/reset',
      'Mozilla/5.0 (see https://evil.test) Firefox/1.0',
      'Chrome/1.0/../evil.test',
      `"'>${'a'.repeat(500)}`,
    ]) {
      const event: NoticeEvent = { type: 'new-device', userAgent: agent, ipAddress: '203.0.113.7' };
      for (const { text, html } of [renderMessage(notice(event), appUrl), renderMessage(notice(event, 'sms'), appUrl)])
        assert.doesNotMatch(text + html, /evil|<img|<script|danger|555|alert|aaaa/, agent);
    }
  });
});

/** @see 3GPP TS 23.038, the default alphabet less its extension table */
const gsm7 = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà]*$/;

describe('an SMS', () => {
  test('fits one segment, whatever its kind', () => {
    const messages = [
      ...purposes.map((purpose) => ({ ...smsCode, purpose, lifetimeSeconds: 86_400 })),
      ...[...events, reuse].map((event) => notice(event, 'sms')),
    ];
    for (const message of messages)
      for (const host of ['app.example.com', 'identity.accounts.eu-central-1.example-company.com', 'bücher.example']) {
        const { subject, text, html } = renderMessage(message, `https://${host}`);
        assert.deepEqual([subject, html], [null, null]);
        assert.match(text, gsm7);
        assert.ok(text.length <= 160, `${text.length}: ${text}`);
      }
  });

  test('with a code starts with it, and ends with the line that binds it to the host', () => {
    // https://wicg.github.io/sms-one-time-codes/: the last line, `@` host, a space, `#` code.
    for (const [url, host] of [
      ['https://app.example.com', 'app.example.com'],
      ['http://localhost:4000', 'localhost'],
      ['https://example.com/account', 'example.com'],
    ] as const)
      for (const [purpose, action] of [
        ['VERIFICATION', 'verify this phone number'],
        ['AUTHENTICATION', 'sign in'],
        ['PASSWORD_RESET', 'choose a new password'],
      ] as const) {
        const start = `012345 is your code to ${action}. It expires in 10 minutes.`;
        const { text } = renderMessage({ ...smsCode, purpose }, url);
        assert.equal(text, `${start}\n\n@${host} #012345`);
      }
  });
});
