import { Client, fetchExchange } from '@urql/core';
import { SignInDocument } from '../../web/src/generated/graphql.js';
import { api } from './api.js';
import { tokens } from './tokens.js';

const client = new Client({
  url: api,
  exchanges: [fetchExchange],
  // The API rejects GET requests without a custom header.
  preferGetMethod: false,
});

export async function signIn(identifier: string, password: string) {
  const { data, error } = await client.mutation(SignInDocument, { input: { identifier, password } });
  if (error || !data) throw error;
  const { authenticate } = data;
  if (authenticate.__typename === 'AuthenticateSuccess') tokens.store(authenticate.tokens);
  return authenticate;
}
