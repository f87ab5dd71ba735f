/** Work that may outlast a request: audit events, background work, and waits for providers. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { insertAuditEvents, type NewAuditEvent } from '../database/audit-events.queries.js';
import type { Database } from '../database/database.js';
import { DeliveryError } from '../delivery/delivery.js';

export interface EventDispatcher {
  /**
   * Records an audit event without a change: logs it immediately, and writes it to the database in
   * a batch.
   */
  record(event: NewAuditEvent): void;
  /** Starts work that the response does not wait for. Logs its failure. */
  inBackground(work: Promise<void>): void;
  /** Waits for a provider. Admission control does not count the request meanwhile. */
  waitForProvider(work: Promise<void>): Promise<void>;
  /** Returns the number of requests that wait for a provider. */
  waitingForProvider(): number;
  /** Writes the queued audit events, and waits for the background work. */
  settle(): Promise<void>;
}

/** Creates the dispatcher of an app. The app calls `settle` before it closes the database. */
export function createEventDispatcher(db: Database, log: Logger): EventDispatcher {
  const background = new Set<Promise<void>>();
  let waitingForProvider = 0;
  const inBackground = (work: Promise<void>) => {
    const logged = work
      .catch((error) => {
        // The delivery layer has already logged the failure.
        if (!(error instanceof DeliveryError)) log.warn({ err: error }, 'background work failed');
      })
      .finally(() => background.delete(logged));
    background.add(logged);
  };
  const auditTrail = createAuditTrail(db, log, inBackground);
  return {
    record: auditTrail.record,
    inBackground,
    async waitForProvider(work) {
      waitingForProvider += 1;
      await work.finally(() => {
        waitingForProvider -= 1;
      });
    },
    waitingForProvider: () => waitingForProvider,
    async settle() {
      auditTrail.flush();
      await Promise.all(background);
    },
  };
}

/** The maximum time that an audit event waits for its batch. */
const auditDelayMilliseconds = 50;
/**
 * The maximum number of queued events. A flood of rejected attempts must not block connections; the
 * log has all.
 */
const maxWaitingEvents = 1_000;

function createAuditTrail(db: Database, log: Logger, inBackground: EventDispatcher['inBackground']) {
  let waiting: NewAuditEvent[] = [];
  let skipDelay = new AbortController();
  let lastWrite: Promise<void> = Promise.resolve();
  const write = async () => {
    await delay(auditDelayMilliseconds, undefined, { signal: skipDelay.signal }).catch(() => {});
    skipDelay = new AbortController();
    // Two batches at once would give a later attempt the smaller id.
    await lastWrite.catch(() => {});
    const events = waiting;
    waiting = [];
    lastWrite = insertAuditEvents(db, events);
    await lastWrite;
  };
  return {
    record(event: NewAuditEvent) {
      log.info({ audit: event }, 'security event');
      if (waiting.length >= maxWaitingEvents) return;
      if (waiting.push(event) === 1) inBackground(write());
    },
    /** Writes the queued events without delay. */
    flush() {
      if (waiting.length > 0) skipDelay.abort();
    },
  };
}
