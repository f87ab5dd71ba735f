#!/usr/bin/env node
/** The command line. Each command is a module that loads its dependencies when it runs. */
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

/** Exit codes of sysexits.h, except `failed`. */
const exitCodes = { failed: 1, refused: 65, misconfigured: 78 };

const program = new Command('flex-identity')
  .description('A GraphQL identity API, configured by environment variables, or by a .env file outside production.')
  .addHelpText(
    'after',
    `
Exit codes: 0 success, ${exitCodes.failed} failure, ${exitCodes.refused} invalid input or unknown user, ${exitCodes.misconfigured} invalid configuration.
Only one process can open the embedded database: stop the service before you run a command. PostgreSQL has no such limit.`,
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
