/** Statements about one-time passwords: made, checked, spent, void. */
import { and, eq, gt, isNotNull, type SQL, sql } from 'drizzle-orm';
import { type Reservation, reservation } from './attempts.js';
import { type Database, statement } from './database.js';
import { now, type OneTimePasswordPurpose, oneTimePasswords, storedNow } from './schema.js';

export interface OneTimePasswordAttempt extends Reservation {
  /** null where none is live */
  codeDigest: Buffer | null;
  userId: string | null;
}

/**
 * Reserves an attempt at the one-time password of a token and purpose, in one statement and before anything is compared.
 * @param schedule seconds to wait after the first, second … failure
 */
export async function reserveCheck(
  db: Database,
  attempt: { tokenId: string; purpose: OneTimePasswordPurpose; schedule: number[]; attemptId: string },
): Promise<OneTimePasswordAttempt> {
  const prepared = statement(db, 'reserve_check', (db) => {
    const { first, further, returning } = reservation(
      oneTimePasswords,
      sql`${sql.placeholder('schedule')}::int[]`,
      sql`${sql.placeholder('attemptId')}`,
    );
    return db
      .insert(oneTimePasswords)
      .values({ tokenId: sql.placeholder('tokenId'), purpose: sql.placeholder('purpose'), ...first })
      .onConflictDoUpdate({ target: [oneTimePasswords.tokenId, oneTimePasswords.purpose], set: further })
      .returning({
        ...returning,
        userId: oneTimePasswords.userId,
        codeDigest:
          sql<Buffer | null>`case when ${oneTimePasswords.expiresAt} > ${now} then ${oneTimePasswords.codeDigest} end`.mapWith(
            oneTimePasswords.codeDigest,
          ),
      });
  });
  const [row] = await prepared.execute({ ...attempt, schedule: `{${attempt.schedule}}` });
  return row as OneTimePasswordAttempt;
}

/** Spends the one-time password and clears its count, if it is still the live one. @returns whether it was */
export async function spendOneTimePassword(
  db: Database,
  { tokenId, purpose, codeDigest }: { tokenId: string; purpose: OneTimePasswordPurpose; codeDigest: Buffer },
): Promise<boolean> {
  const spent = await db
    .update(oneTimePasswords)
    .set({ codeDigest: null, expiresAt: null, failureCount: 0, retryAt: null, updatedAt: now })
    .where(
      and(
        eq(oneTimePasswords.tokenId, tokenId),
        eq(oneTimePasswords.purpose, purpose),
        eq(oneTimePasswords.codeDigest, codeDigest),
      ),
    )
    .returning({ tokenId: oneTimePasswords.tokenId });
  return spent.length > 0;
}

/**
 * Puts a one-time password in the place of the one before it; the failure count stays. Without a user the same is done and nothing is live after it.
 * @returns when it expires, or would
 */
export async function putOneTimePassword(
  db: Database,
  password: {
    tokenId: string;
    purpose: OneTimePasswordPurpose;
    ttlSeconds: number;
    live: { userId: string; codeDigest: Buffer } | null;
  },
): Promise<Date> {
  const expiresAt: SQL<Date> = sql<Date>`${now} + make_interval(secs => ${password.ttlSeconds})`;
  const values = {
    userId: password.live?.userId ?? null,
    codeDigest: password.live?.codeDigest ?? null,
    expiresAt: password.live ? expiresAt : null,
    updatedAt: now,
  };
  const [row] = await db
    .insert(oneTimePasswords)
    .values({ tokenId: password.tokenId, purpose: password.purpose, ...values })
    .onConflictDoUpdate({ target: [oneTimePasswords.tokenId, oneTimePasswords.purpose], set: values })
    .returning({ expiresAt: sql<Date>`(${expiresAt})::timestamptz(3)`.mapWith(oneTimePasswords.expiresAt) });
  return row!.expiresAt;
}

/** Makes every other live one-time password of the user void. */
export async function voidOneTimePasswords(tx: Database, userId: string): Promise<void> {
  await tx
    .update(oneTimePasswords)
    .set({ codeDigest: null, expiresAt: null, updatedAt: now })
    .where(and(eq(oneTimePasswords.userId, userId), isNotNull(oneTimePasswords.codeDigest)));
}

/** Takes back a reserved attempt that is not to count, unless another has been reserved since. */
export async function returnAttempt(
  db: Database,
  { tokenId, purpose, attemptId }: { tokenId: string; purpose: OneTimePasswordPurpose; attemptId: string },
): Promise<void> {
  await db
    .update(oneTimePasswords)
    .set({
      failureCount: sql`${oneTimePasswords.failureCount} - 1`,
      retryAt: sql`case when ${oneTimePasswords.failureCount} > 1 then ${storedNow} end`,
    })
    .where(
      and(
        eq(oneTimePasswords.tokenId, tokenId),
        eq(oneTimePasswords.purpose, purpose),
        eq(oneTimePasswords.attemptId, attemptId),
        gt(oneTimePasswords.failureCount, 0),
      ),
    );
}

/** Makes a one-time password void that was never received, unless it has been replaced. */
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

/** Frees a security token from its timeout, for every purpose. What is live stays so. */
export async function clearFailures(db: Database, tokenId: string): Promise<void> {
  await db
    .update(oneTimePasswords)
    .set({ failureCount: 0, retryAt: null, updatedAt: now })
    .where(eq(oneTimePasswords.tokenId, tokenId));
}
