/** The outbox: keeps messages in place of sending them, for development and for whoever says that this is meant. */
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

/** @param keep stores the message; its body may hold a one-time password, so it is not to be stored in clear */
export function createOutbox(keep: (message: OutboxMessage) => Promise<void>): Transport {
  return ({ channel, to, subject, text, oneTimePassword }) => keep({ channel, to, subject, text, oneTimePassword });
}
