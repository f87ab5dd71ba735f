/** The one place where implementations are chosen: everything that the domain works with, made from the configuration. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import type { Config } from '../config/load.js';
import { packageFolder } from '../config/package-folder.js';
import { insertAuditEvents, type NewAuditEvent } from '../database/audit-events.queries.js';
import type { Database, InstrumentStatement } from '../database/database.js';
import { findMissingTimeouts, ping } from '../database/health.queries.js';
import { openDatabase } from '../database/open-database.js';
import { findOutboxMessages, insertOutboxMessage } from '../database/outbox.queries.js';
import { isDatabaseUnavailable } from '../database/postgres-errors.js';
import { type AroundMessage, createDelivery, type Deliver, DeliveryError } from '../delivery/delivery.js';
import type { Channel } from '../delivery/message.js';
import { createOutbox, type OutboxMessage } from '../delivery/outbox.js';
import { createMetrics, type Metrics } from '../observability/metrics.js';
import { createTracing, currentTrace, type Tracing } from '../observability/tracing.js';
import { createSealer } from '../security/encryption.js';
import { PasswordPoolBusyError } from '../security/hashing-queue.js';
import { createPasswords, type Passwords } from '../security/passwords.js';
import { randomToken } from '../security/random.js';
import { type Keys, openKeys } from './keys.js';

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

export interface App {
  config: Config;
  log: Logger;
  db: Database;
  keys: Keys;
  passwords: Passwords;
  metrics: Metrics;
  tracing: Tracing;
  deliver: Deliver;
  /** the channels that a message can take: an address of any other kind is refused when it is given */
  channels: ReadonlySet<Channel>;
  /** lets the first superuser be made; null where there is none */
  bootstrapSecret: string | null;
  subscribers: readonly Subscriber[];
  /** Writes an audit event that belongs to no change: to the log at once, and to the database soon, together with others. */
  record(event: NewAuditEvent): void;
  /** Does work that the answer does not wait for; what it fails of is logged. */
  inBackground(work: Promise<void>): void;
  /** Waits for a provider. Meanwhile the request needs nothing that others need too. */
  waitForProvider(work: Promise<void>): Promise<void>;
  /** how many requests wait for a provider */
  waitingForProvider(): number;
  /** The messages kept in place of sending, newest first, those under way included. */
  outbox(): Promise<(OutboxMessage & { sentAt: Date })[]>;
  /** Whether the failure is one of capacity or of a database that is away: the same request may succeed later. */
  isUnavailable(error: unknown): boolean;
  /** Rejects where the database does not answer. */
  ping(): Promise<void>;
  /** Waits for the work in the background, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Opens and migrates the database, reads or makes its keys.
 * @throws {SealedByAnotherKeyError} when the database was used with another `SECRET_KEY`
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
    pooler: config.databasePooler,
    dataDir: config.dataDir,
    packageFolder,
    ...(config.tracing && { instrumentStatement: traceStatement(tracing) }),
    onIdleError: (error) => log.warn({ err: error }, 'a database connection broke'),
  });
  const { db } = database;
  try {
    await database.migrate();
    if (config.databasePooler)
      for (const limit of await findMissingTimeouts(db))
        log.warn({ limit }, 'the role has no limit of time: set it by ALTER ROLE … SET');
    const sealer = createSealer(config.secretKeys);
    const keys = await openKeys(db, sealer, { accessTokenTtlSeconds: config.accessTokenTtlSeconds, log });
    const outboxSealer = createSealer([keys.outbox]);
    const passwords = createPasswords({
      peppers: config.passwordPeppers,
      cost: config.bcryptCost,
      threads: config.passwordThreads,
      onUselessHash(scheme, fault) {
        log.warn({ scheme, fault }, 'a stored password hash can verify nothing');
        metrics.uselessHash(scheme, fault);
      },
    });
    const metrics: Metrics = createMetrics({ hashesWaiting: passwords.waiting, pool: database.connections });
    // The libraries of providers are large, and loaded where they are used only.
    const sendGrid = config.sendGrid && (await import('../delivery/sendgrid.js')).createSendGrid(config.sendGrid);
    const vonage = config.vonage && (await import('../delivery/vonage.js')).createVonage(config.vonage);
    const outbox = createOutbox(async (message) => {
      await insertOutboxMessage(db, outboxSealer.seal(Buffer.from(JSON.stringify(message))));
      log.info({ channel: message.channel, subject: message.subject ?? undefined }, 'message kept in the outbox');
    });
    const background = new Set<Promise<void>>();
    const inBackground = (work: Promise<void>) => {
      const logged = work
        .catch((error) => {
          // A message that was not accepted has been logged where that was seen.
          if (!(error instanceof DeliveryError)) log.warn({ err: error }, 'work in the background failed');
        })
        .finally(() => background.delete(logged));
      background.add(logged);
    };
    const auditTrail = createAuditTrail(db, log, inBackground);
    let waitingForProvider = 0;
    return {
      config,
      log,
      db,
      keys,
      passwords,
      metrics,
      tracing,
      deliver: createDelivery(
        {
          email: sendGrid ? { provider: 'sendgrid', send: sendGrid } : { provider: 'outbox', send: outbox },
          sms: vonage ? { provider: 'vonage', send: vonage } : { provider: 'outbox', send: outbox },
        },
        config.appUrl,
        log,
        countAndTraceMessage(tracing, metrics),
      ),
      channels: new Set<Channel>([
        ...(sendGrid || config.outboxAllowed ? ['email' as const] : []),
        ...(vonage || config.outboxAllowed ? ['sms' as const] : []),
      ]),
      bootstrapSecret: config.bootstrapSecret ?? (config.production ? null : randomToken(32)),
      subscribers,
      record: auditTrail.record,
      inBackground,
      async waitForProvider(work) {
        waitingForProvider += 1;
        await work.finally(() => {
          waitingForProvider -= 1;
        });
      },
      waitingForProvider: () => waitingForProvider,
      async outbox() {
        auditTrail.flush();
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
        auditTrail.flush();
        await Promise.all(background);
        await database.close();
        await tracing.close();
      },
    };
  } catch (error) {
    await database.close();
    await tracing.close();
    throw error;
  }
}

/** A statement by its name, or by what it does to which table: never its text or what it was given. */
function traceStatement({ during }: Tracing): InstrumentStatement {
  return (name, work) =>
    during({ name, kind: 'client', attributes: { 'db.system.name': 'postgresql' } }, async (span) => {
      try {
        return await work();
      } catch (error) {
        span.fail(String((error as { code?: unknown }).code ?? 'unavailable'));
        throw error;
      }
    });
}

