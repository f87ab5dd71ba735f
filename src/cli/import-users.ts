/** The commands that bring users along from another system: reading files, telling progress, writing reports. Belongs to `cli.ts`. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { App } from '../app/app.js';
import { ValidationError } from '../domain/errors.js';
import type { ImportSummary } from '../domain/import/import.js';
import type { ImportedUser, ImportProblem } from '../domain/import/imported-user.js';

/** Does the work on the configured database and says what came of it. */
type Run = (options: { json?: boolean }, work: (app: App) => Promise<[data: object, text: string]>) => Promise<void>;

interface Options {
  source: string;
  dryRun?: boolean;
  mapFile?: string;
  report?: string;
  json?: boolean;
}

interface Source {
  users: AsyncIterable<ImportedUser | ImportProblem>;
  /** how much is done, from 0 to 1, after so many rows; null where it cannot be told */
  progress(rows: number): number | null;
}

/** How many problems and changes are shown; all of them go to the file of `--report`. */
const shown = 1_000;

export function addImportCommands(program: Command, run: Run): void {
  addOptions(
    program
      .command('import-django')
      .description(
        "bring users along from the database of a Django project, which is only read: django-flex-user's tables or Django's own",
      )
      .argument('<url>', 'postgres://…', (url) => {
        if (/^postgres(ql)?:\/\//.test(url)) return url;
        throw new InvalidArgumentError('It begins with postgres://');
      })
      .option('--table <name>', 'the table of the users, where it is neither of the usual ones'),
    'django',
  ).action((url: string, options: Options & { table?: string }) =>
    run(options, async (app) => {
      const [{ NotDjangoError, openDjango }, { readDjangoUser }] = await Promise.all([
        import('../database/django.queries.js'),
        import('../domain/import/imported-user.js'),
      ]);
      const django = await openDjango(url, options.table).catch((error: unknown): never => {
        if (!(error instanceof NotDjangoError)) throw error;
        throw new ValidationError([{ field: null, code: 'INVALID', message: error.message }]);
      });
      try {
        return await bring(app, options, {
          users: mapped(django.users(), readDjangoUser),
          progress: (rows) => rows / Math.max(1, django.count),
        });
      } finally {
        await django.close();
      }
    }),
  );

  addOptions(
    program
      .command('import <file>')
      .description('bring users along from a file of one JSON object a line; - for standard input')
      .requiredOption('--format <format>', 'jsonl', (format) => {
        if (format !== 'jsonl') throw new InvalidArgumentError('There is only jsonl.');
        return format;
      }),
    'import',
  ).action((file: string, options: Options) =>
    run(options, async (app) => {
      const { readLines } = await import('../domain/import/lines.js');
      const size = file === '-' ? null : (await stat(file).catch(refuseFile)).size;
      let bytes = 0;
      const chunks = mapped<Buffer, Buffer>(file === '-' ? process.stdin : createReadStream(file), (chunk) => {
        bytes += chunk.length;
        return chunk;
      });
      return bring(app, options, { users: readLines(chunks), progress: () => size && bytes / size });
    }),
  );
}

function addOptions(command: Command, source: string): Command {
  return command
    .option('--source <name>', 'names the other system, where there are several', sourceName, source)
    .option('--dry-run', 'say what would happen, and write nothing')
    .option('--map-file <file>', 'write a line old,new for each user: the id there and the id here')
    .option(
      '--report <file>',
      'write every problem and every identifier that is written otherwise here, as one JSON object a line',
    )
    .option('--json', 'answer in JSON');
}

function sourceName(text: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(text))
    throw new InvalidArgumentError('It has up to 32 small letters, digits and dashes.');
  return text;
}

