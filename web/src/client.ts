/** Apollo Client, set up for this API. */
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { possibleTypes } from './generated/possible-types.js';
import { refreshLink } from './refresh-link.js';
import { bearer } from './session.js';

/** One for each user who signs in, so that nobody sees what another has fetched. */
export function createClient(): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.from([
      refreshLink(bearer),
      // In the cookie the refresh token is out of reach of every script, this one included.
      new HttpLink({ uri: '/graphql', headers: { 'x-session-transport': 'cookie' } }),
    ]),
    cache: new InMemoryCache({ possibleTypes }),
    clientAwareness: { name: 'flex-identity-web' },
  });
}
