/** Statements about the messages that are kept in place of sending. */
import { desc } from 'drizzle-orm';
import type { Database } from './database.js';
import { outboxMessages } from './schema.js';

export async function insertOutboxMessage(db: Database, sealedMessage: Buffer): Promise<void> {
  await db.insert(outboxMessages).values({ sealedMessage });
}

/** The messages kept last, newest first. */
export async function findOutboxMessages(
  db: Database,
  limit: number,
): Promise<{ sealedMessage: Buffer; sentAt: Date }[]> {
  return db
    .select({ sealedMessage: outboxMessages.sealedMessage, sentAt: outboxMessages.sentAt })
    .from(outboxMessages)
    .orderBy(desc(outboxMessages.id))
    .limit(limit);
}
