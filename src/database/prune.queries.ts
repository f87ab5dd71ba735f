/** Statements that delete expired rows. */
import { type SQL, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { Database } from './database.js';
import {
  auditEvents,
  now,
  oneTimePasswords,
  outboxMessages,
  rateLimitEvents,
  secondsAgo,
  sessions,
  signInThrottles,
} from './schema.js';

/** Rows per statement. A small batch holds its locks briefly. */
const batchSize = 5_000;

/** Seconds to keep rows after their last use. */
export interface Retention {
  sessions: number;
  failureCounters: number;
  rateLimitEvents: number;
  outboxMessages: number;
  auditEvents: number;
}

/** Conditions of expired rows, by table. */
const expired = (kept: Retention): [name: string, table: PgTable, where: SQL][] => [
  [
    'sessions',
    sessions,
    sql`created_at < ${secondsAgo(kept.sessions)} and (least(expires_at, idle_expires_at) < ${now} or revoked_at is not null)`,
  ],
  [
    'oneTimePasswords',
    oneTimePasswords,
    sql`updated_at < ${secondsAgo(kept.failureCounters)} and coalesce(greatest(retry_at, expires_at) < ${now}, true)`,
  ],
  ['signInThrottles', signInThrottles, sql`updated_at < ${secondsAgo(kept.failureCounters)}`],
  ['rateLimitEvents', rateLimitEvents, sql`occurred_at < ${secondsAgo(kept.rateLimitEvents)}`],
  ['outboxMessages', outboxMessages, sql`sent_at < ${secondsAgo(kept.outboxMessages)}`],
  ['auditEvents', auditEvents, sql`occurred_at < ${secondsAgo(kept.auditEvents)}`],
];

/** @returns the number of deleted rows, by table */
export async function deleteExpired(db: Database, kept: Retention): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [name, table, where] of expired(kept)) {
    counts[name] = 0;
    for (let deleted = batchSize; deleted === batchSize; counts[name] += deleted) {
      const rows = await db
        .delete(table)
        .where(sql`ctid in (select ctid from ${table} where ${where} limit ${batchSize})`)
        .returning({ one: sql`1` });
      deleted = rows.length;
    }
  }
  return counts;
}
