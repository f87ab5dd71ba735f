/** Applies the migrations. */
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { StartupError } from '../startup-error.js';
import type { Database } from './database.js';
import { acquireLock } from './locks.js';
import { timeoutSettings } from './timeouts.js';

/** A newer version migrated the database, so this version may misread its tables. */
class DatabaseIsNewerError extends StartupError {
  override readonly name = 'DatabaseIsNewerError';
}

/** The table in which drizzle-kit records applied migrations. */
const table = sql`drizzle.__drizzle_migrations`;

/**
 * Applies missing migrations in one transaction that holds a lock. Other migrators wait.
 * A killed migrator leaves no changes.
 * @throws {DatabaseIsNewerError}
 */
export async function applyMigrations(db: Database, packageFolder: string): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder: join(packageFolder, 'drizzle/migrations') });
  const newest = Math.max(...migrations.map(({ folderMillis }) => folderMillis));
  await db.transaction(async (tx) => {
    // Timeouts of the role are meant for requests.
    for (const setting of timeoutSettings) await tx.execute(sql.raw(`set local ${setting} = 0`));
    await acquireLock(tx, 'migration');
    await tx.execute(sql`create schema if not exists drizzle`);
    await tx.execute(
      sql`create table if not exists ${table} (id serial primary key, hash text not null, created_at bigint)`,
    );
    const applied = await tx.select({ millis: sql`coalesce(max(created_at), 0)`.mapWith(Number) }).from(table);
    const appliedMillis = applied[0]?.millis ?? 0;
    if (appliedMillis > newest)
      throw new DatabaseIsNewerError('The database was migrated by a newer version of this program. Start that one.');
    for (const { sql: statements, hash, folderMillis } of migrations) {
      if (folderMillis <= appliedMillis) continue;
      for (const statement of statements) await tx.execute(sql.raw(statement));
      await tx.execute(sql`insert into ${table} (hash, created_at) values (${hash}, ${folderMillis})`);
    }
  });
}
