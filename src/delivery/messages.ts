/** The wording of each kind of message. */
import type { Message } from './delivery.js';

export interface WrittenMessage {
  /** null for SMS */
  subject: string | null;
  text: string;
}

const wording = {
  VERIFICATION: { subject: 'Confirm your address', action: 'confirm this address', path: 'verify' },
  AUTHENTICATION: { subject: 'Your one-time password', action: 'sign in', path: 'sign-in' },
  PASSWORD_RESET: { subject: 'Reset your password', action: 'choose a new password', path: 'reset-password' },
};

/** @param appUrl the front end; links and the origin that an SMS is bound to come from here alone, never from a request */
export function writeMessage(message: Message, appUrl: string): WrittenMessage {
  const { subject, action, path } = wording[message.purpose];
  const { host } = new URL(appUrl);
  const life = duration(message.lifetimeSeconds);
  if (message.channel === 'sms') {
    // The last line is the origin-bound form that browsers fill in by themselves. @see https://wicg.github.io/sms-one-time-codes/
    return {
      subject: null,
      text: `${message.oneTimePassword} to ${action}. Good for ${life.short}.\n\n@${host} #${message.oneTimePassword}`,
    };
  }
  // In the fragment, which no server and no mail scanner that opens the link is sent.
  const fragment = new URLSearchParams({ token: message.tokenId, code: message.oneTimePassword });
  return {
    subject,
    text: [
      `Use this one-time password to ${action}:`,
      `    ${message.oneTimePassword}`,
      `It is good for ${life.long} and can be used once. Or open this page:`,
      `    ${appUrl}/${path}#${fragment}`,
      'If you did not ask for it, ignore this message: nobody can do anything without the password above.',
    ].join('\n\n'),
  };
}

/** Rounded down: nobody is promised more than there is. */
function duration(seconds: number): { short: string; long: string } {
  const [count, unit, short] = seconds < 60 ? [seconds, 'second', 's'] : [Math.floor(seconds / 60), 'minute', 'min'];
  return { short: `${count} ${short}`, long: `${count} ${unit}${count === 1 ? '' : 's'}` };
}
