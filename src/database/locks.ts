/** Advisory locks, which serialize work across processes. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** Namespace of the locks: other programs may use the same second number. */
const lockSpace = 7_213_550;
const lockNumbers = { migration: 1, keys: 2, superusers: 3, imports: 4 } as const;

/** A lock by name, or the lock of an address by the id of its security token. */
export type Lock = keyof typeof lockNumbers | { tokenId: string };

/** Acquires the lock until the transaction ends. Waits while another transaction holds it. */
export async function acquireLock(tx: Database, lock: Lock): Promise<void> {
  if (typeof lock === 'object')
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock.tokenId}, ${lockSpace}::bigint))`);
  else await tx.execute(sql`select pg_advisory_xact_lock(${lockSpace}::int, ${lockNumbers[lock]}::int)`);
}
