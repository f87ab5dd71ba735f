/** Notices: messages to owners about changes of their account. */
import type { App, Subscriber } from '../../app/app.js';
import { findSuperusers, type User } from '../../database/users.queries.js';
import type { NoticeEvent } from '../../delivery/message.js';
import { authenticators } from '../authenticators/registry.js';
import { type AddressKind, addressKinds } from '../identifiers.js';
import { consumeSendLimits } from '../rate-limits.js';
import type { EventBatch, IdentityEvent } from './events.js';

interface Recipient {
  kind: AddressKind;
  address: string;
}

/** Sends notices after the commit, in the background. */
export const noticeSubscriber: Subscriber<EventBatch> = {
  afterCommit(app, { events }) {
    for (const event of events) {
      for (const [notice, recipients] of toNotices(event)) notify(app, notice, recipients);
      const notice = toSuperuserNotice(event);
      if (notice !== null) app.inBackground(notifySuperusers(app, notice));
    }
  },
};

/** Changes go to every address that was verified before: the owner may control only one of them. */
function toNotices(event: IdentityEvent): [NoticeEvent, Recipient[]][] {
  switch (event.type) {
    case 'password-changed':
    case 'password-set':
      return [[{ type: 'password-changed' }, verifiedAddresses(event.user)]];
    case 'password-reset':
      return [[{ type: 'password-reset', dropped: event.dropped }, verifiedAddresses(event.before)]];
    case 'identifiers-changed':
      return event.fields.flatMap((field): [NoticeEvent, Recipient[]][] => {
        const notice = describeChange(event.user, field);
        return notice === null ? [] : [[notice, verifiedAddresses(event.before)]];
      });
    case 'address-verified':
      return [[{ type: 'address-verified', field: event.kind }, verifiedAddresses(event.before)]];
    case 'role-changed': {
      const { role, granted } = event;
      return [[{ type: 'role-changed', role, granted, account: null }, verifiedAddresses(event.before)]];
    }
    case 'signed-in': {
      const { userAgent, ipAddress } = event.session;
      // The notice of a reset covers it.
      if (!event.newDevice || event.byReset) return [];
      return [[{ type: 'new-device', userAgent, ipAddress }, firstOf(verifiedAddresses(event.user))]];
    }
    case 'refresh-token-reused': {
      const { userAgent } = event.session;
      return [[{ type: 'refresh-token-reused', userAgent }, firstOf(verifiedAddresses(event.user))]];
    }
    case 'user-deleted':
      return [[{ type: 'account-deleted' }, verifiedAddresses(event.user)]];
    default:
      return [];
  }
}

function describeChange(user: User, field: keyof User): NoticeEvent | null {
  switch (field) {
    case 'username':
      return { type: 'username-changed' };
    case 'email':
    case 'phone':
      // Another spelling of the same address is no news.
      return user[field] === null ? { type: 'address-removed', field } : null;
    case 'pendingEmail':
      return user.pendingEmail === null ? null : { type: 'address-added', field: 'email' };
    case 'pendingPhone':
      return user.pendingPhone === null ? null : { type: 'address-added', field: 'phone' };
    default:
      return null;
  }
}

function toSuperuserNotice(event: IdentityEvent): NoticeEvent | null {
  if (event.type === 'superuser-created')
    return { type: 'role-changed', role: 'isSuperuser', granted: true, account: event.user.id };
  if (event.type !== 'role-changed') return null;
  const { role, granted, before } = event;
  return { type: 'role-changed', role, granted, account: before.id };
}

async function notifySuperusers(app: App, notice: NoticeEvent): Promise<void> {
  for (const superuser of await findSuperusers(app.db)) notify(app, notice, verifiedAddresses(superuser));
}

export function verifiedAddresses({ email, emailVerified, phone, phoneVerified }: User): Recipient[] {
  const found = { email: emailVerified ? email : null, phone: phoneVerified ? phone : null };
  return addressKinds.flatMap((kind) => (found[kind] === null ? [] : [{ kind, address: found[kind] }]));
}

/** Email comes first: an SMS costs money. */
function firstOf(recipients: Recipient[]): Recipient[] {
  return recipients.slice(0, 1);
}

/** Sends a notice in the background. Skips addresses that the service cannot send to. */
export function notify(app: App, event: NoticeEvent, recipients: Recipient[]): void {
  for (const { kind, address: to } of recipients) {
    const { channel, isReachable, sendLimits } = authenticators[kind];
    if (!isReachable(app, to)) continue;
    const limits = sendLimits(app, to);
    app.inBackground(consumeSendLimits(app, limits).then(() => app.deliver({ kind: 'notice', channel, to, event })));
  }
}
