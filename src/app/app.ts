/** The composition root: makes everything that the domain works with from the configuration. Only here are implementations chosen. */
import type { Logger } from 'pino';
import type { Config } from '../config/load.js';
import { packageFolder } from '../config/package-folder.js';
import type { Database, InstrumentStatement, OpenDatabase } from '../database/database.js';
import { findMissingTimeouts, ping } from '../database/health.queries.js';
import { openDatabase } from '../database/open-database.js';
import { isDatabaseUnavailable } from '../database/postgres-errors.js';
import type { OutboxMessage } from '../delivery/outbox.js';
import { createMetrics, type Metrics } from '../observability/metrics.js';
import { createTracing, type Tracing } from '../observability/tracing.js';
import { createEncrypter } from '../security/encryption.js';
import { PasswordPoolBusyError } from '../security/hashing-queue.js';
import { createPasswords, type Passwords } from '../security/passwords.js';
import { randomToken } from '../security/random.js';
import { createEventDispatcher, type EventDispatcher } from './event-dispatcher.js';
import { type Keys, openKeys } from './keys.js';
import { createLogger } from './logger.js';
import { createMessages, type Messages } from './messages.js';

/**
 * Handles the events of committed transactions. The entry points provide it, so this module imports no domain.
 * Only the domain knows what a `Batch` holds: its `transact` passes all batches, and its modules subscribe.
 */
export interface Subscriber<Batch = unknown> {
  /** Writes rows in the transaction of the events. An error rolls their changes back. */
  beforeCommit?(tx: Database, batch: Batch): Promise<void>;
  /** Does what need not survive a crash. Must not throw: the change is committed. */
  afterCommit?(app: App, batch: Batch): void;
}

export interface App extends Omit<EventDispatcher, 'settle'> {
  config: Config;
  log: Logger;
  db: Database;
  keys: Keys;
  passwords: Passwords;
  metrics: Metrics;
  tracing: Tracing;
  deliver: Messages['deliver'];
  /** the channels that a message can take: an address of any other kind is refused when it is given */
  channels: Messages['channels'];
  /** lets the first superuser be made; null where there is none */
  bootstrapSecret: string | null;
  subscribers: readonly Subscriber[];
  /** Reads the messages kept in place of sending, newest first, after the work in the background has ended. */
  outbox(): Promise<(OutboxMessage & { sentAt: Date })[]>;
  /** Whether the error is one of capacity or of an unavailable database: the same request may succeed later. */
  isUnavailable(error: unknown): boolean;
  /** Rejects where the database does not answer. */
  ping(): Promise<void>;
  /** Waits for the work in the background, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens and migrates the database, reads or makes its keys.
 * @throws {StartupError} for a database that another process has open, or that is newer than this version
 * @throws {UnknownKeyError} when the database was used with another `SECRET_KEY`
 */
export async function createApp(
  config: Config,
  subscribers: readonly Subscriber[],
  log: Logger = createLogger(config),
): Promise<App> {
  const tracing = await createTracing(config.tracing, log);
  const database = await openDatabase({
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    pooler: config.databaseTransactionPooler,
    dataDir: config.dataDir,
    packageFolder,
    ...(config.tracing && { instrumentStatement: traceStatement(tracing) }),
    onIdleError: (error) => log.warn({ err: error }, 'database connection lost'),
  });
  try {
    await database.migrate();
    return await composeApp({ config, subscribers, log, tracing, database });
  } catch (error) {
    await database.close();
    await tracing.close();
    throw error;
  }
}

interface Parts {
  config: Config;
  subscribers: readonly Subscriber[];
  log: Logger;
  tracing: Tracing;
  database: OpenDatabase;
}

/** Longer than 40 lines, because it lists the parts of the app in the order of their dependencies. */
async function composeApp({ config, subscribers, log, tracing, database }: Parts): Promise<App> {
  const { db } = database;
  if (config.databaseTransactionPooler)
    for (const limit of await findMissingTimeouts(db))
      log.warn({ limit }, 'the database role has no time limit: set it by ALTER ROLE … SET');
  const { accessTokenTtlSeconds } = config;
  const keys = await openKeys(db, createEncrypter(config.secretKeys), { accessTokenTtlSeconds, log });
  const passwords = createPasswords({
    peppers: config.passwordPeppers,
    cost: config.bcryptCost,
    threads: config.passwordHashThreads,
    onUnverifiableHash(scheme, fault) {
      log.warn({ scheme, fault }, 'unverifiable password hash');
      metrics.unverifiableHash(scheme, fault);
    },
  });
  const metrics: Metrics = createMetrics({ hashesWaiting: passwords.waiting, pool: database.connections });
  const messages = await createMessages({ config, db, log, outboxKey: keys.outbox, tracing, metrics });
  const { settle, ...dispatcher } = createEventDispatcher(db, log);
  return {
    config,
    log,
    db,
    keys,
    passwords,
    metrics,
    tracing,
    deliver: messages.deliver,
    channels: messages.channels,
    bootstrapSecret: config.bootstrapSecret ?? (config.production ? null : randomToken(32)),
    subscribers,
    ...dispatcher,
    async outbox() {
      await settle();
      return messages.readOutbox();
    },
    isUnavailable: (error) => error instanceof PasswordPoolBusyError || isDatabaseUnavailable(error),
    ping: () => ping(db),
    async close() {
      keys.close();
      await settle();
      await database.close();
      await tracing.close();
    },
  };
}

/** Traces a statement by its name, or by its verb and its table: never by its text or its parameters. */
function traceStatement({ withSpan }: Tracing): InstrumentStatement {
  return (name, run) =>
    withSpan({ name, kind: 'client', attributes: { 'db.system.name': 'postgresql' } }, async (span) => {
      try {
        return await run();
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        span.fail(String(code ?? 'unavailable'));
        throw error;
      }
    });
}
