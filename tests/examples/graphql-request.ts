import { GraphQLClient } from 'graphql-request';
import { SignInDocument } from '../../web/src/generated/graphql.js';

const client = new GraphQLClient(`${process.env.IDENTITY_URL ?? 'http://localhost:4000'}/graphql`);

export async function signIn(identifier: string, password: string) {
  const { authenticate } = await client.request(SignInDocument, { input: { identifier, password } });
  return authenticate;
}
