/** Runs a command on the configured database, and turns errors into messages and exit codes. */
import { existsSync } from 'node:fs';
import type { App } from '../app/app.js';
import { ExpectedError } from '../domain/errors.js';
import { misconfigured, StartupError } from '../startup-error.js';
import { PromptLeftError } from './prompts.js';

/**
 * Does the work on the configured database. Prints its text, or its data with `--json`, to standard output.
 * Errors go to standard error, and set the exit code.
 */
export type Run = (options: { json?: boolean }, work: (app: App) => Promise<Result>) => Promise<void>;

/** What a command prints: the data with `--json`, else the text. */
export type Result = [data: object, text: string];

export interface ExitCodes {
  failed: number;
  refused: number;
}

interface Problem {
  exitCode: number;
  /** for `--json` */
  error: object;
  message: string;
}

/** Makes the function that runs the work of a command. @param exitCodes `failed`: the work could not be done; `refused`: the input breaks a rule */
export function createRun(exitCodes: ExitCodes): Run {
  return async ({ json = false }, work) => {
    let app: App | undefined;
    try {
      app = await openApp(json ? () => {} : console.error);
      const [data, text] = await work(app);
      console.log(json ? JSON.stringify(data) : text);
    } catch (error) {
      const problem = describe(error, exitCodes, app);
      if (problem === undefined) throw error;
      console.error(json ? JSON.stringify({ error: problem.error }) : problem.message);
      process.exitCode = problem.exitCode;
    } finally {
      await app?.close();
    }
  };
}

async function openApp(warn: (message: string) => void): Promise<App> {
  if (process.env.NODE_ENV !== 'production' && existsSync('.env')) process.loadEnvFile('.env');
  const [{ readConfig }, { describeRenamed }] = await Promise.all([
    import('../config/load.js'),
    import('../config/renamed-variables.js'),
  ]);
  const config = readConfig();
  for (const renamed of config.renamedVariables) warn(`Warning: ${describeRenamed(renamed)}`);
  const [{ createApp }, { subscribers }, { pino }] = await Promise.all([
    import('../app/app.js'),
    import('../domain/events/subscribers.js'),
    import('pino'),
  ]);
  return createApp(config, subscribers, pino({ level: 'silent' }));
}

/** @param app undefined where the error kept it from opening @returns undefined for an internal error */
function describe(error: unknown, { failed, refused }: ExitCodes, app: App | undefined): Problem | undefined {
  if (error instanceof StartupError && error.exitCode === misconfigured) {
    const { exitCode, faults, message } = error;
    return { exitCode, error: { code: 'CONFIGURATION', faults }, message };
  }
  if (error instanceof ExpectedError) {
    const { code, message } = error;
    return { exitCode: refused, error: { code, message }, message };
  }
  if (error instanceof PromptLeftError)
    return { exitCode: failed, error: { code: 'ABORTED' }, message: 'Nothing was done.' };
  if (app !== undefined && !app.isUnavailable(error)) return undefined;
  const message = `The database could not be used: ${readReason(error)}`;
  return { exitCode: failed, error: { code: 'SERVICE_UNAVAILABLE', message }, message };
}

/** Reads the innermost cause: the errors around it quote the statement. */
function readReason(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause !== undefined) at = at.cause;
  return at instanceof Error ? at.message || at.name : String(at);
}
