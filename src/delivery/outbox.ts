/** The outbox: keeps messages in place of sending them, for development and for whoever says that this is meant. */
import type { Channel, Deliver } from './delivery.js';
import { writeMessage } from './messages.js';

/** A message as `/dev/outbox` shows it. */
export interface OutboxMessage {
  channel: Channel;
  to: string;
  subject: string | null;
  text: string;
  oneTimePassword: string;
}

/** @param keep stores the message; its body holds a one-time password, so it is not to be stored in clear */
export function createOutbox(appUrl: string, keep: (message: OutboxMessage) => Promise<void>): Deliver {
  return async (message) => {
    const { subject, text } = writeMessage(message, appUrl);
    await keep({ channel: message.channel, to: message.to, subject, text, oneTimePassword: message.oneTimePassword });
  };
}
