import { type Command, InvalidArgumentError } from 'commander';
import type { App } from '../app/app.js';
import { ValidationError } from '../domain/errors.js';
import type { Result, Run } from './run.js';
import { addImportOptions, type ImportCommandOptions, mapped, runImport } from './run-import.js';

interface Options extends ImportCommandOptions {
  table?: string;
}

/** Adds `import-django`, which imports users from the database of a Django project. */
export function addImportDjango(program: Command, run: Run): void {
  const command = program
    .command('import-django')
    .description(
      "import users from the database of a Django project, without writing to it: tables of django-flex-user or Django's own",
    )
    .argument('<url>', 'postgres://…', parseUrl)
    .option('--table <name>', 'name of a custom user table');
  addImportOptions(command, 'django').action((url: string, options: Options) =>
    run(options, (app) => importDjango(app, url, options)),
  );
}

function parseUrl(url: string): string {
  if (/^postgres(ql)?:\/\//.test(url)) return url;
  throw new InvalidArgumentError('Pass a URL that begins with postgres://.');
}

async function importDjango(app: App, url: string, options: Options): Promise<Result> {
  const [{ NotDjangoError, openDjango }, { readDjangoUser }] = await Promise.all([
    import('../database/django.queries.js'),
    import('../domain/import/imported-user.js'),
  ]);
  const django = await openDjango(url, options.table).catch((error: unknown): never => {
    if (!(error instanceof NotDjangoError)) throw error;
    throw new ValidationError([{ field: null, code: 'INVALID', message: error.message }]);
  });
  try {
    return await runImport(app, options, {
      users: mapped(django.users(), readDjangoUser),
      progress: (rows) => rows / Math.max(1, django.count),
    });
  } finally {
    await django.close();
  }
}
