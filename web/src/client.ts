/** Apollo Client, configured for this API. */
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { possibleTypes } from './generated/possible-types.js';
import { refreshLink } from './refresh-link.js';
import { bearer } from './session.js';

/** Creates a client. Each user needs a new one, because its cache holds the user's data. */
export function createClient(): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.from([
      refreshLink(bearer),
      // With this header the refresh token is in a cookie that scripts cannot read.
      new HttpLink({ uri: '/graphql', headers: { 'x-session-transport': 'cookie' } }),
    ]),
    cache: new InMemoryCache({ possibleTypes }),
    clientAwareness: { name: 'flex-identity-web' },
  });
}
