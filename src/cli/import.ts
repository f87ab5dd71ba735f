import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { App } from '../app/app.js';
import type { Result, Run } from './run.js';
import { addImportOptions, type ImportCommandOptions, mapped, refuseFile, runImport } from './run-import.js';

/** Adds `import`, which imports users from JSON lines in a file or on standard input. */
export function addImport(program: Command, run: Run): void {
  const command = program
    .command('import <file>')
    .description('import users from a file with one JSON object per line (- for standard input)')
    .requiredOption('--format <format>', 'jsonl', parseFormat);
  addImportOptions(command, 'import').action((file: string, options: ImportCommandOptions) =>
    run(options, (app) => importFile(app, file, options)),
  );
}

function parseFormat(format: string): string {
  if (format !== 'jsonl') throw new InvalidArgumentError('Only jsonl is supported.');
  return format;
}

async function importFile(app: App, file: string, options: ImportCommandOptions): Promise<Result> {
  const { readLines } = await import('../domain/import/lines.js');
  const totalBytes = file === '-' ? null : (await stat(file).catch(refuseFile)).size;
  let bytes = 0;
  const chunks = mapped<Buffer, Buffer>(file === '-' ? process.stdin : createReadStream(file), (chunk) => {
    bytes += chunk.length;
    return chunk;
  });
  return runImport(app, options, { users: readLines(chunks), progress: () => totalBytes && bytes / totalBytes });
}
