/** A connection of the tests' own to a database of the service. */
import type { OpenDatabase } from '../../src/database/database.js';
import { openDatabase } from '../../src/database/open-database.js';
import { root } from './root.js';

export function openTestDatabase(options: {
  url: string | undefined;
  poolSize?: number;
  dataDir?: string;
  packageFolder?: string;
}): Promise<OpenDatabase> {
  return openDatabase({ poolSize: 1, dataDir: '', packageFolder: root, onIdleError: () => {}, ...options });
}
