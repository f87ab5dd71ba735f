/** Signs the request in: asks for the session of its bearer as soon as it is known that the operation wants one. */
import type { ApolloServerPlugin } from '@apollo/server';
import { type DocumentNode, GraphQLError, Kind, type OperationDefinitionNode } from 'graphql';
import { UnauthenticatedError } from '../../domain/errors.js';
import { getViewer } from '../../domain/sessions/sessions.js';
import type { Context } from './context.js';
import { rootFields } from './limits.js';
import { toGraphQLError } from './mask-errors.js';
import { requireListedOrigin } from './session-cookie.js';

/** These are for people whose access token may have expired: they do not read it, or read it as it is. */
const withoutViewer = new Set(['signOut', 'refreshSession']);

export const sessionPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ contextValue, operation, document }) {
        const { app, accessToken, cookie, header } = contextValue;
        try {
          // Before anything is done: what is done then would answer to a page that may not have it.
          if (cookie.requested) requireListedOrigin(app.config, { header });
        } catch (error) {
          const refused = toGraphQLError(app, error);
          // Nothing has been executed: without a status of its own Apollo would call it a failure of the server.
          throw new GraphQLError(refused.message, { extensions: { ...refused.extensions, http: { status: 403 } } });
        }
        if (accessToken === null || (operation && isWithoutViewer(operation, document))) return;
        try {
          contextValue.viewer = await getViewer(app, accessToken);
        } catch (error) {
          if (!(error instanceof UnauthenticatedError)) throw toGraphQLError(app, error);
          throw new GraphQLError(error.message, {
            extensions: {
              code: error.code,
              http: { status: 401, headers: new Map([['www-authenticate', 'Bearer error="invalid_token"']]) },
            },
          });
        }
      },
    };
  },
};

function isWithoutViewer(operation: OperationDefinitionNode, { definitions }: DocumentNode): boolean {
  const fragments = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  const fields = rootFields(operation, (name) => fragments.find((fragment) => fragment.name.value === name));
  return fields.length > 0 && fields.every((name) => withoutViewer.has(name));
}
