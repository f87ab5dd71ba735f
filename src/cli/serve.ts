import type { Command } from 'commander';

/** Adds `serve`, which starts the service in this process. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .description('start the service')
    .action(async () => {
      await import('../main.js');
    });
}
