/** The wording of each kind of message. */

import { button, code, page, paragraph, remark } from './html.js';
import type { Message, NoticeEvent, OneTimePasswordMessage } from './message.js';

export interface RenderedMessage {
  /** null for SMS */
  subject: string | null;
  text: string;
  /** null for SMS */
  html: string | null;
}

/** @param appUrl the front end; links and the origin that an SMS is bound to come from here alone, never from a request */
export function renderMessage(message: Message, appUrl: string): RenderedMessage {
  return message.kind === 'one-time-password' ? writeOneTimePassword(message, appUrl) : writeNotice(message, appUrl);
}

const purposes = {
  VERIFICATION: { subject: 'Confirm your address', action: 'confirm this address', label: 'Confirm', path: 'verify' },
  AUTHENTICATION: { subject: 'Your one-time password', action: 'sign in', label: 'Sign in', path: 'sign-in' },
  PASSWORD_RESET: {
    subject: 'Reset your password',
    action: 'choose a new password',
    label: 'Choose a new password',
    path: 'reset-password',
  },
};

function writeOneTimePassword(message: OneTimePasswordMessage, appUrl: string): RenderedMessage {
  const { channel, oneTimePassword, tokenId, lifetimeSeconds } = message;
  const { subject, action, label, path } = purposes[message.purpose];
  const { host, hostname } = new URL(appUrl);
  if (channel === 'sms') {
    const life = lifetimeSeconds < 60 ? `${lifetimeSeconds} s` : `${Math.floor(lifetimeSeconds / 60)} min`;
    // The last line is the origin-bound form that browsers fill in by themselves. @see https://wicg.github.io/sms-one-time-codes/
    const text = `${oneTimePassword} to ${action}. Good for ${life}.\n\n@${hostname} #${oneTimePassword}`;
    return { subject: null, text, html: null };
  }
  // In the fragment, which no server is sent; the page spends nothing before a click, for mail scanners open links too.
  const link = `${appUrl}/${path}#${new URLSearchParams({ token: tokenId, code: oneTimePassword })}`;
  const lead = `Use this one-time password to ${action}:`;
  const life = `It is good for ${lifetimeInWords(lifetimeSeconds)} and can be used once.`;
  const notYouAdvice = `If you did not ask for it, ignore this message: nobody can do anything without the password above. Never tell it to anyone, and type it nowhere but at ${host}.`;
  return {
    subject,
    // Without gaps, which would be copied along.
    text: [lead, `    ${oneTimePassword}`, life, 'Or open this page:', `    ${link}`, notYouAdvice].join('\n\n'),
    html: page(subject, [
      paragraph(lead),
      code(oneTimePassword),
      paragraph(life),
      button(label, link),
      remark(notYouAdvice),
    ]),
  };
}

/** Never more than it is. */
function lifetimeInWords(seconds: number): string {
  const [amount, unit] = seconds < 60 ? [seconds, 'second'] : [Math.floor(seconds / 60), 'minute'];
  return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}

interface Notice {
  subject: string;
  what: string[];
  /** what to do where it was not the owner's doing; the short form is for SMS */
  notYouAdvice: string;
  notYouAdviceShort: string;
  /** where to do it, unless there is nothing to be done there */
  where: { label: string; path: string } | null;
}

function writeNotice(
  { channel, event }: { channel: Message['channel']; event: NoticeEvent },
  appUrl: string,
): RenderedMessage {
  const { subject, what, notYouAdvice, notYouAdviceShort, where } = describeNotice(event);
  const { host } = new URL(appUrl);
  if (channel === 'sms')
    return { subject: null, text: `${subject} (${host}). Not you? ${notYouAdviceShort}`, html: null };
  const link = where && `${appUrl}/${where.path}`;
  const sender = `You get this because you ${event.type === 'account-deleted' ? 'had' : 'have'} an account at ${host}.`;
  return {
    subject,
    text: [...what, notYouAdvice, ...(link === null ? [] : [`    ${link}`]), sender].join('\n\n'),
    html: page(subject, [
      ...[...what, notYouAdvice].map(paragraph),
      ...(where === null || link === null ? [] : [button(where.label, link)]),
      remark(sender),
    ]),
  };
}

const resetPassword = {
  notYouAdvice: 'If this was not you, reset your password now: that ends every session.',
  notYouAdviceShort: 'Reset your password now.',
  where: { label: 'Reset your password', path: 'reset-password' },
};

/** Longer than 40 lines, because it has the text of every notice. */
function describeNotice(event: NoticeEvent): Notice {
  switch (event.type) {
    case 'password-changed':
      return {
        subject: 'Your password was changed',
        what: ['The password of your account was changed.'],
        ...resetPassword,
      };
    case 'address-changed': {
      const thing = event.field === 'email' ? 'email address' : 'phone number';
      return {
        subject: `Your ${thing} was changed`,
        what: [
          `The ${thing} of your account was changed or removed. The one before is not part of the account any more.`,
        ],
        // Not by a reset: whoever reads this at the old address cannot prove anything by it any more.
        notYouAdvice: 'If this was not you, sign in now, put it right and change your password.',
        notYouAdviceShort: 'Sign in now and put it right.',
        where: { label: 'Sign in', path: 'sign-in' },
      };
    }
    case 'new-device':
      return {
        subject: 'New sign-in to your account',
        what: [
          'Somebody signed in to your account from a device that was not used before:',
          `${describeUserAgent(event.userAgent)}, at ${event.ipAddress ?? 'an unknown address'}.`,
        ],
        ...resetPassword,
      };
    case 'session-copied':
      return {
        subject: 'A session of your account was ended',
        what: [
          `A session of your account (${describeUserAgent(event.userAgent)}) was ended: its key was used twice, so somebody may have copied it.`,
        ],
        notYouAdvice: 'Sign in again. If you have lost a device, reset your password: that ends every session.',
        notYouAdviceShort: 'If you have lost a device, reset your password.',
        where: resetPassword.where,
      };
    case 'account-deleted':
      return {
        subject: 'Your account was deleted',
        what: ['Your account was deleted, with everything that was kept in it.'],
        notYouAdvice: 'If this was not you, write to whoever runs the service.',
        notYouAdviceShort: 'Write to whoever runs the service.',
        where: null,
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
 * What a `User-Agent` says, in words of our own or by one plain name and version. Whoever signs in writes that header as they like,
 * and the owner is not to read their text, nor a link of theirs, under our name.
 */
function describeUserAgent(userAgent: string | null): string {
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(userAgent ?? ''))?.[1];
  const browser = /^Mozilla\//.test(userAgent ?? '') ? find(browsers) : undefined;
  if (browser !== undefined) return [browser, find(systems)].filter(Boolean).join(' on ');
  return /^[A-Za-z][\w-]{0,29}(\/\d[\d.]{0,15})?(?=\s|$)/.exec(userAgent ?? '')?.[0] ?? 'An unnamed program';
}
