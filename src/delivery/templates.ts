/** The texts of emails and SMS. */

import { button, codeBlock, emailDocument, paragraph, smallPrint } from './html.js';
import type { Message, NoticeEvent, OneTimePasswordMessage } from './message.js';

export interface RenderedMessage {
  /** null for SMS */
  subject: string | null;
  text: string;
  /** null for SMS */
  html: string | null;
}

/** @param appUrl the front end; links and the origin of an SMS never come from a request */
export function renderMessage(message: Message, appUrl: string): RenderedMessage {
  return message.kind === 'one-time-password' ? renderOneTimePassword(message, appUrl) : renderNotice(message, appUrl);
}

const purposes = {
  VERIFICATION: {
    subject: 'Verify your email address',
    action: 'verify this email address',
    smsAction: 'verify this phone number',
    label: 'Verify',
    path: 'verify',
  },
  AUTHENTICATION: {
    subject: 'Your sign-in code',
    action: 'sign in',
    smsAction: 'sign in',
    label: 'Sign in',
    path: 'sign-in',
  },
  PASSWORD_RESET: {
    subject: 'Reset your password',
    action: 'choose a new password',
    smsAction: 'choose a new password',
    label: 'Choose a new password',
    path: 'reset-password',
  },
};

function renderOneTimePassword(message: OneTimePasswordMessage, appUrl: string): RenderedMessage {
  const { channel, oneTimePassword, tokenId, lifetimeSeconds } = message;
  const { subject, action, smsAction, label, path } = purposes[message.purpose];
  const { host, hostname } = new URL(appUrl);
  const expiry = formatLifetime(lifetimeSeconds);
  if (channel === 'sms') {
    // The last line binds the code to the origin, so that browsers fill it in there.
    // @see https://wicg.github.io/sms-one-time-codes/
    const text = `${oneTimePassword} is your code to ${smsAction}. It expires ${expiry}.\n\n@${hostname} #${oneTimePassword}`;
    return { subject: null, text, html: null };
  }
  // Browsers do not send the fragment to servers.
  // The page uses the code only on a click, because mail scanners open links too.
  const link = `${appUrl}/${path}#${new URLSearchParams({ token: tokenId, code: oneTimePassword })}`;
  const lead = `Use this code to ${action}:`;
  const limits = `This code expires ${expiry}. You can use it only once.`;
  const notYouAdvice = `If you did not request this code, ignore this message. Never share this code. Enter it only on ${host}.`;
  return {
    subject,
    // The code has no spaces, because users would copy them.
    text: [lead, `    ${oneTimePassword}`, limits, 'Or open this link:', `    ${link}`, notYouAdvice].join('\n\n'),
    html: emailDocument(subject, [
      paragraph(lead),
      codeBlock(oneTimePassword),
      paragraph(limits),
      button(label, link),
      smallPrint(notYouAdvice),
    ]),
  };
}

const relativeTime = new Intl.RelativeTimeFormat('en');

/** Formats a lifetime: "in 10 minutes". Rounds down, so that no message promises too much. */
function formatLifetime(seconds: number): string {
  if (seconds < 60) return relativeTime.format(seconds, 'second');
  if (seconds < 7200) return relativeTime.format(Math.floor(seconds / 60), 'minute');
  return relativeTime.format(Math.floor(seconds / 3600), 'hour');
}

interface Notice {
  subject: string;
  paragraphs: string[];
  /** what to do if the owner did not make the change */
  notYouAdvice: string;
  notYouAdviceSms: string;
  /** the page to do it on; null if there is none */
  page: { label: string; path: string } | null;
}

function renderNotice(
  { channel, event }: { channel: Message['channel']; event: NoticeEvent },
  appUrl: string,
): RenderedMessage {
  const { subject, paragraphs, notYouAdvice, notYouAdviceSms, page } = describeNotice(event);
  const { host } = new URL(appUrl);
  if (channel === 'sms') return { subject: null, text: `${subject} (${host}). ${notYouAdviceSms}`, html: null };
  const link = page && `${appUrl}/${page.path}`;
  const sender = `You receive this message because you ${event.type === 'account-deleted' ? 'had' : 'have'} an account at ${host}.`;
  return {
    subject,
    text: [...paragraphs, notYouAdvice, ...(link === null ? [] : [`    ${link}`]), sender].join('\n\n'),
    html: emailDocument(subject, [
      ...[...paragraphs, notYouAdvice].map(paragraph),
      ...(page === null || link === null ? [] : [button(page.label, link)]),
      smallPrint(sender),
    ]),
  };
}

const resetPassword = {
  notYouAdvice: 'If this was not you, reset your password now. This signs you out on all devices.',
  notYouAdviceSms: 'Not you? Reset your password now.',
  page: { label: 'Reset your password', path: 'reset-password' },
};

const nouns = { email: 'email address', phone: 'phone number' };
const articles = { email: 'an', phone: 'a' };

