/** Statements about the throttle of sign-ins. */
import { eq, sql } from 'drizzle-orm';
import { type Reservation, reservation } from './attempts.js';
import type { Database } from './database.js';
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
  const reservations: Reservation[] = [];
  for (const { key, schedule } of throttles) {
    const { first, further, returning } = reservation(signInThrottles, sql`${`{${schedule}}`}::int[]`, attemptId);
    const [row] = await tx
      .insert(signInThrottles)
      .values({ key, ...first })
      .onConflictDoUpdate({ target: signInThrottles.key, set: further })
      .returning(returning);
    reservations.push(row!);
  }
  return reservations;
}

/** @param keys in the same order as for {@link reserveSignIn} */
export async function clearSignInThrottles(tx: Database, keys: Buffer[]): Promise<void> {
  for (const key of keys) await tx.delete(signInThrottles).where(eq(signInThrottles.key, key));
}
