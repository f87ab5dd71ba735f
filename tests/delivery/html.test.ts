/** The HTML of emails, the notices, and their SMS. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Message, NoticeEvent } from '../../src/delivery/message.js';
import { renderMessage } from '../../src/delivery/templates.js';

const appUrl = 'https://app.example.com';
const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
const userAgent =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';
const events: NoticeEvent[] = [
  { type: 'password-changed' },
  { type: 'address-changed', field: 'email' },
  { type: 'address-changed', field: 'phone' },
  { type: 'new-device', userAgent, ipAddress: '203.0.113.7' },
  { type: 'new-device', userAgent: null, ipAddress: null },
  { type: 'account-deleted' },
];
const reuse: NoticeEvent = { type: 'refresh-token-reused', userAgent };

function oneTimePassword(text = 'BCDF2345', purpose: (typeof purposes)[number] = 'AUTHENTICATION'): Message {
  const tokenId = 'e-Ab_cdefghijklmnopqrstuvwxyz01234';
  const to = 'alice@example.com';
  return {
    kind: 'one-time-password',
    channel: 'email',
    to,
    purpose,
    tokenId,
    oneTimePassword: text,
    lifetimeSeconds: 600,
  };
}

function notice(event: NoticeEvent, channel: 'email' | 'sms' = 'email'): Message {
  return { kind: 'notice', channel, to: channel === 'email' ? 'alice@example.com' : '+12025550123', event };
}

const emails: Message[] = [
  ...purposes.map((purpose) => oneTimePassword('BCDF2345', purpose)),
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

describe('the HTML of an email', () => {
  test('has the same content as the text', () => {
    for (const message of emails) {
      const { subject, text, html } = renderMessage(message, appUrl);
      const shown = visibleText(html!);
      assert.ok(shown.includes(subject!));
      for (const line of text
        .split('\n\n')
        .filter((line) => !line.includes('https://') && line !== 'Or open this link:'))
        assert.ok(shown.includes(line.trim()), `${line} is not in ${shown}`);
    }
  });

  test('has the same links as the text and no others', () => {
    for (const message of emails) {
      const { text, html } = renderMessage(message, appUrl);
      assert.deepEqual(linksIn(html!), text.match(/https?:\/\/\S+/g) ?? []);
      assert.ok(linksIn(html!).every((link) => link.startsWith(`${appUrl}/`)));
    }
  });

  test('puts the one-time password into the fragment of its link', () => {
    for (const purpose of purposes) {
      const [link] = linksIn(renderMessage(oneTimePassword('BCDF2345', purpose), appUrl).html!);
      const { search, hash } = new URL(link!);
      assert.equal(search, '');
      assert.equal(new URLSearchParams(hash.slice(1)).get('code'), 'BCDF2345');
    }
  });

  test('loads no resources and runs no scripts', () => {
    for (const message of emails) {
      const { html } = renderMessage(message, appUrl);
      assert.doesNotMatch(html!, /<(script|img|link|iframe|object|form)|\bsrc=|url\(|@import|\bon\w+=/i);
    }
  });

  test('shows the one-time password in groups of four that do not break and copy without spaces', () => {
    for (const [text, groups] of [
      ['BCDF2345', ['BCDF', '2345']],
      ['BCDF2', ['BCDF', '2']],
      ['BCDF2345GHJK67', ['BCDF', '2345', 'GHJK', '67']],
    ] as const) {
      const { html } = renderMessage(oneTimePassword(text), appUrl);
      const [, shown] = /<p class="code"[^>]*>(.*?)<\/p>/s.exec(html!)!;
      assert.deepEqual(
        [...shown!.matchAll(/<span style="white-space:nowrap[^"]*">(.*?)<\/span>/g)].map(([, group]) => group),
        groups,
      );
      assert.equal(shown!.replace(/<[^>]*>/g, ''), text);
    }
  });

  test('keeps the style of the one-time password and the button without the head', () => {
    const { html } = renderMessage(oneTimePassword(), appUrl);
    const body = html!.replace(/<head>[\s\S]*<\/head>/, '');
    assert.match(body, /<p class="code" style="[^"]*font:700 30px/);
    assert.match(body, /<a href="[^"]*" style="[^"]*background:#1d4ed8;color:#ffffff/);
  });

  test('supports light and dark', () => {
    for (const message of emails) {
      const { html } = renderMessage(message, appUrl);
      assert.match(html!, /<meta name="color-scheme" content="light dark">/);
      assert.match(html!, /@media \(prefers-color-scheme: dark\)/);
    }
  });

  test('escapes a one-time password of any alphabet', () => {
    const strange = `<b>&"'#%</b>`;
    const { html } = renderMessage(oneTimePassword(strange), appUrl);
    assert.ok(!html!.includes('<b>'));
    assert.ok(visibleText(html!).includes(strange));
    assert.equal(new URLSearchParams(new URL(linksIn(html!)[0]!).hash.slice(1)).get('code'), strange);
  });
});

describe('a notice', () => {
  test('names the change in its subject', () => {
    assert.deepEqual(
      events.map((event) => renderMessage(notice(event), appUrl).subject),
      [
        'Your password was changed',
        'Your email address was changed',
        'Your phone number was changed',
        'New sign-in to your account',
        'New sign-in to your account',
        'Your account was deleted',
      ],
    );
  });

  test('advises what to do if the owner did not make the change, and links to it', () => {
    const paths = events.map((event) => {
      const { text, html } = renderMessage(notice(event), appUrl);
      assert.match(text, /If this was not you, /);
      return linksIn(html!).map((link) => new URL(link).pathname);
    });
    // A code cannot be sent to a changed address, and a deleted account has no page.
    assert.deepEqual(paths, [
      ['/reset-password'],
      ['/sign-in'],
      ['/sign-in'],
      ['/reset-password'],
      ['/reset-password'],
      [],
    ]);
  });

  test('names the service', () => {
    for (const event of events)
      for (const channel of ['email', 'sms'] as const)
        assert.ok(renderMessage(notice(event, channel), appUrl).text.includes('app.example.com'));
  });

  test('names the browser, the system and the IP address of a new device', () => {
    for (const [agent, name] of [
      [userAgent, 'Chrome on Windows'],
      [userAgent.replace('Safari/537.36', 'Safari/537.36 Edg/141.0.0.0'), 'Edge on Windows'],
      ['Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0', 'Firefox on Linux'],
      [
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
        'Safari on iOS',
      ],
      [
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15',
        'Safari on macOS',
      ],
      [
        'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36',
        'Chrome on Android',
      ],
      ['curl/8.5.0', 'curl/8.5.0'],
      ['okhttp/4.12.0 (something else)', 'okhttp/4.12.0'],
      [null, 'Unknown device'],
      ['', 'Unknown device'],
    ] as const) {
      const { text } = renderMessage(
        notice({ type: 'new-device', userAgent: agent, ipAddress: '203.0.113.7' }),
        appUrl,
      );
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
  const sms = (purpose: (typeof purposes)[number], lifetimeSeconds = 600): Message =>
    ({ ...oneTimePassword('012345', purpose), channel: 'sms', to: '+12025550123', lifetimeSeconds }) as Message;

  test('fits one segment, whatever its kind', () => {
    const messages = [
      ...purposes.map((purpose) => sms(purpose, 86_400)),
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

  test('with a one-time password ends with the line that binds it to the host', () => {
    for (const [url, host] of [
      ['https://app.example.com', 'app.example.com'],
      ['http://localhost:4000', 'localhost'],
      ['https://example.com/account', 'example.com'],
    ] as const)
      for (const purpose of purposes)
        assert.deepEqual(renderMessage(sms(purpose), url).text.split('\n').slice(1), ['', `@${host} #012345`]);
  });

  test('rounds the lifetime down', () => {
    for (const [seconds, life] of [
      [30, 'in 30 seconds'],
      [60, 'in 1 minute'],
      [119, 'in 1 minute'],
      [600, 'in 10 minutes'],
    ] as const)
      assert.match(renderMessage(sms('VERIFICATION', seconds), appUrl).text, new RegExp(`It expires ${life}\\.\n`));
  });

  test('of a notice advises what to do and has no link', () => {
    for (const event of events) {
      const { text } = renderMessage(notice(event, 'sms'), appUrl);
      assert.match(text, /Not you\? /);
      assert.doesNotMatch(text, /https?:/);
    }
  });
});