async function bring(app: App, options: Options, { users, progress }: Source): Promise<[object, string]> {
  const { importUsers } = await import('../domain/import/import.js');
  const { source, dryRun = false } = options;
  const files: FileHandle[] = [];
  const openFile = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    const file = await open(path, 'w', 0o600).catch(refuseFile);
    files.push(file);
    return file;
  };
  try {
    const [mapFile, report] = [await openFile(dryRun ? undefined : options.mapFile), await openFile(options.report)];
    const problems: ImportProblem[] = [];
    const normalised: object[] = [];
    let lines = '';
    const bar = progressBar(options.json !== true);
    const summary = await importUsers(app, users, {
      source,
      dryRun,
      onProblem(problem) {
        if (problems.length < shown) problems.push(problem);
        if (report !== undefined) lines += `${JSON.stringify({ problem })}\n`;
      },
      onNormalised(change) {
        if (normalised.length < shown) normalised.push(change);
        if (report !== undefined) lines += `${JSON.stringify({ normalised: change })}\n`;
      },
      async onBatch(rows, ids) {
        await mapFile?.write(ids.map(([from, to]) => `${field(from)},${to}\n`).join(''));
        await report?.write(lines);
        lines = '';
        bar.show(rows, progress(rows));
      },
    });
    bar.clear();
    const data = { source, dryRun, ...summary, normalised, problems };
    return [data, describe(dryRun, summary, problems, normalised as Normalised[])];
  } finally {
    for (const file of files) await file.close();
  }
}

type Normalised = { id: string; field: string; from: string; to: string };

function describe(
  dryRun: boolean,
  summary: ImportSummary,
  problems: ImportProblem[],
  normalised: Normalised[],
): string {
  const list = (of: Record<string, number>) =>
    Object.entries(of)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const more = (total: number, list: unknown[]) =>
    total > list.length ? [`  and ${total - list.length} more, all of which --report writes to a file`] : [];
  return [
    `${counted(summary.rows, 'user')} read: ${list(summary.with)}.`,
    `Passwords: ${list(summary.passwords)}.`,
    `${counted(summary.normalisedCount, 'identifier')} written otherwise here${summary.normalisedCount > 0 ? ':' : '.'}`,
    ...normalised.map(
      ({ id, field, from, to }) => `  user ${id}: ${field} ${JSON.stringify(from)} becomes ${JSON.stringify(to)}`,
    ),
    ...more(summary.normalisedCount, normalised),
    `${counted(summary.problemCount, 'problem')}${summary.problemCount > 0 ? ':' : '.'}`,
    ...problems.map(describeProblem),
    ...more(summary.problemCount, problems),
    `${dryRun ? 'Nothing is written. It would be: ' : ''}${summary.created} created, ${summary.updated} updated, ${summary.unchanged} unchanged, ${summary.notTaken} not taken.`,
  ].join('\n');
}

function describeProblem({ id, line, field, value, message }: ImportProblem): string {
  const who = id === null ? `line ${line}` : `user ${id}${line === undefined ? '' : ` (line ${line})`}`;
  const what = `${field ?? 'as a whole'}${value === undefined ? '' : ` ${JSON.stringify(value)}`}`;
  // What a file holds does not steer the terminal.
  return `  ${who}: ${what}: ${message}`.replace(/\p{C}/gu, '?');
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/** A line that is written over, for people at a terminal. */
function progressBar(wanted: boolean): { show(rows: number, part: number | null): void; clear(): void } {
  if (!wanted || !process.stderr.isTTY) return { show() {}, clear() {} };
  const started = performance.now();
  const width = 30;
  return {
    show(rows, part) {
      const rate = Math.round(rows / ((performance.now() - started) / 1000));
      const done = Math.round(Math.min(1, part ?? 0) * width);
      const bar =
        part === null
          ? ''
          : `[${'#'.repeat(done)}${' '.repeat(width - done)}] ${Math.floor(Math.min(1, part) * 100)} % `;
      process.stderr.write(`\r\x1b[K${bar}${rows} users, ${rate} a second`);
    },
    clear: () => void process.stderr.write('\r\x1b[K'),
  };
}

/** A field of a CSV file. */
function field(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function* mapped<T, R>(items: AsyncIterable<T>, map: (item: T) => R): AsyncIterable<R> {
  for await (const item of items) yield map(item);
}

function refuseFile(error: NodeJS.ErrnoException): never {
  throw new ValidationError([{ field: null, code: 'INVALID', message: error.message }]);
}
