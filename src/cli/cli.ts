#!/usr/bin/env node
/** The command line. Each command is a module beside this one, and loads what it needs when it runs. */
import { Command } from 'commander';
import { addCreateSuperuser } from './create-superuser.js';
import { addImport } from './import.js';
import { addImportDjango } from './import-django.js';
import { addMigrate } from './migrate.js';
import { addPrintSchema } from './print-schema.js';
import { addPrune } from './prune.js';
import { createRun } from './run.js';
import { addServe } from './serve.js';
import { addSetPassword } from './set-password.js';
import { addUnlock } from './unlock.js';

/** Those of sysexits.h where it has one. */
const exitCodes = { failed: 1, refused: 65, misconfigured: 78 };

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

const run = createRun(exitCodes);

addServe(program);
addMigrate(program, run);
addCreateSuperuser(program, run);
addSetPassword(program, run);
addUnlock(program, run);
addPrune(program, run);
addPrintSchema(program);
addImportDjango(program, run);
addImport(program, run);

await program.parseAsync();
