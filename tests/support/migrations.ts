/** Databases as earlier versions of the program have left them. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { root } from './root.js';
import { createDatabase, temporaryFolder } from './service.js';

const folder = join(root, 'drizzle/migrations');
const journalOf = (folder: string) => join(folder, 'meta/_journal.json');
const journal = JSON.parse(readFileSync(journalOf(folder), 'utf8')) as { entries: unknown[] };

/** How many migrations there are. */
export const migrationCount = journal.entries.length;

/** The URL of a database to which the first so many migrations have been applied. */
export async function createOlderDatabase(migrations: number): Promise<string> {
  const url = await createDatabase('template template0');
  const older = join(temporaryFolder(), 'migrations');
  cpSync(folder, older, { recursive: true });
  writeFileSync(journalOf(older), JSON.stringify({ ...journal, entries: journal.entries.slice(0, migrations) }));
  const client = new pg.Client(url);
  await client.connect();
  await migrate(drizzle(client), { migrationsFolder: older });
  await client.end();
  return url;
}
