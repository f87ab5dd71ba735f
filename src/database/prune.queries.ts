/** Statements that remove what has expired. */
import { type SQL, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { Database } from './database.js';
import { auditEvents, oneTimePasswords, outboxMessages, rateLimitEvents, sessions, signInThrottles } from './schema.js';

/** How many rows one statement removes: none holds its locks for long. */
const batchSize = 5_000;

const ago = (interval: string) => sql.raw(`statement_timestamp() - interval '${interval}'`);

/** What each table is rid of. A count of failures is kept for 30 days without an attempt, far longer than its longest wait. */
const expired = (auditDays: number): [name: string, table: PgTable, where: SQL][] => [
  // Ended ones tell for 30 days where their user has signed in from.
  [
    'sessions',
    sessions,
    sql`created_at < ${ago('30 days')} and (least(expires_at, idle_expires_at) < ${ago('0')} or revoked_at is not null)`,
  ],
  [
    'oneTimePasswords',
    oneTimePasswords,
    sql`updated_at < ${ago('30 days')} and coalesce(greatest(retry_at, expires_at) < ${ago('0')}, true)`,
  ],
  ['signInThrottles', signInThrottles, sql`updated_at < ${ago('30 days')}`],
  ['rateLimitEvents', rateLimitEvents, sql`occurred_at < ${ago('1 day')}`],
  ['outboxMessages', outboxMessages, sql`sent_at < ${ago('7 days')}`],
  ['auditEvents', auditEvents, sql`occurred_at < ${ago(`${auditDays} days`)}`],
];

/** @returns how many rows were removed, by table */
export async function deleteExpired(db: Database, auditDays: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [name, table, where] of expired(auditDays)) {
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
