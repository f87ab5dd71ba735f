import type { Command } from 'commander';
import { readPassword } from './prompts.js';
import type { Run } from './run.js';

/** Adds `set-password`, which also revokes the sessions of the user. */
export function addSetPassword(program: Command, run: Run): void {
  program
    .command('set-password <identifier>')
    .description('set the password of the user with this username, email or phone, and revoke the sessions of the user')
    .option('--password-stdin', 'read the password from standard input')
    .option('--json', 'print the result as JSON')
    .action((identifier: string, options: { passwordStdin?: boolean; json?: boolean }) =>
      run(options, async (app) => {
        const { setPasswordFor } = await import('../domain/accounts/administration.js');
        const { id } = await setPasswordFor(app, identifier, (await readPassword(options)) ?? '');
        return [{ id }, `Changed the password of user ${id}.`];
      }),
    );
}
