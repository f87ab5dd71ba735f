/** Statements about the throttle of sign-ins. */
import { eq, sql } from 'drizzle-orm';
import { type Reservation, reservation } from './attempts.js';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import { signInThrottles } from './schema.js';

/**
 * Reserves an attempt on each of the keys. To be rolled back unless every one is reserved.
 * @param throttles in an order that is the same for all, so that no two transactions wait for each other
 */
export async function reserveSignIn(
  tx: Database,
  throttles: { key: Buffer; schedule: number[] }[],
  attemptId: string,
): Promise<Reservation[]> {
  const prepared = prepareCached(tx, 'reserve_sign_in', (tx) => {
    const schedule = sql`${sql.placeholder('schedule')}::int[]`;
    const { first, further, returning } = reservation(signInThrottles, schedule, sql`${sql.placeholder('attemptId')}`);
    return tx
      .insert(signInThrottles)
      .values({ key: sql.placeholder('key'), ...first })
      .onConflictDoUpdate({ target: signInThrottles.key, set: further })
      .returning(returning);
  });
  const reservations: Reservation[] = [];
  for (const { key, schedule } of throttles) {
    reservations.push(onlyRow(await prepared.execute({ key, schedule: `{${schedule}}`, attemptId })));
  }
  return reservations;
}

/** @param keys in the same order as for {@link reserveSignIn} */
export async function clearSignInThrottles(tx: Database, keys: Buffer[]): Promise<void> {
  const prepared = prepareCached(tx, 'clear_sign_in_throttle', (tx) =>
    tx.delete(signInThrottles).where(eq(signInThrottles.key, sql.placeholder('key'))),
  );
  for (const key of keys) await prepared.execute({ key });
}
