/** Statements on captured messages. */
import { desc } from 'drizzle-orm';
import type { Database } from './database.js';
import { outboxMessages } from './schema.js';

export async function insertOutboxMessage(db: Database, encryptedMessage: Buffer): Promise<void> {
  await db.insert(outboxMessages).values({ encryptedMessage });
}

/** Returns the latest messages, newest first. */
export async function findOutboxMessages(
  db: Database,
  limit: number,
): Promise<{ encryptedMessage: Buffer; sentAt: Date }[]> {
  return db
    .select({ encryptedMessage: outboxMessages.encryptedMessage, sentAt: outboxMessages.sentAt })
    .from(outboxMessages)
    .orderBy(desc(outboxMessages.id))
    .limit(limit);
}
