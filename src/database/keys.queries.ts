/** Statements on the encrypted keys. */
import { asc, eq, getTableColumns, inArray, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { keys, now } from './schema.js';

/** A key and its age by the database's clock. */
export type KeyRow = typeof keys.$inferSelect & { ageSeconds: number };

/** Returns all keys, oldest first. */
export async function findKeys(db: Database): Promise<KeyRow[]> {
  return db
    .select({
      ...getTableColumns(keys),
      ageSeconds: sql<number>`extract(epoch from ${now} - ${keys.createdAt})::float8`,
    })
    .from(keys)
    .orderBy(asc(keys.createdAt), asc(keys.id));
}

export async function insertKey(tx: Database, key: Omit<KeyRow, 'createdAt' | 'ageSeconds'>): Promise<void> {
  await tx.insert(keys).values(key);
}

export async function updateEncryptedKey(tx: Database, id: string, encryptedKey: Buffer): Promise<void> {
  await tx.update(keys).set({ encryptedKey }).where(eq(keys.id, id));
}

export async function deleteKeys(tx: Database, ids: string[]): Promise<void> {
  if (ids.length > 0) await tx.delete(keys).where(inArray(keys.id, ids));
}