/** Longer than 40 lines, because it has the text of every notice. */
function describeNotice(event: NoticeEvent): Notice {
  switch (event.type) {
    case 'password-changed':
      return {
        subject: 'Your password was changed',
        paragraphs: ['The password of your account was changed.'],
        ...resetPassword,
      };
    case 'password-reset':
      return {
        subject: 'Your password was reset',
        paragraphs: [
          'The password of your account was reset with a code. All other sessions have ended.',
          ...event.dropped.map(
            (field) => `The ${nouns[field]} that was added lately was removed. Add it again if it is yours.`,
          ),
        ],
        ...resetPassword,
      };
    case 'username-changed':
      return {
        subject: 'Your username was changed',
        paragraphs: ['The username of your account was changed.'],
        ...resetPassword,
      };
    case 'address-added':
      return {
        subject: `A new ${nouns[event.field]} was added`,
        paragraphs: [
          `A new ${nouns[event.field]} was added to your account. It counts once it is verified. Until then nothing changes.`,
        ],
        ...resetPassword,
      };
    case 'address-verified':
      return {
        subject: `A new ${nouns[event.field]} was verified`,
        paragraphs: [
          `A new ${nouns[event.field]} of your account was verified. It can now sign in and reset your password.`,
        ],
        ...resetPassword,
      };
    case 'address-removed':
      return {
        subject: `Your ${nouns[event.field]} was removed`,
        paragraphs: [`The ${nouns[event.field]} was removed from your account.`],
        // A reset is no option: codes cannot be sent to the old address any more.
        notYouAdvice: 'If this was not you, sign in now and restore it. Then change your password.',
        notYouAdviceSms: 'Not you? Sign in now and restore it.',
        page: { label: 'Sign in', path: 'sign-in' },
      };
    case 'address-lost':
      return {
        subject: `An unverified ${nouns[event.field]} left your account`,
        paragraphs: [
          `Your account held ${articles[event.field]} ${nouns[event.field]} that was not verified. Another account has verified it.`,
        ],
        notYouAdvice: 'If the address is yours, sign in with it by a code.',
        notYouAdviceSms: 'Is it yours? Sign in with it by a code.',
        page: { label: 'Sign in', path: 'sign-in' },
      };
    case 'role-changed': {
      const role = event.role === 'isStaff' ? 'staff' : 'superuser';
      const whose = event.account === null ? 'your account' : `the account ${event.account}`;
      return {
        subject: `The ${role} role was ${event.granted ? 'granted' : 'removed'}`,
        paragraphs: [`The ${role} role of ${whose} was ${event.granted ? 'granted' : 'removed'}.`],
        ...(event.account === null
          ? {
              notYouAdvice: 'If you did not expect this, ask an administrator.',
              notYouAdviceSms: 'Not expected? Ask an administrator.',
              page: { label: 'Sign in', path: 'sign-in' },
            }
          : {
              notYouAdvice: 'If you did not expect this, ask another superuser, and read the audit log.',
              notYouAdviceSms: 'Not expected? Read the audit log.',
              page: { label: 'Open the audit log', path: 'audit' },
            }),
      };
    }
    case 'new-device':
      return {
        subject: 'New sign-in to your account',
        paragraphs: [
          'A new device signed in to your account:',
          `${describeUserAgent(event.userAgent)}, IP address ${event.ipAddress ?? 'unknown'}.`,
        ],
        ...resetPassword,
      };
    case 'refresh-token-reused':
      return {
        subject: 'A session of your account was revoked',
        paragraphs: [
          `We revoked a session of your account (${describeUserAgent(event.userAgent)}). We detected a reused session token. It may have been stolen.`,
        ],
        notYouAdvice:
          'Sign in again. If you have lost a device, reset your password. This signs you out on all devices.',
        notYouAdviceSms: 'Sign in again. If you have lost a device, reset your password.',
        page: resetPassword.page,
      };
    case 'account-deleted':
      return {
        subject: 'Your account was deleted',
        paragraphs: ['Your account and all its data were deleted.'],
        notYouAdvice: 'If this was not you, contact support.',
        notYouAdviceSms: 'Not you? Contact support.',
        page: null,
      };
  }
}

const browsers: [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, 'Edge'],
  [/\b(OPR|Opera)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(Chrome|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];
const systems: [RegExp, string][] = [
  [/\b(iPhone|iPad)\b/, 'iOS'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

/**
 * Describes a device by known names, or by a plain product name and version.
 * The client writes the header, so its text or links must not reach the owner in our name.
 */
function describeUserAgent(userAgent: string | null): string {
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(userAgent ?? ''))?.[1];
  const browser = /^Mozilla\//.test(userAgent ?? '') ? find(browsers) : undefined;
  if (browser !== undefined) return [browser, find(systems)].filter(Boolean).join(' on ');
  return /^[A-Za-z][\w-]{0,29}(\/\d[\d.]{0,15})?(?=\s|$)/.exec(userAgent ?? '')?.[0] ?? 'Unknown device';
}
