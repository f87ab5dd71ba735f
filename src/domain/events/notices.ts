/** Notices: messages to owners about changes of their account. */
import type { App, Subscriber } from '../../app/app.js';
import type { User } from '../../database/users.queries.js';
import type { NoticeEvent } from '../../delivery/message.js';
import { authenticators } from '../authenticators/registry.js';
import type { AddressKind } from '../identifiers.js';
import { consumeSendLimits } from '../rate-limits.js';
import type { EventBatch, IdentityEvent } from './events.js';

/** Verified addresses. */
interface Recipient {
  email: string | null;
  phone: string | null;
}

/** Sends notices after the commit, in the background. */
export const noticeSubscriber: Subscriber<EventBatch> = {
  afterCommit(app, { events }) {
    for (const event of events) for (const [notice, recipient] of toNotices(event)) notify(app, notice, recipient);
  },
};

function toNotices(event: IdentityEvent): [NoticeEvent, Recipient][] {
  switch (event.type) {
    case 'password-changed':
    case 'password-set':
    case 'password-reset':
      return [[{ type: 'password-changed' }, verifiedAddresses(event.user)]];
    case 'identifiers-changed':
      return (['email', 'phone'] as const).flatMap((field) => {
        const removed = event.user[field] === null ? verifiedAddresses(event.before)[field] : null;
        return removed === null ? [] : addressChanged(field, removed, event.user);
      });
    case 'address-replaced':
      return addressChanged(event.kind, event.previous, event.user);
    case 'signed-in': {
      const { userAgent, ipAddress } = event.session;
      // The notice of a reset covers it.
      if (!event.newDevice || event.byReset) return [];
      return [[{ type: 'new-device', userAgent, ipAddress }, verifiedAddresses(event.user)]];
    }
    case 'refresh-token-reused': {
      const { userAgent } = event.session;
      return [[{ type: 'refresh-token-reused', userAgent }, verifiedAddresses(event.user)]];
    }
    case 'user-deleted':
      return [[{ type: 'account-deleted' }, verifiedAddresses(event.user)]];
    default:
      return [];
  }
}

/** Notifies the previous address and the current ones: the owner may control only one of them. */
function addressChanged(field: AddressKind, previous: string | null, user: User): [NoticeEvent, Recipient][] {
  const notice = { type: 'address-changed', field } as const;
  return [
    [notice, { email: null, phone: null, [field]: previous }],
    [notice, verifiedAddresses(user)],
  ];
}

function verifiedAddresses(user: User): Recipient {
  return { email: user.emailVerified ? user.email : null, phone: user.phoneVerified ? user.phone : null };
}

/**
 * Sends a notice by email, or by SMS if there is no email.
 * Skips unverified addresses, because they may belong to another person.
 */
function notify(app: App, event: NoticeEvent, recipient: Recipient): void {
  const kind = (['email', 'phone'] as const).find((kind) => {
    const address = recipient[kind];
    return address !== null && authenticators[kind].isReachable(app, address);
  });
  const to = kind === undefined ? null : recipient[kind];
  if (kind === undefined || to === null) return;
  const channel = kind === 'email' ? 'email' : 'sms';
  const limits = authenticators[kind].sendLimits(app, to);
  app.inBackground(consumeSendLimits(app, limits).then(() => app.deliver({ kind: 'notice', channel, to, event })));
}
