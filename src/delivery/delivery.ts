/** Sends messages through the provider of their channel. */
import type { Logger } from 'pino';
import type { Channel, Message, Recipient } from './message.js';
import { type RenderedMessage, renderMessage } from './templates.js';

/** Sends a message. Logs a failure and rejects with a {@link DeliveryError}. */
export type Deliver = (message: Message) => Promise<void>;

/** A rendered message with its recipient. */
export interface Envelope extends Recipient, RenderedMessage {
  /** null for a notice */
  oneTimePassword: string | null;
}

/** Hands a message to a provider. Rejects if the provider does not accept it. */
export type Transport = (envelope: Envelope) => Promise<void>;

/** A failed delivery. The message names the reason, but no address and no one-time password. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
}

/** Wraps the sending of each message, for metrics and traces. It must call `send`. */
export type DeliveryInterceptor = (
  message: { channel: Channel; provider: string; kind: Message['kind'] },
  send: () => Promise<void>,
) => Promise<void>;

/**
 * Renders messages and hands them to the provider of their channel.
 * @param appUrl the front end, which the links of messages lead to
 */
export function createDelivery(
  providers: Record<Channel, { provider: string; send: Transport }>,
  appUrl: string,
  log: Logger,
  intercept: DeliveryInterceptor,
): Deliver {
  return async (message) => {
    const { channel, to, kind } = message;
    const { provider, send } = providers[channel];
    const oneTimePassword = message.kind === 'one-time-password' ? message.oneTimePassword : null;
    try {
      await intercept({ channel, provider, kind }, () =>
        send({ channel, to, oneTimePassword, ...renderMessage(message, appUrl) }),
      );
    } catch (error) {
      log.warn({ err: error, channel, kind }, 'message not accepted');
      throw error instanceof DeliveryError
        ? error
        : new DeliveryError('the message was not accepted', { cause: error });
    }
  };
}
