/** Statements about the keys that the database keeps sealed. */
import { asc, eq } from 'drizzle-orm';
import type { Database } from './database.js';
import { keys } from './schema.js';

export type KeyRow = typeof keys.$inferSelect;

/** Every key, the oldest first. */
export async function findKeys(db: Database): Promise<KeyRow[]> {
  return db.select().from(keys).orderBy(asc(keys.createdAt), asc(keys.id));
}

export async function insertKey(tx: Database, key: Omit<KeyRow, 'createdAt'>): Promise<void> {
  await tx.insert(keys).values(key);
}

export async function updateSealedKey(tx: Database, id: string, sealedKey: Buffer): Promise<void> {
  await tx.update(keys).set({ sealedKey }).where(eq(keys.id, id));
}
