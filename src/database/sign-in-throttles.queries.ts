/** Statements on the attempt counters of password sign-ins. */
import { eq, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import { signInThrottles } from './schema.js';
import { type Reservation, reserveAttemptSql } from './throttle-sql.js';

/**
 * Reserves an attempt on each key. The caller rolls back unless all are reserved.
 * @param throttles in one global order, so that transactions cannot deadlock
 */
export async function reserveSignInAttempts(
  tx: Database,
  throttles: { key: Buffer; schedule: number[] }[],
  attemptId: string,
): Promise<Reservation[]> {
  const prepared = prepareCached(tx, 'reserve_sign_in_attempts', (tx) => {
    const schedule = sql`${sql.placeholder('schedule')}::int[]`;
    const { onInsert, onConflict, returning } = reserveAttemptSql(
      signInThrottles,
      schedule,
      sql`${sql.placeholder('attemptId')}`,
    );
    return tx
      .insert(signInThrottles)
      .values({ key: sql.placeholder('key'), ...onInsert })
      .onConflictDoUpdate({ target: signInThrottles.key, set: onConflict })
      .returning(returning);
  });
  const reservations: Reservation[] = [];
  for (const { key, schedule } of throttles) {
    reservations.push(onlyRow(await prepared.execute({ key, schedule: `{${schedule}}`, attemptId })));
  }
  return reservations;
}

/**
 * Deletes the counters.
 * @param keys in the order of {@link reserveSignInAttempts}
 */
export async function clearSignInThrottles(tx: Database, keys: Buffer[]): Promise<void> {
  const prepared = prepareCached(tx, 'clear_sign_in_throttle', (tx) =>
    tx.delete(signInThrottles).where(eq(signInThrottles.key, sql.placeholder('key'))),
  );
  for (const key of keys) await prepared.execute({ key });
}
