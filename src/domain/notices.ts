/** Notices: what an owner is told of what was done to the account, so that what was not their doing does not go unseen. */
import type { App } from '../app.js';
import type { User } from '../database/users.queries.js';
import type { NoticeEvent } from '../delivery/message.js';
import { isReachable } from './account-input.js';
import { limitSmsPrefix } from './rate-limits.js';

/** Addresses that have been proved to be the owner's. */
export interface ProvenAddresses {
  email: string | null;
  phone: string | null;
}

export function provenAddresses(user: User): ProvenAddresses {
  return { email: user.emailVerified ? user.email : null, phone: user.phoneVerified ? user.phone : null };
}

/**
 * Tells the owner, after the change is committed and without anybody waiting for it. Goes to the email address; by SMS only where there is none.
 * Addresses that nobody has proved are told nothing: they may be somebody else's.
 */
export function notify(app: App, event: NoticeEvent, { email, phone }: ProvenAddresses): void {
  if (email !== null && isReachable(app, 'email', email))
    app.inBackground(app.deliver({ kind: 'notice', channel: 'email', to: email, event }));
  else if (phone !== null && isReachable(app, 'phone', phone))
    app.inBackground(
      limitSmsPrefix(app, phone).then(() => app.deliver({ kind: 'notice', channel: 'sms', to: phone, event })),
    );
}
