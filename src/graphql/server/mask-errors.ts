/** What of an error leaves the service: protocol errors as they are, everything unexpected as an id that is in the log. */
import { randomUUID } from 'node:crypto';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { App } from '../../app/app.js';
import { ProtocolError } from '../../domain/errors.js';

/** What a client may read of an error that was thrown here. */
export function toGraphQLError(app: App, error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof ProtocolError) return new GraphQLError(error.message, { extensions: { code: error.code } });
  if (app.isUnavailable(error)) {
    app.log.warn({ err: error }, 'unavailable');
    return new GraphQLError('The service cannot answer now. Try again soon.', {
      extensions: { code: 'SERVICE_UNAVAILABLE', http: { status: 503, headers: new Map([['retry-after', '1']]) } },
    });
  }
  const errorId = randomUUID();
  app.log.error({ err: error, errorId }, 'internal error');
  app.metrics.internalError();
  return new GraphQLError('Something went wrong here. It is in the log under this id.', {
    extensions: { code: 'INTERNAL_SERVER_ERROR', errorId },
  });
}

/** Apollo's last look at an error: whatever has come by another way than {@link toGraphQLError} is masked here. */
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

/** In production without the names that graphql-js suggests: Apollo leaves them out of what is wrong with a document, but not of what is wrong with variables. */
function withoutHints({ config }: App, message: string): string {
  return config.production ? message.replace(/ ?Did you mean .*\?$/s, '') : message;
}

/** What graphql-js says of a value of the wrong type, without the value: it may be a password in the wrong place. */
function withoutValues(message: string): string {
  const [, variable] = /^Variable "\$(\w+)" got invalid value /.exec(message) ?? [];
  if (variable === undefined) return message.replace(/( cannot represent [^:]*): .*/s, '$1');
  const at = message.match(/ at "[\w.[\]]+"/g)?.at(-1) ?? '';
  const [, why = ''] = /^.*(; (?:Field "\w+" |Expected (?:non-nullable )?type ).*)$/s.exec(message) ?? [];
  return `Variable "$${variable}" got an invalid value${at}${why || '.'}`;
}
