/** What is sent to people, and how it gets to whoever carries it. */
import type { Logger } from 'pino';
import { type WrittenMessage, writeMessage } from './messages.js';

export type Channel = 'email' | 'sms';

interface Addressed {
  channel: Channel;
  /** the address as stored */
  to: string;
}

/** A one-time password for the holder of an address. */
export interface OneTimePasswordMessage extends Addressed {
  kind: 'one-time-password';
  purpose: 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  tokenId: string;
  oneTimePassword: string;
  lifetimeSeconds: number;
}

/** What was done to an account. */
export type NoticeEvent =
  | { type: 'password-changed' }
  | { type: 'address-changed'; field: 'email' | 'phone' }
  | { type: 'new-device'; userAgent: string | null; ipAddress: string | null }
  | { type: 'account-deleted' };

/** Word to the owner of what was done to the account. */
export interface NoticeMessage extends Addressed {
  kind: 'notice';
  event: NoticeEvent;
}

export type Message = OneTimePasswordMessage | NoticeMessage;

/** Hands a message to whoever carries it. Rejects where it was not accepted; the reason is in the log by then. */
export type Deliver = (message: Message) => Promise<void>;

/** A message in words, on its way. */
export interface Envelope extends Addressed, WrittenMessage {
  /** null for a notice */
  oneTimePassword: string | null;
}

/** One way of sending. Rejects with a {@link DeliveryError} where the message was not accepted. */
export type Transport = (envelope: Envelope) => Promise<void>;

/** Why a message was not accepted, in words that hold neither address nor one-time password. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
}

export function createDelivery(transports: Record<Channel, Transport>, appUrl: string, log: Logger): Deliver {
  return async (message) => {
    const { channel, to } = message;
    const oneTimePassword = message.kind === 'one-time-password' ? message.oneTimePassword : null;
    try {
      await transports[channel]({ channel, to, oneTimePassword, ...writeMessage(message, appUrl) });
    } catch (error) {
      log.warn({ err: error, channel, kind: message.kind }, 'a message was not accepted');
      throw error;
    }
  };
}
