/** The logger, and the request whose id it adds. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/load.js';
import { currentTrace } from '../observability/tracing.js';

/** The request that is being answered. Each log line of it carries its id. */
export const currentRequest = new AsyncLocalStorage<{ requestId: string }>();

/**
 * Makes a logger that adds the ids of the request and of the trace to each line.
 * @param destination takes the lines; the standard output by default
 */
export function createLogger(
  config: Pick<Config, 'logLevel'>,
  destination: DestinationStream = pino.destination(),
): Logger {
  const options = {
    level: config.logLevel,
    serializers: { err: describeError },
    // A new object each time, because pino adds the fields of the line to it.
    mixin: () => ({ ...currentRequest.getStore(), ...currentTrace() }),
  };
  return pino(options, destination);
}

/** An error of PostgreSQL or of Node may have these. */
interface DetailedError extends Error {
  code?: unknown;
  constraint?: unknown;
}

/** An error without what it quotes: a failed statement's message and detail hold its parameters, among them digests and addresses. */
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
