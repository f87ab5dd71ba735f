/** Authenticates the request by its access token, unless the operation works without a session. */
import type { ApolloServerPlugin } from '@apollo/server';
import { type DocumentNode, GraphQLError, Kind, type OperationDefinitionNode } from 'graphql';
import { UnauthenticatedError } from '../../domain/errors.js';
import { getViewer } from '../../domain/sessions/sessions.js';
import type { Context } from './context.js';
import { rootFields } from './limits.js';
import { toGraphQLError } from './mask-errors.js';
import { requireListedOrigin } from './session-cookie.js';

/** Operations that must work with an expired access token. */
const withoutViewer = new Set(['signOut', 'refreshSession']);

export const sessionPlugin: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ contextValue, operation, document }) {
        const { app, accessToken, cookie, header } = contextValue;
        try {
          // Check the origin before executing anything: the response could set a cookie for a
          // foreign page.
          if (cookie.requested) requireListedOrigin(app.config, { header });
        } catch (error) {
          const rejected = toGraphQLError(app, error);
          // Without an explicit status, Apollo would respond with a server error.
          throw new GraphQLError(rejected.message, { extensions: { ...rejected.extensions, http: { status: 403 } } });
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
