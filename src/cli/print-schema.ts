import type { Command } from 'commander';

/** Adds `print-schema`. It reads no configuration. */
export function addPrintSchema(program: Command): void {
  program
    .command('print-schema')
    .description('print the GraphQL schema')
    .action(async () => {
      const { emitSchema } = await import('../graphql/server/schema.js');
      process.stdout.write(emitSchema());
    });
}
