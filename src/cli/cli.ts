#!/usr/bin/env node
/** The command line. */
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import type { App } from '../app/app.js';
import { readConfig } from '../config/load.js';
import { Refusal } from '../domain/errors.js';
import { misconfigured, StartupError } from '../startup-error.js';
import { addImportCommands } from './import-users.js';

/** Of sysexits.h where there is one for it. */
const exitCodes = { failed: 1, refused: 65, misconfigured: 78 };

/** The user has left a prompt without an answer. */
class PromptLeftError extends Error {}

const program = new Command('flex-identity')
  .description(
    'A GraphQL identity API. Everything is configured by environment variables, or by a file .env outside production.',
  )
  .addHelpText(
    'after',
    `
Exit codes: 0 done, ${exitCodes.failed} failed, ${exitCodes.refused} refused (the input breaks a rule, or there is no such user), ${exitCodes.misconfigured} faulty configuration.
The embedded database belongs to one process: stop the service before you use a command on it. PostgreSQL serves both at once.`,
  );

program
  .command('serve')
  .description('start the service')
  .action(async () => {
    await import('../main.js');
  });

program
  .command('migrate')
  .description('bring the database up to date and make its keys, without serving; the service does so when it starts')
  .option('--json', 'answer in JSON')
  .action((options: { json?: boolean }) =>
    run(options, async () => [{ migrated: true }, 'The database is up to date.']),
  );

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
      const { makeSuperuser } = await import('../domain/accounts/superusers.js');
      const asked =
        named === undefined && isInteractive()
          ? await prompt(({ input }) => input({ message: 'Username', required: true }))
          : username;
      const user = await makeSuperuser(app, null, {
        username: asked ?? null,
        email: email ?? null,
        phone: phone ?? null,
        password: await readPassword(options),
      });
      const { id } = user;
      return [{ id, username: user.username, email: user.email, phone: user.phone }, `Superuser ${id} is there.`];
    }),
  );

program
  .command('set-password <identifier>')
  .description('set the password of the user of that username, email or phone, and end their sessions')
  .option('--password-stdin', 'read the password from standard input')
  .option('--json', 'answer in JSON')
  .action((identifier: string, options: { passwordStdin?: boolean; json?: boolean }) =>
    run(options, async (app) => {
      const { setPasswordOf } = await import('../domain/accounts/administration.js');
      const { id } = await setPasswordOf(app, identifier, (await readPassword(options)) ?? '');
      return [{ id }, `User ${id} has a new password.`];
    }),
  );

program
  .command('unlock <identifier>')
  .description(
    'free an email or phone, or those of the user of a username, from the waits after wrong one-time passwords',
  )
  .option('--json', 'answer in JSON')
  .action((identifier: string, options: { json?: boolean }) =>
    run(options, async (app) => {
      const { unlockAddressesOf } = await import('../domain/accounts/administration.js');
      const unlocked = (await unlockAddressesOf(app, identifier)).map(({ id, name }) => ({ id, name }));
      return [{ unlocked }, unlocked.map(({ name }) => `${name} is free.`).join('\n')];
    }),
  );

program
  .command('prune')
  .description('remove what has expired: sessions, one-time passwords, counters, kept messages, old audit events')
  .option('--json', 'answer in JSON')
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

program
  .command('print-schema')
  .description('write the GraphQL schema to standard output')
  .action(async () => {
    const { emitSchema } = await import('../graphql/server/schema.js');
    process.stdout.write(emitSchema());
  });

addImportCommands(program, run);

await program.parseAsync();

/** Does the work on the configured database and says what came of it; refusals and faults go to standard error. */
async function run(
  { json = false }: { json?: boolean },
  work: (app: App) => Promise<[data: object, text: string]>,
): Promise<void> {
  const complain = (code: number, error: object, message: string) => {
    console.error(json ? JSON.stringify({ error }) : message);
    process.exitCode = code;
  };
  let app: App | undefined;
  try {
    if (process.env.NODE_ENV !== 'production' && existsSync('.env')) process.loadEnvFile('.env');
    const config = readConfig();
    const [{ createApp }, { subscribers }, { pino }] = await Promise.all([
      import('../app/app.js'),
      import('../domain/events/subscribers.js'),
      import('pino'),
    ]);
    app = await createApp(config, subscribers, pino({ level: 'silent' }));
    const [data, text] = await work(app);
    console.log(json ? JSON.stringify(data) : text);
  } catch (error) {
    if (error instanceof StartupError && error.exitCode === misconfigured)
      complain(error.exitCode, { code: 'CONFIGURATION', faults: error.faults }, error.message);
    else if (error instanceof Refusal)
      complain(exitCodes.refused, { code: error.code, message: error.message }, error.message);
    else if (error instanceof PromptLeftError) complain(exitCodes.failed, { code: 'ABORTED' }, 'Nothing was done.');
    else if (app === undefined || app.isUnavailable(error)) {
      const message = `The database could not be used: ${reasonOf(error)}`;
      complain(exitCodes.failed, { code: 'SERVICE_UNAVAILABLE', message }, message);
    } else throw error;
  } finally {
    await app?.close();
  }
}

/** The innermost cause: what wraps it quotes the statement. */
function reasonOf(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause !== undefined) at = at.cause;
  return at instanceof Error ? at.message || at.name : String(at);
}

function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/** Never shown; from a terminal asked for twice. Null where there is none to be had. */
async function readPassword({ passwordStdin = false }: { passwordStdin?: boolean }): Promise<string | null> {
  if (passwordStdin) return (await text(process.stdin)).replace(/\r?\n$/, '');
  if (!isInteractive()) return null;
  return prompt(async ({ password: secret }) => {
    const typed = await secret({ message: 'Password' });
    await secret({ message: 'Once more', validate: (again) => again === typed || 'Not the same.' });
    return typed;
  });
}

/** Asks at the terminal. @throws {PromptLeftError} */
async function prompt<T>(ask: (prompts: typeof import('@inquirer/prompts')) => Promise<T>): Promise<T> {
  const prompts = await import('@inquirer/prompts');
  return ask(prompts).catch((error: unknown) => {
    // Inquirer does not export the class of its error. A prompt without a signal rejects when the user leaves it.
    throw new PromptLeftError('The prompt was left without an answer.', { cause: error });
  });
}
