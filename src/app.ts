/** The one place where implementations are chosen: everything that the domain works with, made from the configuration. */
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';
import { type Database, openDatabase, ping } from './database/database.js';
import { isDatabaseUnavailable } from './database/failures.js';
import { findOutboxMessages, insertOutboxMessage } from './database/outbox.queries.js';
import { createDelivery, type Deliver, DeliveryError } from './delivery/delivery.js';
import type { Channel } from './delivery/message.js';
import { createOutbox, type OutboxMessage } from './delivery/outbox.js';
import { createSendGrid } from './delivery/sendgrid.js';
import { createVonage } from './delivery/vonage.js';
import { type Keys, openKeys } from './keys.js';
import { createPasswords, PasswordPoolBusyError, type Passwords } from './security/passwords.js';
import { randomToken } from './security/random.js';
import { createSealer } from './security/sealing.js';

export interface App {
  config: Config;
  log: Logger;
  db: Database;
  keys: Keys;
  passwords: Passwords;
  deliver: Deliver;
  /** the channels that a message can take: an address of any other kind is refused when it is given */
  channels: ReadonlySet<Channel>;
  /** lets the first superuser be made; null where there is none */
  bootstrapSecret: string | null;
  /** Does work that the answer does not wait for; what it fails of is logged. */
  inBackground(work: Promise<void>): void;
  /** The messages kept in place of sending, newest first, those under way included. */
  outbox(): Promise<(OutboxMessage & { sentAt: Date })[]>;
  /** Whether the failure is one of capacity or of a database that is away: the same request may succeed later. */
  isUnavailable(error: unknown): boolean;
  /** Rejects where the database does not answer. */
  ping(): Promise<void>;
  /** Waits for the work in the background, then ends threads and connections. */
  close(): Promise<void>;
}

/**
 * Opens and migrates the database, reads or makes its keys, starts the worker threads.
 * @throws {SealedByAnotherKeyError} when the database was used with another `SECRET_KEY`
 */
export async function createApp(config: Config, log: Logger = createLogger(config)): Promise<App> {
  const database = await openDatabase({
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    dataDir: config.dataDir,
    onIdleError: (error) => log.warn({ err: error }, 'a database connection broke'),
  });
  const { db } = database;
  try {
    await database.migrate();
    const sealer = createSealer(config.secretKeys);
    const keys = await openKeys(db, sealer, { accessTokenTtlSeconds: config.accessTokenTtlSeconds, log });
    const outboxSealer = createSealer([keys.outbox]);
    const passwords = createPasswords({
      peppers: config.passwordPeppers,
      cost: config.bcryptCost,
      threads: config.passwordThreads,
      onUselessHash: (scheme, fault) => log.warn({ scheme, fault }, 'a stored password hash can verify nothing'),
    });
    const sendGrid = config.sendGrid && createSendGrid(config.sendGrid);
    const vonage = config.vonage && createVonage(config.vonage);
    const outbox = createOutbox(async (message) => {
      await insertOutboxMessage(db, outboxSealer.seal(Buffer.from(JSON.stringify(message))));
      log.info({ channel: message.channel, subject: message.subject ?? undefined }, 'message kept in the outbox');
    });
    const background = new Set<Promise<void>>();
    return {
      config,
      log,
      db,
      keys,
      passwords,
      deliver: createDelivery({ email: sendGrid ?? outbox, sms: vonage ?? outbox }, config.appUrl, log),
      channels: new Set<Channel>([
        ...(sendGrid || config.outboxAllowed ? ['email' as const] : []),
        ...(vonage || config.outboxAllowed ? ['sms' as const] : []),
      ]),
      bootstrapSecret: config.bootstrapSecret ?? (config.production ? null : randomToken(32)),
      inBackground(work) {
        const logged = work
          .catch((error) => {
            // A message that was not accepted has been logged where that was seen.
            if (!(error instanceof DeliveryError)) log.warn({ err: error }, 'work in the background failed');
          })
          .finally(() => background.delete(logged));
        background.add(logged);
      },
      async outbox() {
        await Promise.all(background);
        const rows = await findOutboxMessages(db, 100);
        return rows.map(({ sealedMessage, sentAt }) => ({
          ...(JSON.parse(outboxSealer.open(sealedMessage).toString()) as OutboxMessage),
          sentAt,
        }));
      },
      isUnavailable: (error) => error instanceof PasswordPoolBusyError || isDatabaseUnavailable(error),
      ping: () => ping(db),
      async close() {
        keys.close();
        await Promise.all(background);
        await passwords.end();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

export function createLogger(config: Pick<Config, 'logLevel'>): Logger {
  return pino({ level: config.logLevel, serializers: { err: describeError } });
}

/** An error without what it quotes: a failed statement's message and detail hold its parameters, among them digests and addresses. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return {
    type: error.name,
    message: error.message.replace(/\nparams:.*/s, '').slice(0, 500),
    code,
    constraint,
    stack: error.stack?.match(/^ {4}at .*$/gm)?.join('\n'),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
