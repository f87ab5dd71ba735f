#!/usr/bin/env node
/** The command line. */
import { Command } from 'commander';
import { emitSchema } from './graphql/schema.js';

const program = new Command('flex-identity').description('A GraphQL identity API.');

program
  .command('serve')
  .description('starts the service; configured by environment variables')
  .action(async () => {
    await import('./main.js');
  });

program
  .command('print-schema')
  .description('writes the GraphQL schema to standard output')
  .action(() => {
    process.stdout.write(emitSchema());
  });

await program.parseAsync();
