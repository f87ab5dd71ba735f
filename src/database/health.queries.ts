/** Statements on the database itself: reachability and settings. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { timeoutSettings } from './timeouts.js';

/** Returns when the database has answered. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`);
}

/** Returns the names of the timeouts that are off for this connection. */
export async function findMissingTimeouts(db: Database): Promise<string[]> {
  const rows = await db
    .select({ name: sql<string>`name` })
    .from(sql`pg_settings`)
    .where(sql`name in ${timeoutSettings} and setting = '0'`);
  return rows.map(({ name }) => name);
}
