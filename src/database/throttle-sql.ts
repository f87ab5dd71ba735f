/** The reservation of an attempt on something throttled, as the `set` of an upsert; one-time passwords and sign-ins share it. */
import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { readAs } from './rows.js';
import { now, storedNow } from './schema.js';

interface ThrottledTable {
  failureCount: PgColumn;
  retryAt: PgColumn;
  attemptId: PgColumn;
}

/** The outcome of an attempt to reserve. Where it was not reserved, nothing was counted. */
export interface Reservation {
  reserved: boolean;
  failureCount: number;
  retryAt: Date;
  retryAfterSeconds: number;
}

/**
 * The values of a first failure, and what a further one sets: counted in advance, so that of any number of attempts at once one is evaluated.
 * @param schedule seconds to wait after the first, second … failure; the last holds for all that follow
 * @param attemptId made for this attempt alone
 */
export function reserveAttemptSql(table: ThrottledTable, schedule: SQL, attemptId: SQL | string) {
  const open = sql`coalesce(${table.retryAt} <= ${now}, true)`;
  const wait = (count: SQL) => sql`make_interval(secs => (${schedule})[least(${count}, cardinality(${schedule}))])`;
  const next = sql`${table.failureCount} + 1`;
  return {
    onInsert: { failureCount: 1, retryAt: sql`${storedNow} + ${wait(sql`1`)}`, attemptId: sql`${attemptId}::uuid` },
    onConflict: {
      failureCount: sql`case when ${open} then ${next} else ${table.failureCount} end`,
      retryAt: sql`case when ${open} then ${storedNow} + ${wait(next)} else ${table.retryAt} end`,
      attemptId: sql`case when ${open} then excluded.attempt_id else ${table.attemptId} end`,
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
