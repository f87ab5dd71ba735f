/** How a message gets to whoever carries it. */
import type { Logger } from 'pino';
import type { Addressed, Channel, Message } from './message.js';
import { type RenderedMessage, renderMessage } from './templates.js';

/** Hands a message to whoever carries it. Rejects with a {@link DeliveryError} where it was not accepted; the reason is in the log by then. */
export type Deliver = (message: Message) => Promise<void>;

/** A message in words, on its way. */
export interface Envelope extends Addressed, RenderedMessage {
  /** null for a notice */
  oneTimePassword: string | null;
}

/** One way of sending. Rejects with a {@link DeliveryError} where the message was not accepted. */
export type Transport = (envelope: Envelope) => Promise<void>;

/** Why a message was not accepted, in words that hold neither address nor one-time password. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
}

/** Sends each message, and may record how that ended. */
export type DeliveryInterceptor = (
  message: { channel: Channel; provider: string; kind: Message['kind'] },
  send: () => Promise<void>,
) => Promise<void>;

/**
 * Renders messages and hands them to the provider of their channel. Logs each message that is not accepted.
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
      log.warn({ err: error, channel, kind }, 'a message was not accepted');
      throw error instanceof DeliveryError
        ? error
        : new DeliveryError('The message was not accepted.', { cause: error });
    }
  };
}
