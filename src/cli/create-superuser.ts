import type { Command } from 'commander';
import { isInteractive, prompt, readPassword } from './prompts.js';
import type { Run } from './run.js';

/** Adds `create-superuser`. */
export function addCreateSuperuser(program: Command, run: Run): void {
  program
    .command('create-superuser')
    .description('make a superuser; asks for what it is not given')
    .option('--username <username>', 'their username')
    .option('--email <email>', 'their email address')
    .option('--phone <phone>', 'their phone number')
    .option('--password-stdin', 'read the password from standard input')
    .option('--json', 'answer in JSON')
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
        const { id } = user;
        return [{ id, username: user.username, email: user.email, phone: user.phone }, `Superuser ${id} is there.`];
      }),
    );
}
