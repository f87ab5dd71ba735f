/** Statements on one-time passwords and their attempt counters. */
import { and, eq, gt, isNotNull, isNull, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { type AttemptLimit, attemptLimitReached } from './rate-limits.queries.js';
import { onlyRow, readAs } from './rows.js';
import { now, type OneTimePasswordPurpose, oneTimePasswords, rateLimitEvents, storedNow } from './schema.js';
import { reserveAttemptSql } from './throttle-sql.js';

/** A reserved attempt, or when the next attempt is allowed. */
export type OneTimePasswordAttempt =
  | {
      reserved: true;
      /** null if no password is live */
      codeDigest: Buffer | null;
      userId: string | null;
      /** the address, if it was not verified when the password was issued */
      unverifiedAddress: string | null;
      /** attempt events of the client, to refund if the password is correct */
      attemptEventIds: bigint[];
    }
  | {
      reserved: false;
      retryAt: Date;
      retryAfterSeconds: number;
      /** null if the limit of the client was reached */
      failureCount: number | null;
      userId: string | null;
    };

/**
 * Reserves an attempt and counts it for the client, in one statement and before any comparison.
 * Exceeds the usual length because it is one statement.
 * @param schedule seconds to wait after the first, second … failure
 */
export async function reserveAttempt(
  db: Database,
  attempt: {
    tokenId: string;
    purpose: OneTimePasswordPurpose;
    schedule: number[];
    attemptId: string;
    limit: AttemptLimit;
  },
): Promise<OneTimePasswordAttempt> {
  const prepared = prepareCached(db, 'reserve_attempt', (db) => {
    const param = (name: string) => sql.placeholder(name);
    const { onInsert, onConflict, returning } = reserveAttemptSql(
      oneTimePasswords,
      sql`${param('schedule')}::int[]`,
      sql`${param('attemptId')}`,
    );
    const limitKey = sql`${param('limitKey')}::bytea`;
    const limitCount = sql`${param('limitCount')}::int`;
    const table = oneTimePasswords;
    // If the limit is reached, the row stays untouched.
    const reached = db
      .$with('attempt_limit_reached', { retryAt: sql`retry_at`, retryAfterSeconds: sql`retry_after_seconds` })
      .as(attemptLimitReached({ key: limitKey, count: limitCount, seconds: sql`${param('limitSeconds')}` }));
    const reserved = db
      .$with('attempt', {})
      .as(sql`insert into ${table} (token_id, purpose, failure_count, retry_at, attempt_id)
        select ${param('tokenId')}::text, ${param('purpose')}::text, 1, ${onInsert.retryAt}, ${onInsert.attemptId}
        where not exists (select from attempt_limit_reached)
        on conflict (token_id, purpose) do update set failure_count = ${onConflict.failureCount}, retry_at = ${onConflict.retryAt},
          attempt_id = ${onConflict.attemptId}, updated_at = ${onConflict.updatedAt}
        returning ${returning.reserved} as reserved, ${table.failureCount} as failure_count, ${table.retryAt} as retry_at,
          ${returning.retryAfterSeconds} as retry_after_seconds, ${table.userId} as user_id,
          ${table.unverifiedAddress} as unverified_address,
          case when ${table.expiresAt} > ${now} then ${table.codeDigest} end as code_digest`);
    const event = db
      .$with('event', {})
      .as(sql`insert into ${rateLimitEvents} (key, occurred_at) select ${limitKey}, ${storedNow} from attempt
        where attempt.reserved and ${limitCount} > 0 returning ${rateLimitEvents.id} as id`);
    return db
      .with(reached, reserved, event)
      .select({
        reserved: sql<boolean>`coalesce(attempt.reserved, false)`,
        failureCount: sql<number | null>`attempt.failure_count`,
        retryAt: readAs<Date>(sql`coalesce(attempt.retry_at, attempt_limit_reached.retry_at)`, table.retryAt),
        retryAfterSeconds: sql<number>`coalesce(attempt.retry_after_seconds, attempt_limit_reached.retry_after_seconds)`,
        userId: sql<string | null>`attempt.user_id`,
        unverifiedAddress: sql<string | null>`attempt.unverified_address`,
        codeDigest: readAs<Buffer | null>(sql`attempt.code_digest`, table.codeDigest),
        attemptEventId: readAs<bigint | null>(sql`event.id`, rateLimitEvents.id),
      })
      .from(
        sql`(select) as one left join attempt on true left join event on true left join attempt_limit_reached on true`,
      );
  });
  const { tokenId, purpose, attemptId, limit } = attempt;
  const rows = await prepared.execute({
    tokenId,
    purpose,
    attemptId,
    schedule: `{${attempt.schedule}}`,
    limitKey: limit.key,
    limitCount: limit.count,
    limitSeconds: limit.seconds,
  });
  const { attemptEventId, ...rest } = onlyRow(rows);
  // Invariant: a reserved attempt has a row, hence a failure count.
  return { ...rest, attemptEventIds: attemptEventId === null ? [] : [attemptEventId] } as OneTimePasswordAttempt;
}

/**
 * Consumes the one-time password if it is still live, and clears its failure count.
 * @returns whether it was live
 */
export async function consumeOneTimePassword(
  db: Database,
  { counterId, purpose, codeDigest }: { counterId: string; purpose: OneTimePasswordPurpose; codeDigest: Buffer },
): Promise<boolean> {
  const prepared = prepareCached(db, 'consume_one_time_password', (db) =>
    db
      .update(oneTimePasswords)
      .set({ codeDigest: null, expiresAt: null, failureCount: 0, retryAt: null, updatedAt: now })
      .where(
        and(
          eq(oneTimePasswords.tokenId, sql.placeholder('tokenId')),
          eq(oneTimePasswords.purpose, sql.placeholder('purpose')),
          eq(oneTimePasswords.codeDigest, sql.placeholder('codeDigest')),
        ),
      )
      .returning({ tokenId: oneTimePasswords.tokenId }),
  );
  const consumed = await prepared.execute({ tokenId: counterId, purpose, codeDigest });
  return consumed.length > 0;
}

/**
 * Replaces the one-time password and keeps the failure count.
 * Without a user the same statement runs, and no password is live afterwards; except one that was
 * sent to an unverified address, because no request may void what a mailbox was sent.
 * @returns when the password expires, or would expire
 */
export async function replaceOneTimePassword(
  db: Database,
  password: {
    tokenId: string;
    purpose: OneTimePasswordPurpose;
    ttlSeconds: number;
    live: { userId: string; codeDigest: Buffer; unverifiedAddress: string | null } | null;
  },
): Promise<Date> {
  const { live, ...rest } = password;
  const prepared = prepareCached(db, 'replace_one_time_password', (db) => {
    const expiresAt: SQL<Date> = sql<Date>`${now} + make_interval(secs => ${sql.placeholder('ttlSeconds')}::int)`;
    const userId = sql`${sql.placeholder('userId')}::uuid`;
    const isKept = sql`${userId} is null and ${oneTimePasswords.unverifiedAddress} is not null`;
    const unlessKept = (value: SQL, kept: SQLWrapper) => sql`case when ${isKept} then ${kept} else ${value} end`;
    const values = {
      userId,
      codeDigest: sql`${sql.placeholder('codeDigest')}::bytea`,
      expiresAt: sql`case when ${userId} is not null then ${expiresAt} end`,
      unverifiedAddress: sql`${sql.placeholder('unverifiedAddress')}::text`,
      updatedAt: now,
    };
    return db
      .insert(oneTimePasswords)
      .values({ tokenId: sql.placeholder('tokenId'), purpose: sql.placeholder('purpose'), ...values })
      .onConflictDoUpdate({
        target: [oneTimePasswords.tokenId, oneTimePasswords.purpose],
        set: {
          userId: unlessKept(userId, oneTimePasswords.userId),
          codeDigest: unlessKept(values.codeDigest, oneTimePasswords.codeDigest),
          expiresAt: unlessKept(values.expiresAt, oneTimePasswords.expiresAt),
          unverifiedAddress: unlessKept(values.unverifiedAddress, oneTimePasswords.unverifiedAddress),
          updatedAt: now,
        },
      })
      .returning({ expiresAt: sql<Date>`(${expiresAt})::timestamptz(3)`.mapWith(oneTimePasswords.expiresAt) });
  });
  const owner = {
    userId: live?.userId ?? null,
    codeDigest: live?.codeDigest ?? null,
    unverifiedAddress: live?.unverifiedAddress ?? null,
  };
  return onlyRow(await prepared.execute({ ...rest, ...owner })).expiresAt;
}

/**
 * Voids the live one-time passwords of the user, except those sent to unverified addresses.
 * Otherwise the creator of an unowned account could void what the reader of the address got.
 */
export async function voidOneTimePasswords(tx: Database, userId: string): Promise<void> {
  await tx
    .update(oneTimePasswords)
    .set({ codeDigest: null, expiresAt: null, updatedAt: now })
    .where(
      and(
        eq(oneTimePasswords.userId, userId),
        isNotNull(oneTimePasswords.codeDigest),
        isNull(oneTimePasswords.unverifiedAddress),
      ),
    );
}

/** Refunds a reserved attempt, unless a later attempt was reserved. */
export async function refundAttempt(
  db: Database,
  { counterId, purpose, attemptId }: { counterId: string; purpose: OneTimePasswordPurpose; attemptId: string },
): Promise<void> {
  await db
    .update(oneTimePasswords)
    .set({
      failureCount: sql`${oneTimePasswords.failureCount} - 1`,
      retryAt: sql`case when ${oneTimePasswords.failureCount} > 1 then ${storedNow} end`,
    })
    .where(
      and(
        eq(oneTimePasswords.tokenId, counterId),
        eq(oneTimePasswords.purpose, purpose),
        eq(oneTimePasswords.attemptId, attemptId),
        gt(oneTimePasswords.failureCount, 0),
      ),
    );
}

/** Voids a one-time password that was not delivered, unless it was replaced. */
export async function voidOneTimePassword(
  db: Database,
  { tokenId, purpose, codeDigest }: { tokenId: string; purpose: OneTimePasswordPurpose; codeDigest: Buffer },
): Promise<void> {
  await db
    .update(oneTimePasswords)
    .set({ codeDigest: null, expiresAt: null, updatedAt: now })
    .where(
      and(
        eq(oneTimePasswords.tokenId, tokenId),
        eq(oneTimePasswords.purpose, purpose),
        eq(oneTimePasswords.codeDigest, codeDigest),
      ),
    );
}

/** Clears the failed attempts of a security token for every purpose. Live passwords stay live. */
export async function clearFailures(db: Database, tokenId: string): Promise<void> {
  await db
    .update(oneTimePasswords)
    .set({ failureCount: 0, retryAt: null, updatedAt: now })
    .where(eq(oneTimePasswords.tokenId, tokenId));
}
