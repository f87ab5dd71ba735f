/** One-time passwords by SMS. */
import { getCallingCode } from '../identifiers.js';
import { smsPrefixLimit } from '../rate-limits.js';
import type { Authenticator } from './authenticator.js';
import { maskPhone } from './masking.js';

export const sms: Authenticator = {
  kind: 'phone',
  idPrefix: 'p',
  type: { name: 'PhoneToken', description: 'A phone that one-time passwords are sent to.' },
  method: {
    name: 'PHONE_ONE_TIME_PASSWORD',
    description: 'By a one-time password sent to their phone.',
    reference: 'sms',
  },
  channel: 'sms',
  identifies: 'phone',
  getAddresses: ({ phone, phoneVerified, pendingPhone }) => ({
    address: phone,
    // A phone in E.164 is also the comparison key.
    key: phone,
    verified: phoneVerified,
    pending: pendingPhone,
  }),
  mask: maskPhone,
  isReachable: (app, phone) =>
    app.channels.has('sms') && (app.config.smsCallingCodes?.includes(getCallingCode(phone)) ?? true),
  oneTimePasswordFormat: (app) => app.config.oneTimePassword.phone,
  sendLimits: (app, phone) => [smsPrefixLimit(app, phone)],
  send: (app, to, content) => app.deliver({ kind: 'one-time-password', channel: 'sms', to, ...content }),
};
