import { GraphQLClient } from 'graphql-request';
import { SignInDocument } from '../../web/src/generated/graphql.js';
import { api } from './api.js';
import { tokens } from './tokens.js';

const client = new GraphQLClient(api);

export async function signIn(identifier: string, password: string) {
  const { authenticate } = await client.request(SignInDocument, { input: { identifier, password } });
  if (authenticate.__typename === 'AuthenticateSuccess') tokens.store(authenticate.tokens);
  return authenticate;
}
