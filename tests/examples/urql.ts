import { Client, fetchExchange } from '@urql/core';
import { SignInDocument } from '../../web/src/generated/graphql.js';

const client = new Client({
  url: `${process.env.IDENTITY_URL ?? 'http://localhost:4000'}/graphql`,
  exchanges: [fetchExchange],
  // This API answers queries by GET only to clients that send a header of their own.
  preferGetMethod: false,
});

export async function signIn(identifier: string, password: string) {
  const { data, error } = await client.mutation(SignInDocument, { input: { identifier, password } });
  if (error || !data) throw error;
  return data.authenticate;
}
