/** Delivery by the configured providers, or by the outbox. */
import type { Logger } from 'pino';
import type { Config } from '../config/load.js';
import type { Database } from '../database/database.js';
import { findOutboxMessages, insertOutboxMessage } from '../database/outbox.queries.js';
import { createDelivery, type Deliver, type DeliveryInterceptor } from '../delivery/delivery.js';
import type { Channel } from '../delivery/message.js';
import { createOutbox, type OutboxMessage } from '../delivery/outbox.js';
import type { Metrics } from '../observability/metrics.js';
import type { Tracing } from '../observability/tracing.js';
import { createEncrypter, type Encrypter } from '../security/encryption.js';
import type { Keys } from './keys.js';

export interface MessagesOptions {
  config: Config;
  db: Database;
  log: Logger;
  outboxKey: Keys['outbox'];
  tracing: Tracing;
  metrics: Metrics;
}

export interface Messages {
  deliver: Deliver;
  /** the available channels */
  channels: ReadonlySet<Channel>;
  /** Reads the 100 newest messages of the outbox, newest first. */
  readOutbox(): Promise<(OutboxMessage & { sentAt: Date })[]>;
}

/** Connects each channel to its provider, or to the outbox where none is configured. */
export async function createMessages({ config, db, log, ...options }: MessagesOptions): Promise<Messages> {
  const encrypter = createEncrypter([options.outboxKey]);
  // Provider libraries are large, so load them only if they are configured.
  const sendGrid = config.sendGrid && (await import('../delivery/sendgrid.js')).createSendGrid(config.sendGrid);
  const vonage = config.vonage && (await import('../delivery/vonage.js')).createVonage(config.vonage);
  const outbox = createOutbox(async (message) => {
    await insertOutboxMessage(db, encrypter.encrypt(Buffer.from(JSON.stringify(message))));
    log.info({ channel: message.channel, subject: message.subject ?? undefined }, 'message kept in the outbox');
  });
  const channels = new Set<Channel>();
  if (sendGrid || config.outboxAllowed) channels.add('email');
  if (vonage || config.outboxAllowed) channels.add('sms');
  return {
    deliver: createDelivery(
      {
        email: sendGrid ? { provider: 'sendgrid', send: sendGrid } : { provider: 'outbox', send: outbox },
        sms: vonage ? { provider: 'vonage', send: vonage } : { provider: 'outbox', send: outbox },
      },
      config.appUrl,
      log,
      countAndTrace(options.tracing, options.metrics),
    ),
    channels,
    readOutbox: () => readOutbox(db, encrypter),
  };
}

async function readOutbox(db: Database, encrypter: Encrypter): Promise<(OutboxMessage & { sentAt: Date })[]> {
  const rows = await findOutboxMessages(db, 100);
  return rows.map(({ encryptedMessage, sentAt }) => {
    // Invariant: only createOutbox above writes these rows.
    const message: OutboxMessage = JSON.parse(encrypter.decrypt(encryptedMessage).toString());
    return { ...message, sentAt };
  });
}

/** Counts and traces messages without their recipients. */
function countAndTrace({ withSpan }: Tracing, metrics: Metrics): DeliveryInterceptor {
  return ({ channel, provider, kind }, send) => {
    const attributes = {
      'flex_identity.channel': channel,
      'flex_identity.provider': provider,
      'flex_identity.message': kind,
    };
    return withSpan({ name: `send ${channel}`, kind: 'client', attributes }, async (span) => {
      try {
        await send();
        metrics.delivered(channel, provider, 'sent');
      } catch (error) {
        metrics.delivered(channel, provider, 'failed');
        span.fail(error instanceof Error ? error.name : 'unknown');
        throw error;
      }
    });
  };
}