/** Each message is counted, and traced without whom it goes to. */
function countAndTraceMessage({ during }: Tracing, metrics: Metrics): AroundMessage {
  return ({ channel, provider, kind }, send) => {
    const attributes = {
      'flex_identity.channel': channel,
      'flex_identity.provider': provider,
      'flex_identity.message': kind,
    };
    return during({ name: `send ${channel}`, kind: 'client', attributes }, async (span) => {
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

/** How long audit events wait for others, and how many may wait: a flood of rejected attempts is in the log, and must not take the connections of those who sign in. */
const auditDelayMilliseconds = 50;
const maxWaitingEvents = 1_000;

function createAuditTrail(db: Database, log: Logger, inBackground: App['inBackground']) {
  let waiting: NewAuditEvent[] = [];
  let hurry = new AbortController();
  const write = async () => {
    await delay(auditDelayMilliseconds, undefined, { signal: hurry.signal }).catch(() => {});
    hurry = new AbortController();
    const events = waiting;
    waiting = [];
    await insertAuditEvents(db, events);
  };
  return {
    record(event: NewAuditEvent) {
      log.info({ audit: event }, 'security event');
      if (waiting.length >= maxWaitingEvents) return;
      if (waiting.push(event) === 1) inBackground(write());
    },
    /** Writes what waits at once. */
    flush() {
      if (waiting.length > 0) hurry.abort();
    },
  };
}

/** The request that is being answered; whatever is logged meanwhile carries its id. */
export const currentRequest = new AsyncLocalStorage<{ requestId: string }>();

export function createLogger(config: Pick<Config, 'logLevel'>): Logger {
  return pino({
    level: config.logLevel,
    serializers: { err: describeError },
    // A new object each time: what is logged is put into it.
    mixin: () => ({ ...currentRequest.getStore(), ...currentTrace() }),
  });
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
