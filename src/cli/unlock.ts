import type { Command } from 'commander';
import type { Run } from './run.js';

/** Adds `unlock`, which clears failed one-time password attempts. */
export function addUnlock(program: Command, run: Run): void {
  program
    .command('unlock <identifier>')
    .description('clear failed attempts for an email, phone or user')
    .option('--json', 'print the result as JSON')
    .action((identifier: string, options: { json?: boolean }) =>
      run(options, async (app) => {
        const { clearAttemptsFor } = await import('../domain/accounts/administration.js');
        const unlocked = (await clearAttemptsFor(app, identifier)).map(({ id, name }) => ({ id, name }));
        return [{ unlocked }, unlocked.map(({ name }) => `Cleared failed attempts for ${name}.`).join('\n')];
      }),
    );
}
