import type { Command } from 'commander';
import type { Run } from './run.js';

/** Adds `prune`, which deletes expired rows. */
export function addPrune(program: Command, run: Run): void {
  program
    .command('prune')
    .description('delete expired sessions, one-time passwords, counters, captured messages and old audit events')
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) =>
      run(options, async (app) => {
        const { prune } = await import('../domain/accounts/administration.js');
        const deleted = await prune(app);
        return [
          { deleted },
          Object.entries(deleted)
            .map(([table, count]) => `${table}: ${count}`)
            .join('\n'),
        ];
      }),
    );
}
