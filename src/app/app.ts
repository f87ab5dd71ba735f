/**
 * The composition root: creates the services of the domain from the configuration, and selects
 * their implementations.
 */
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
 * Handles the events of a transaction. The entry points provide subscribers, so this module imports
 * no domain.
 * The domain defines `Batch`: its `transact` passes the batches, and its modules subscribe.
 */
export interface Subscriber<Batch = unknown> {
  /** Writes rows in the transaction of the events. An error rolls the transaction back. */
  beforeCommit?(tx: Database, batch: Batch): Promise<void>;
  /** Starts work that may be lost in a crash. Must not throw, because the change is committed. */
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
  /** the available channels: sign-up rejects addresses of other kinds */
  channels: Messages['channels'];
  /** authorises the creation of the first superuser; null disables it */
  bootstrapSecret: string | null;
  subscribers: readonly Subscriber[];
  /** Reads the captured messages, newest first, after the background work has ended. */
  outbox(): Promise<(OutboxMessage & { sentAt: Date })[]>;
  /** Returns whether the error is temporary: a full queue or an unavailable database. */
  isUnavailable(error: unknown): boolean;
  /** Rejects if the database does not respond. */
  ping(): Promise<void>;
  /** Waits for the background work, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens and migrates the database, and reads or creates its keys.
 * @throws {StartupError} if another process has the embedded database open, or if the database is
 * newer
 * @throws {UnknownKeyError} if the database has keys of another `SECRET_KEY`
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

/** Longer than 40 lines, because it lists the parts of the app by dependency. */
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

/**
 * Traces a statement by its name, or by its verb and table. Traces contain no text and no
 * parameters.
 */
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
