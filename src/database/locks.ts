/** Advisory locks, by which processes wait for each other. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** The first number of each lock: other programs may lock the same second numbers. */
const lockSpace = 7_213_550;
const lockNumbers = { migration: 1, keys: 2, superusers: 3, imports: 4 } as const;

/** Waits until no other transaction holds the lock, and holds it to the end of this one. */
export async function acquireLock(tx: Database, lock: keyof typeof lockNumbers): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockSpace}::int, ${lockNumbers[lock]}::int)`);
}
