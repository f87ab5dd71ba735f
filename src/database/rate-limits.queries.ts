/** The limits of a rate: so many events of a key in so many seconds, in every window of that length. */
import { and, desc, eq, gt, inArray, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { now, rateLimitEvents, storedNow } from './schema.js';

export interface RateLimit {
  key: Buffer;
  windows: { count: number; seconds: number }[];
}

export interface RateLimited {
  retryAt: Date;
  retryAfterSeconds: number;
}

/**
 * Counts one event for each of the limits, unless one of them is reached: then none is counted.
 * Exact among any number of processes: whoever asks for the same key waits for the other's answer.
 * @returns the events counted, or when the next one would be
 */
export async function takeRateLimits(
  db: Database,
  limits: RateLimit[],
): Promise<{ events: bigint[]; limited?: undefined } | { limited: RateLimited }> {
  const effective = limits.filter(({ windows }) => windows.length > 0);
  if (effective.length === 0) return { events: [] };
  return db.transaction(async (tx) => {
    // In the order of the numbers, so that no two wait for each other.
    const locks = effective.map(({ key }) => key.readBigInt64BE(0)).sort((a, b) => (a < b ? -1 : 1));
    for (const lock of locks) await tx.execute(sql`select pg_advisory_xact_lock(${String(lock)}::bigint)`);
    let limited: RateLimited | undefined;
    for (const { key, windows } of effective) {
      for (const { count, seconds } of windows) {
        const since = sql`${now} - make_interval(secs => ${seconds})`;
        const [nth] = await tx
          .select({
            retryAt: sql<Date>`${rateLimitEvents.occurredAt} + make_interval(secs => ${seconds})`.mapWith(
              rateLimitEvents.occurredAt,
            ),
            retryAfterSeconds: sql<number>`greatest(1, ceil(extract(epoch from ${rateLimitEvents.occurredAt} - (${since}))))::int`,
          })
          .from(rateLimitEvents)
          .where(and(eq(rateLimitEvents.key, key), gt(rateLimitEvents.occurredAt, since)))
          .orderBy(desc(rateLimitEvents.occurredAt))
          .offset(count - 1)
          .limit(1);
        if (nth !== undefined && (limited === undefined || nth.retryAt > limited.retryAt)) limited = nth;
      }
    }
    if (limited !== undefined) return { limited };
    const events = await tx
      .insert(rateLimitEvents)
      .values(effective.map(({ key }) => ({ key, occurredAt: storedNow })))
      .returning({ id: rateLimitEvents.id });
    return { events: events.map(({ id }) => id) };
  });
}

/** Gives back what was counted for something that did not take place. */
export async function giveBackRateLimits(db: Database, events: bigint[]): Promise<void> {
  if (events.length > 0) await db.delete(rateLimitEvents).where(inArray(rateLimitEvents.id, events));
}
