/** The wording of each kind of message. */
import type { Message, NoticeEvent, OneTimePasswordMessage } from './delivery.js';

export interface WrittenMessage {
  /** null for SMS */
  subject: string | null;
  text: string;
  /** null for SMS */
  html: string | null;
}

/** @param appUrl the front end; links and the origin that an SMS is bound to come from here alone, never from a request */
export function writeMessage(message: Message, appUrl: string): WrittenMessage {
  return message.kind === 'one-time-password' ? writeOneTimePassword(message, appUrl) : writeNotice(message, appUrl);
}

const purposes = {
  VERIFICATION: { subject: 'Confirm your address', action: 'confirm this address', path: 'verify' },
  AUTHENTICATION: { subject: 'Your one-time password', action: 'sign in', path: 'sign-in' },
  PASSWORD_RESET: { subject: 'Reset your password', action: 'choose a new password', path: 'reset-password' },
};

function writeOneTimePassword(message: OneTimePasswordMessage, appUrl: string): WrittenMessage {
  const { channel, oneTimePassword, tokenId, lifetimeSeconds } = message;
  const { subject, action, path } = purposes[message.purpose];
  const lifetime = duration(lifetimeSeconds);
  if (channel === 'sms') {
    // The last line is the origin-bound form that browsers fill in by themselves. @see https://wicg.github.io/sms-one-time-codes/
    const text = `${oneTimePassword} to ${action}. Good for ${lifetime.short}.\n\n@${new URL(appUrl).hostname} #${oneTimePassword}`;
    return { subject: null, text, html: null };
  }
  // In the fragment, which no server is sent; the page spends nothing before a click, for mail scanners open links too.
  const link = `${appUrl}/${path}#${new URLSearchParams({ token: tokenId, code: oneTimePassword })}`;
  const lead = `Use this one-time password to ${action}:`;
  const life = `It is good for ${lifetime.long} and can be used once.`;
  const unasked =
    'If you did not ask for it, ignore this message: nobody can do anything without the password above. Never tell it to anyone.';
  const groups = oneTimePassword.match(/.{1,4}/g) ?? [];
  return {
    subject,
    text: [lead, `    ${groups.join('-')}`, `${life} Or open this page:`, `    ${link}`, unasked].join('\n\n'),
    html: page(
      subject,
      // The gaps between the groups are not characters: what is copied is the password alone.
      `<p>${lead}</p>
<p class="code">${groups.map((group) => `<span>${escapeHtml(group)}</span>`).join('')}</p>
<p>${life} Or open this page:</p>
<p><a class="button" href="${escapeHtml(link)}">${escapeHtml(subject)}</a></p>
<p class="small">${unasked}</p>`,
    ),
  };
}

/** Rounded down: nobody is promised more than there is. */
function duration(seconds: number): { short: string; long: string } {
  const [count, unit, short] = seconds < 60 ? [seconds, 'second', 's'] : [Math.floor(seconds / 60), 'minute', 'min'];
  return { short: `${count} ${short}`, long: `${count} ${unit}${count === 1 ? '' : 's'}` };
}

function writeNotice(
  { channel, event }: { channel: Message['channel']; event: NoticeEvent },
  appUrl: string,
): WrittenMessage {
  const { subject, what } = describeNotice(event);
  const { host } = new URL(appUrl);
  if (channel === 'sms')
    return { subject: null, text: `${subject} (${host}). Not you? Reset your password now.`, html: null };
  const unasked =
    event.type === 'account-deleted'
      ? 'If this was not you, write to whoever runs the service.'
      : 'If this was not you, reset your password now: it ends every session.';
  const link = `${appUrl}/reset-password`;
  const isOver = event.type === 'account-deleted';
  return {
    subject,
    text: [what, unasked, ...(isOver ? [] : [`    ${link}`])].join('\n\n'),
    html: page(
      subject,
      `<p>${escapeHtml(what)}</p>
<p>${unasked}</p>${isOver ? '' : `\n<p><a class="button" href="${escapeHtml(link)}">Reset your password</a></p>`}`,
    ),
  };
}

function describeNotice(event: NoticeEvent): { subject: string; what: string } {
  switch (event.type) {
    case 'password-changed':
      return { subject: 'Your password was changed', what: 'The password of your account was changed.' };
    case 'address-changed': {
      const thing = event.field === 'email' ? 'email address' : 'phone number';
      return {
        subject: `Your ${thing} was changed`,
        what: `The ${thing} of your account was changed or removed. The one before is not part of the account any more.`,
      };
    }
    case 'new-device':
      return {
        subject: 'New sign-in to your account',
        what: `Somebody signed in to your account from a device that was not used before: ${event.userAgent ?? 'an unnamed program'}, at ${event.ipAddress ?? 'an unknown address'}.`,
      };
    case 'account-deleted':
      return {
        subject: 'Your account was deleted',
        what: 'Your account was deleted, with everything that was kept in it.',
      };
  }
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(title)}</title>
<style>
body { margin: 0; padding: 24px; background: #f4f4f5; color: #18181b; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 32em; margin: 0 auto; padding: 24px 32px; background: #ffffff; border-radius: 12px; overflow-wrap: anywhere; }
h1 { font-size: 20px; line-height: 1.3; }
.code { font: 700 32px/1.4 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; letter-spacing: 2px; }
.code span + span { margin-left: 14px; }
.button { display: inline-block; padding: 10px 18px; border-radius: 8px; background: #1d4ed8; color: #ffffff; text-decoration: none; font-weight: 600; }
.small { font-size: 14px; color: #52525b; }
@media (prefers-color-scheme: dark) {
body { background: #18181b; color: #f4f4f5; }
main { background: #27272a; }
.small { color: #a1a1aa; }
}
</style>
</head>
<body><main>
<h1>${escapeHtml(title)}</h1>
${body}
</main></body>
</html>
`;
}
