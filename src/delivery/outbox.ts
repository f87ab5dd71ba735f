/** The outbox transport: stores messages instead of sending them. */
import type { Transport } from './delivery.js';
import type { Channel } from './message.js';

/** A message as `/dev/outbox` shows it. */
export interface OutboxMessage {
  channel: Channel;
  to: string;
  subject: string | null;
  text: string;
  /** null for a notice */
  oneTimePassword: string | null;
}

/** @param store must encrypt the message, because its body may hold a one-time password */
export function createOutbox(store: (message: OutboxMessage) => Promise<void>): Transport {
  return ({ channel, to, subject, text, oneTimePassword }) => store({ channel, to, subject, text, oneTimePassword });
}
