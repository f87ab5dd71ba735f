/** Rate limits: at most N events of a key in any window of a given length. */
import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow, readAs } from './rows.js';
import { now, rateLimitEvents, seconds, secondsAgo, storedNow } from './schema.js';

export interface RateLimit {
  key: Buffer;
  windows: { count: number; seconds: number }[];
}

export interface RateLimited {
  retryAt: Date;
  retryAfterSeconds: number;
}

/** Returns the limits that have windows. */
export function effectiveLimits(limits: RateLimit[]): RateLimit[] {
  return limits.filter(({ windows }) => windows.length > 0);
}

/**
 * Counts one event per limit. If any limit is reached, counts none.
 * Exact across processes: transactions with the same key wait for each other.
 * @returns ids of the counted events, or when the next event is allowed
 */
export async function consumeRateLimits(
  tx: Database,
  limits: RateLimit[],
): Promise<{ events: bigint[]; limited?: undefined } | { limited: RateLimited }> {
  const effective = effectiveLimits(limits);
  if (effective.length === 0) return { events: [] };
  // Locks in one global order, so that transactions cannot deadlock.
  // A separate statement, because the counting statement's snapshot must follow the lock.
  const locks = effective.map(({ key }) => key.readBigInt64BE(0)).sort((a, b) => (a < b ? -1 : 1));
  const lock = prepareCached(tx, 'lock_rate_limits', (tx) =>
    tx
      .select({ lock: sql`pg_advisory_xact_lock(lock)` })
      .from(sql`unnest(${sql.placeholder('locks')}::bigint[]) as lock`),
  );
  await lock.execute({ locks: `{${locks}}` });
  const windows = effective.flatMap(({ key, windows }) => windows.map((window) => ({ key, ...window })));
  const consume = prepareCached(tx, 'consume_rate_limits', consumeStatement);
  const rows = await consume.execute({
    keys: hexArray(effective),
    windowKeys: hexArray(windows),
    windowCounts: `{${windows.map(({ count }) => count)}}`,
    windowSeconds: `{${windows.map(({ seconds }) => seconds)}}`,
  });
  const { retryAt, retryAfterSeconds } = onlyRow(rows);
  if (retryAt !== null) return { limited: { retryAt, retryAfterSeconds } };
  return { events: rows.flatMap(({ id }) => id ?? []) };
}

/** Inserts an event per key. If a window is full, returns when the last full window opens. */
function consumeStatement(db: Database) {
  const param = (name: 'keys' | 'windowKeys' | 'windowCounts' | 'windowSeconds') => sql.placeholder(name);
  const reached = sql`select e.occurred_at + make_interval(secs => w.seconds) as retry_at
      from unnest(${param('windowKeys')}::text[], ${param('windowCounts')}::int[], ${param('windowSeconds')}::int[]) as w(key, count, seconds)
      cross join lateral (
        select occurred_at from ${rateLimitEvents}
        where key = decode(w.key, 'hex') and occurred_at > ${now} - make_interval(secs => w.seconds)
        order by occurred_at desc offset w.count - 1 limit 1
      ) e order by retry_at desc limit 1`;
  const counted = sql`insert into ${rateLimitEvents} (key, occurred_at)
      select decode(key, 'hex'), ${storedNow} from unnest(${param('keys')}::text[]) as key where not exists (select from reached) returning id`;
  return db
    .with(db.$with('reached', {}).as(reached), db.$with('counted', {}).as(counted))
    .select({
      id: readAs<bigint | null>(sql`counted.id`, rateLimitEvents.id),
      retryAt: readAs<Date | null>(sql`reached.retry_at`, rateLimitEvents.occurredAt),
      retryAfterSeconds: sql<number>`greatest(1, ceil(extract(epoch from reached.retry_at - ${now})))::int`,
    })
    .from(sql`(select) as one left join counted on true left join reached on true`);
}

function hexArray(keys: { key: Buffer }[]): string {
  return `{${keys.map(({ key }) => key.toString('hex'))}}`;
}

/** The limit of failed attempts of a client, over all accounts. */
export interface AttemptLimit {
  key: Buffer;
  /** 0: no limit */
  count: number;
  /** the length of the window */
  seconds: number;
}

/**
 * Returns SQL for `attempt_limit_reached`: one row with the retry time if the limit is reached.
 * Not serialised: concurrent attempts may exceed the limit by the number of connections.
 */
export function attemptLimitReached({ key, count, seconds: length }: Record<keyof AttemptLimit, SQL>): SQL {
  const retryAt = sql`${rateLimitEvents.occurredAt} + ${seconds(length)}`;
  return sql`select ${retryAt} as retry_at,
      greatest(1, ceil(extract(epoch from ${retryAt} - ${now})))::int as retry_after_seconds
    from ${rateLimitEvents}
    where ${count} > 0 and ${rateLimitEvents.key} = ${key} and ${rateLimitEvents.occurredAt} > ${secondsAgo(length)}
    order by ${rateLimitEvents.occurredAt} desc offset greatest(${count} - 1, 0) limit 1`;
}

/**
 * Counts an attempt of a client.
 * @returns the event to refund on success, or when the next attempt is allowed
 */
export async function consumeAttempt(
  tx: Database,
  limit: AttemptLimit,
): Promise<{ events: bigint[]; limited?: undefined } | { limited: RateLimited }> {
  if (limit.count === 0) return { events: [] };
  const param = (name: keyof AttemptLimit) => sql.placeholder(name);
  const findReached = prepareCached(tx, 'find_attempt_limit_reached', (tx) =>
    tx
      .select({
        retryAt: readAs<Date>(sql`retry_at`, rateLimitEvents.occurredAt),
        retryAfterSeconds: sql<number>`retry_after_seconds`,
      })
      .from(
        sql`(${attemptLimitReached({ key: sql`${param('key')}::bytea`, count: sql`${param('count')}::int`, seconds: sql`${param('seconds')}` })}) as attempt_limit_reached`,
      ),
  );
  const [reached] = await findReached.execute({ ...limit });
  if (reached !== undefined) return { limited: reached };
  const insert = prepareCached(tx, 'insert_attempt', (tx) =>
    tx
      .insert(rateLimitEvents)
      .values({ key: sql.placeholder('key'), occurredAt: storedNow })
      .returning({ id: rateLimitEvents.id }),
  );
  const events = await insert.execute({ key: limit.key });
  return { events: events.map(({ id }) => id) };
}

/** Refunds counted events, for an operation that failed or an attempt that was correct. */
export async function refundRateLimits(db: Database, events: bigint[]): Promise<void> {
  if (events.length === 0) return;
  const prepared = prepareCached(db, 'refund_rate_limits', (db) =>
    db.delete(rateLimitEvents).where(sql`${rateLimitEvents.id} = any(${sql.placeholder('events')}::bigint[])`),
  );
  await prepared.execute({ events: `{${events}}` });
}
