/** Opens PostgreSQL if a URL is given, otherwise PGlite. */
import type { DatabaseOptions, OpenDatabase } from './database.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';

/** @throws {DatabaseInUseError} if another process has the embedded database open */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url?.startsWith('postgres') ? openPostgres(options.url, options) : openPglite(options);
}
