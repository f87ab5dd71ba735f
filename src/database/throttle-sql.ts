/** SQL that reserves a throttled attempt. One-time passwords and password sign-ins share it. */
import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { readAs } from './rows.js';
import { now, storedNow } from './schema.js';

interface ThrottledTable {
  failureCount: PgColumn;
  retryAt: PgColumn;
  attemptId: PgColumn;
}

/** The outcome of a reservation. If `reserved` is false, nothing was counted. */
export interface Reservation {
  reserved: boolean;
  failureCount: number;
  retryAt: Date;
  retryAfterSeconds: number;
}

/**
 * Returns the values that reserve an attempt by an upsert: `onInsert` for the first failure,
 * `onConflict` for later ones. Counts before comparing, so only one of N concurrent attempts is
 * evaluated.
 * @param schedule seconds to wait after the first, second … failure; the last value repeats
 * @param attemptId unique to this attempt
 */
export function reserveAttemptSql(table: ThrottledTable, schedule: SQL, attemptId: SQL | string) {
  const isOpen = sql`coalesce(${table.retryAt} <= ${now}, true)`;
  const wait = (count: SQL) => sql`make_interval(secs => (${schedule})[least(${count}, cardinality(${schedule}))])`;
  const next = sql`${table.failureCount} + 1`;
  return {
    onInsert: { failureCount: 1, retryAt: sql`${storedNow} + ${wait(sql`1`)}`, attemptId: sql`${attemptId}::uuid` },
    onConflict: {
      failureCount: sql`case when ${isOpen} then ${next} else ${table.failureCount} end`,
      retryAt: sql`case when ${isOpen} then ${storedNow} + ${wait(next)} else ${table.retryAt} end`,
      attemptId: sql`case when ${isOpen} then excluded.attempt_id else ${table.attemptId} end`,
      updatedAt: now,
    },
    returning: {
      reserved: sql<boolean>`${table.attemptId} = ${attemptId}::uuid`,
      failureCount: sql<number>`${table.failureCount}`,
      retryAt: readAs<Date>(sql`${table.retryAt}`, table.retryAt),
      retryAfterSeconds: sql<number>`greatest(1, ceil(extract(epoch from ${table.retryAt} - ${now})))::int`,
    },
  };
}
