/** Notices: what an owner is told of what was done to the account, so that what was not their doing does not go unseen. */
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

/** Sends the notices of a transaction once it is committed. No answer waits for them. */
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
        const lost = event.user[field] === null ? verifiedAddresses(event.before)[field] : null;
        return lost === null ? [] : addressChanged(field, lost, event.user);
      });
    case 'address-replaced':
      return addressChanged(event.kind, event.previous, event.user);
    case 'signed-in': {
      const { userAgent, ipAddress } = event.session;
      // The notice of a reset says enough.
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

/** To the previous address, and to what the account has now: either may be the only one that is still the owner's. */
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
 * Sends a notice to the email address, and by SMS only where there is none.
 * Addresses that nobody has proved are told nothing: they may be somebody else's.
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
