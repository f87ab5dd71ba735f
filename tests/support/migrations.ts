/** Databases of earlier versions. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { root } from './root.js';
import { createDatabase, temporaryFolder } from './service.js';

const folder = join(root, 'drizzle/migrations');
const journalOf = (folder: string) => join(folder, 'meta/_journal.json');
const journal = JSON.parse(readFileSync(journalOf(folder), 'utf8')) as { entries: { tag: string }[] };

/** The number of migrations. */
export const migrationCount = journal.entries.length;

export const migrationTags = journal.entries.map(({ tag }) => tag);

/**
 * Migrations that break processes of the previous version, and the columns whose type they change.
 * Every other migration must be compatible with the previous release. Each entry needs a line in
 * the CHANGELOG.
 */
export const migrationsThatStopOlderProcesses: Record<string, { reason: string; columns: string[] }> = {
  '0003_text_enums': {
    reason: 'Enums of PostgreSQL become text, so that a later version can add a value beside a running one.',
    columns: ['one_time_passwords.purpose', 'security_tokens.kind', 'sessions.authentication_methods'],
  },
};

/** Returns the URL of a database with the first `count` migrations. */
export async function createOlderDatabase(migrations: number): Promise<string> {
  const url = await createDatabase('template template0');
  const older = join(createOlderPackage(migrations), 'drizzle/migrations');
  const client = new pg.Client(url);
  await client.connect();
  await migrate(drizzle(client), { migrationsFolder: older });
  await client.end();
  return url;
}

/** Creates a package folder with the first `count` migrations. */
export function createOlderPackage(migrations: number): string {
  const packageFolder = temporaryFolder();
  const older = join(packageFolder, 'drizzle/migrations');
  cpSync(folder, older, { recursive: true });
  writeFileSync(journalOf(older), JSON.stringify({ ...journal, entries: journal.entries.slice(0, migrations) }));
  return packageFolder;
}
