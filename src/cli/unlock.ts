import type { Command } from 'commander';
import type { Run } from './run.js';

/** Adds `unlock`, which clears the waits after wrong one-time passwords. */
export function addUnlock(program: Command, run: Run): void {
  program
    .command('unlock <identifier>')
    .description(
      'free an email or phone, or those of the user of a username, from the waits after wrong one-time passwords',
    )
    .option('--json', 'answer in JSON')
    .action((identifier: string, options: { json?: boolean }) =>
      run(options, async (app) => {
        const { clearAttemptsFor } = await import('../domain/accounts/administration.js');
        const unlocked = (await clearAttemptsFor(app, identifier)).map(({ id, name }) => ({ id, name }));
        return [{ unlocked }, unlocked.map(({ name }) => `${name} is free.`).join('\n')];
      }),
    );
}
