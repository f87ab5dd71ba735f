/** Runs commands on the configured database, and converts errors to messages and exit codes. */
import { existsSync } from 'node:fs';
import type { App } from '../app/app.js';
import { ExpectedError } from '../domain/errors.js';
import { misconfigured, StartupError } from '../startup-error.js';
import { PromptLeftError } from './prompts.js';

/**
 * Runs the work on the configured database, and prints its text, or its data with `--json`.
 * Prints errors to standard error, and sets the exit code.
 */
export type Run = (options: { json?: boolean }, work: (app: App) => Promise<Result>) => Promise<void>;

/** The output of a command: data for `--json`, and text. */
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

/**
 * Creates the function that runs commands.
 * @param exitCodes `refused` for invalid input, `failed` for other failures
 */
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

/**
 * Describes an error.
 * @param app undefined if it failed to open
 * @returns undefined for an internal error
 */
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
    return { exitCode: failed, error: { code: 'ABORTED' }, message: 'Aborted. Nothing was changed.' };
  if (app !== undefined && !app.isUnavailable(error)) return undefined;
  const message = `The database is unavailable: ${readReason(error)}`;
  return { exitCode: failed, error: { code: 'SERVICE_UNAVAILABLE', message }, message };
}

/** Returns the message of the innermost cause, because outer errors quote the statement. */
function readReason(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause !== undefined) at = at.cause;
  return at instanceof Error ? at.message || at.name : String(at);
}
