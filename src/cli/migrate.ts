import type { Command } from 'commander';
import type { Run } from './run.js';

/** Adds `migrate`. Opening the app migrates the database and makes its keys, so the command itself does nothing. */
export function addMigrate(program: Command, run: Run): void {
  program
    .command('migrate')
    .description('bring the database up to date and make its keys, without serving; the service does so when it starts')
    .option('--json', 'answer in JSON')
    .action((options: { json?: boolean }) =>
      run(options, async () => [{ migrated: true }, 'The database is up to date.']),
    );
}
