/** The logger, and the current request whose ID it adds. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/load.js';
import { currentTrace } from '../observability/tracing.js';

/** The current request. Its log lines contain its ID. */
export const currentRequest = new AsyncLocalStorage<{ requestId: string }>();

/**
 * Creates a logger that adds the IDs of the request and of the trace.
 * @param destination receives the lines; standard output by default
 */
export function createLogger(
  config: Pick<Config, 'logLevel'>,
  destination: DestinationStream = pino.destination(),
): Logger {
  const options = {
    level: config.logLevel,
    serializers: { err: describeError },
    // A new object for each line, because pino mutates it.
    mixin: () => ({ ...currentRequest.getStore(), ...currentTrace() }),
  };
  return pino(options, destination);
}

/** Fields that errors of PostgreSQL and Node may have. */
interface DetailedError extends Error {
  code?: unknown;
  constraint?: unknown;
}

/**
 * Describes an error without parameters of a failed statement, which contain digests and addresses.
 */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, constraint }: DetailedError = error;
  return {
    type: error.name,
    message: error.message.replace(/\nparams:.*/s, '').slice(0, 500),
    code,
    constraint,
    stack: error.stack?.match(/^ {4}at .*$/gm)?.join('\n'),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
