/** Shared parts of the import commands: options, progress and output files. */
import { type FileHandle, open } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { App } from '../app/app.js';
import { ValidationError } from '../domain/errors.js';
import type { ImportedUser, ImportProblem } from '../domain/import/imported-user.js';
import type { ImportOptions } from '../domain/import/run.js';
import { describeImport, type NormalisedIdentifier } from './import-summary.js';
import { createProgressBar } from './progress-bar.js';
import type { Result } from './run.js';

export interface ImportCommandOptions {
  source: string;
  dryRun?: boolean;
  mapFile?: string;
  report?: string;
  json?: boolean;
}

export interface Source {
  users: AsyncIterable<ImportedUser | ImportProblem>;
  /** Returns the completed part, from 0 to 1, or null if unknown. */
  progress(rows: number): number | null;
}

/** The maximum number of printed problems and changes. The report file contains all. */
const maxPrinted = 1_000;

/** Adds the options of an import command. @param source default of `--source` */
export function addImportOptions(command: Command, source: string): Command {
  return command
    .option('--source <name>', 'name of the source system, if you import from several', parseSourceName, source)
    .option('--dry-run', 'report the result without writing')
    .option('--map-file <file>', 'write a CSV file of source ID and new ID for each user')
    .option('--report <file>', 'write all problems and normalised identifiers, one JSON object per line')
    .option('--json', 'print the result as JSON');
}

function parseSourceName(text: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(text))
    throw new InvalidArgumentError('Use up to 32 lower-case letters, digits and dashes.');
  return text;
}

/**
 * Imports the users of a source with a progress bar.
 * @throws {ValidationError} if a file cannot be written
 */
export async function runImport(app: App, options: ImportCommandOptions, source: Source): Promise<Result> {
  const { dryRun = false } = options;
  const files: FileHandle[] = [];
  const openFile = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    const file = await open(path, 'w', 0o600).catch(refuseFile);
    files.push(file);
    return file;
  };
  try {
    const mapFile = await openFile(dryRun ? undefined : options.mapFile);
    const report = await openFile(options.report);
    return await importWithFiles(app, options, source, { mapFile, report });
  } finally {
    for (const file of files) await file.close();
  }
}

async function importWithFiles(
  app: App,
  options: ImportCommandOptions,
  { users, progress }: Source,
  { mapFile, report }: Record<'mapFile' | 'report', FileHandle | undefined>,
): Promise<Result> {
  const { importUsers } = await import('../domain/import/import.js');
  const { source, dryRun = false, json = false } = options;
  const problems: ImportProblem[] = [];
  const normalised: NormalisedIdentifier[] = [];
  let lines = '';
  const bar = createProgressBar(!json);
  const handlers: Pick<ImportOptions, 'onProblem' | 'onNormalised' | 'onBatch'> = {
    onProblem(problem) {
      if (problems.length < maxPrinted) problems.push(problem);
      if (report !== undefined) lines += `${JSON.stringify({ problem })}\n`;
    },
    onNormalised(change) {
      if (normalised.length < maxPrinted) normalised.push(change);
      if (report !== undefined) lines += `${JSON.stringify({ normalised: change })}\n`;
    },
    async onBatch(rows, ids) {
      await mapFile?.write(ids.map(([from, to]) => `${toCsvField(from)},${to}\n`).join(''));
      await report?.write(lines);
      lines = '';
      bar.show(rows, progress(rows));
    },
  };
  const summary = await importUsers(app, users, { source, dryRun, ...handlers });
  bar.clear();
  const data = { source, dryRun, ...summary, normalised, problems };
  return [data, describeImport(dryRun, summary, problems, normalised)];
}

function toCsvField(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Maps each item as it arrives. */
export async function* mapped<T, R>(items: AsyncIterable<T>, map: (item: T) => R): AsyncIterable<R> {
  for await (const item of items) yield map(item);
}

/** Throws a {@link ValidationError}, because the operator chose the file. */
export function refuseFile(error: NodeJS.ErrnoException): never {
  throw new ValidationError([{ field: null, code: 'INVALID', message: error.message }]);
}
