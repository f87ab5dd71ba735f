import type { Command } from 'commander';
import type { Run } from './run.js';

/**
 * Adds `migrate`. Opening the app migrates the database and creates its keys, so the command only
 * opens it.
 */
export function addMigrate(program: Command, run: Run): void {
  program
    .command('migrate')
    .description('migrate the database and create its keys without serving (the service also does this at start)')
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) =>
      run(options, async () => [{ migrated: true }, 'The database is up to date.']),
    );
}
