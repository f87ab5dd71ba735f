/** Opens the database: PostgreSQL where a URL is given, else PGlite. */
import type { DatabaseOptions, OpenDatabase } from './database.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';

/**
 * @throws {DatabaseInUseError} when another process has the embedded database open
 */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url?.startsWith('postgres') ? openPostgres(options.url, options) : openPglite(options);
}
