/** Statements on notices that are sent later. */
import { sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { delayedNotices, now, type SecurityTokenKind, seconds } from './schema.js';

export async function insertDelayedNotice(
  tx: Database,
  notice: { userId: string; addressKind: SecurityTokenKind; delaySeconds: number },
): Promise<void> {
  const { userId, addressKind, delaySeconds } = notice;
  await tx.insert(delayedNotices).values({ userId, addressKind, dueAt: sql`${now} + ${seconds(delaySeconds)}` });
}

/**
 * Deletes up to `limit` notices that are due, and returns them to send.
 * Processes that run it at once take different ones.
 */
export async function takeDueNotices(
  db: Database,
  limit: number,
): Promise<{ userId: string; addressKind: SecurityTokenKind }[]> {
  return db
    .delete(delayedNotices)
    .where(
      sql`${delayedNotices.id} in (select id from ${delayedNotices} where due_at <= ${now} order by due_at limit ${limit} for update skip locked)`,
    )
    .returning({ userId: delayedNotices.userId, addressKind: delayedNotices.addressKind });
}
