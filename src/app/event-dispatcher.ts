/** Work that a request starts and does not finish: audit events, background work, and waits for providers. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { insertAuditEvents, type NewAuditEvent } from '../database/audit-events.queries.js';
import type { Database } from '../database/database.js';
import { DeliveryError } from '../delivery/delivery.js';

export interface EventDispatcher {
  /** Writes an audit event that belongs to no change: to the log at once, and to the database soon, together with others. */
  record(event: NewAuditEvent): void;
  /** Starts work that the answer does not wait for. Its failure is logged. */
  inBackground(work: Promise<void>): void;
  /** Waits for a provider. Meanwhile the request needs nothing that others need too. */
  waitForProvider(work: Promise<void>): Promise<void>;
  /** how many requests wait for a provider */
  waitingForProvider(): number;
  /** Writes the waiting audit events at once, and waits for the work in the background. */
  settle(): Promise<void>;
}

/** Makes the dispatcher of an app. The app calls `settle` before it closes the database. */
export function createEventDispatcher(db: Database, log: Logger): EventDispatcher {
  const background = new Set<Promise<void>>();
  let waitingForProvider = 0;
  const inBackground = (work: Promise<void>) => {
    const logged = work
      .catch((error) => {
        // createDelivery has logged a message that was not accepted.
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

/** How long audit events wait for others. */
const auditDelayMilliseconds = 50;
/** How many may wait. A flood of rejected attempts is in the log, and must not take the connections of those who sign in. */
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
    /** Writes the waiting events at once. */
    flush() {
      if (waiting.length > 0) skipDelay.abort();
    },
  };
}
