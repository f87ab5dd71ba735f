/** Sends notices that wait for their time. */
import type { App } from '../../app/app.js';
import { takeDueNotices } from '../../database/delayed-notices.queries.js';
import { findUser } from '../../database/users.queries.js';
import { notify, verifiedAddresses } from './notices.js';

const intervalMilliseconds = 60_000;
const batchSize = 100;

/** Starts to send due notices, once a minute. @returns what stops it */
export function startDelayedNotices(app: App): () => void {
  const timer = setInterval(() => app.inBackground(sendDueNotices(app)), intervalMilliseconds);
  timer.unref();
  return () => clearInterval(timer);
}

/** Sends the notices that are due. */
export async function sendDueNotices(app: App): Promise<void> {
  for (const { userId, addressKind: field } of await takeDueNotices(app.db, batchSize)) {
    const user = await findUser(app.db, userId);
    if (user !== undefined) notify(app, { type: 'address-lost', field }, verifiedAddresses(user));
  }
}
