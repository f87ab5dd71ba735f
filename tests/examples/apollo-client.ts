import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { SignInDocument } from '../../web/src/generated/graphql.js';
import { refreshLink, singleFlightRefresh } from '../../web/src/refresh-link.js';
import { api } from './api.js';
import { possibleTypes } from './possible-types.js';
import { tokens } from './tokens.js';

export const client = new ApolloClient({
  link: ApolloLink.from([
    refreshLink(singleFlightRefresh(() => tokens.accessToken, tokens.refresh)),
    new HttpLink({ uri: api }),
  ]),
  cache: new InMemoryCache({ possibleTypes }),
  clientAwareness: { name: 'my-front-end', version: '1.0.0' },
});

export async function signIn(identifier: string, password: string) {
  const { data } = await client.mutate({ mutation: SignInDocument, variables: { input: { identifier, password } } });
  const { authenticate } = data!;
  if (authenticate.__typename === 'AuthenticateSuccess') tokens.store(authenticate.tokens);
  return authenticate;
}
