/**
 * Converts thrown errors for clients. It masks internal errors, and logs them under the ID that the
 * client receives.
 */
import { randomUUID } from 'node:crypto';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { App } from '../../app/app.js';
import { ProtocolError } from '../../domain/errors.js';

/**
 * Converts an error to a GraphQL error without internal details. Logs unavailability and internal
 * errors.
 */
export function toGraphQLError(app: App, error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof ProtocolError) return new GraphQLError(error.message, { extensions: { code: error.code } });
  if (app.isUnavailable(error)) {
    app.log.warn({ err: error }, 'unavailable');
    return new GraphQLError('The service is temporarily unavailable. Try again soon.', {
      extensions: { code: 'SERVICE_UNAVAILABLE', http: { status: 503, headers: new Map([['retry-after', '1']]) } },
    });
  }
  const errorId = randomUUID();
  app.log.error({ err: error, errorId }, 'internal error');
  app.metrics.internalError();
  return new GraphQLError('Internal error. Quote the error ID to support.', {
    extensions: { code: 'INTERNAL_SERVER_ERROR', errorId },
  });
}

/** Formats errors for Apollo Server. It masks errors that bypassed {@link toGraphQLError}. */
export function formatError(app: App): (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError {
  return (formatted, error) => {
    const { code, errorId } = formatted.extensions ?? {};
    const { stacktrace: _, ...extensions } = formatted.extensions ?? {};
    if (code !== 'INTERNAL_SERVER_ERROR' || errorId !== undefined)
      return { ...formatted, message: withoutHints(app, withoutValues(formatted.message)), extensions };
    const masked = toGraphQLError(app, unwrapResolverError(error));
    const { http: __, ...facts } = masked.extensions;
    return { ...formatted, message: masked.message, extensions: facts };
  };
}

/**
 * Removes schema suggestions in production. Apollo removes them from document errors, but not from
 * variable errors.
 */
function withoutHints({ config }: App, message: string): string {
  return config.production ? message.replace(/ ?Did you mean .*\?$/s, '') : message;
}

/**
 * Removes the invalid value from messages of graphql-js, because it may be a password in the wrong
 * argument.
 */
function withoutValues(message: string): string {
  const [, variable] = /^Variable "\$(\w+)" got invalid value /.exec(message) ?? [];
  if (variable === undefined) return message.replace(/( cannot represent [^:]*): .*/s, '$1');
  const at = message.match(/ at "[\w.[\]]+"/g)?.at(-1) ?? '';
  const [, why = ''] = /^.*(; (?:Field "\w+" |Expected (?:non-nullable )?type ).*)$/s.exec(message) ?? [];
  return `Variable "$${variable}" got an invalid value${at}${why || '.'}`;
}
