import type { Command } from 'commander';
import { isInteractive, prompt, readPassword } from './prompts.js';
import type { Run } from './run.js';

/** Adds `create-superuser`. */
export function addCreateSuperuser(program: Command, run: Run): void {
  program
    .command('create-superuser')
    .description('create a superuser (prompts for missing values)')
    .option('--username <username>', 'username')
    .option('--email <email>', 'email address')
    .option('--phone <phone>', 'phone number')
    .option('--password-stdin', 'read the password from standard input')
    .option('--json', 'print the result as JSON')
    .action((options: { username?: string; email?: string; phone?: string; passwordStdin?: boolean; json?: boolean }) =>
      run(options, async (app) => {
        const { username, email, phone } = options;
        const named = username ?? email ?? phone;
        const { insertSuperuser } = await import('../domain/accounts/superusers.js');
        const asked =
          named === undefined && isInteractive()
            ? await prompt(({ input }) => input({ message: 'Username', required: true }))
            : username;
        const user = await insertSuperuser(app, null, {
          username: asked ?? null,
          email: email ?? null,
          phone: phone ?? null,
          password: await readPassword(options),
        });
        // The addresses of staff are pending until they are verified.
        const { id, pendingEmail, pendingPhone } = user;
        return [{ id, username: user.username, pendingEmail, pendingPhone }, `Created superuser ${id}.`];
      }),
    );
}
