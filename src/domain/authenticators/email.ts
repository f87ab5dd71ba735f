/** One-time passwords by email. */
import type { Authenticator } from './authenticator.js';
import { maskEmail } from './masking.js';

export const email: Authenticator = {
  kind: 'email',
  idPrefix: 'e',
  type: { name: 'EmailToken', description: 'An email address that one-time passwords are sent to.' },
  method: {
    name: 'EMAIL_ONE_TIME_PASSWORD',
    description: 'By a one-time password sent to their email address.',
    // RFC 8176 has no value for email.
    reference: 'otp',
  },
  channel: 'email',
  identifies: 'email',
  getAddresses: ({ email, emailKey, emailVerified, pendingEmail }) => ({
    address: email,
    key: emailKey,
    verified: emailVerified,
    pending: pendingEmail,
  }),
  mask: maskEmail,
  isReachable: (app) => app.channels.has('email'),
  oneTimePasswordFormat: (app) => app.config.oneTimePassword.email,
  sendLimits: () => [],
  send: (app, to, content) => app.deliver({ kind: 'one-time-password', channel: 'email', to, ...content }),
};
