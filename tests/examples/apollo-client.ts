import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { SignInDocument } from '../../web/src/generated/graphql.js';
import { possibleTypes } from '../../web/src/generated/possible-types.js';
import { oneRefresh, refreshLink } from '../../web/src/refresh-link.js';
import { tokens } from './tokens.js';

export const client = new ApolloClient({
  link: ApolloLink.from([
    refreshLink(oneRefresh(() => tokens.accessToken, tokens.refresh)),
    new HttpLink({ uri: `${process.env.IDENTITY_URL ?? 'http://localhost:4000'}/graphql` }),
  ]),
  cache: new InMemoryCache({ possibleTypes }),
  clientAwareness: { name: 'my-front-end', version: '1.0.0' },
});

export async function signIn(identifier: string, password: string) {
  const { data } = await client.mutate({ mutation: SignInDocument, variables: { input: { identifier, password } } });
  return data!.authenticate;
}
