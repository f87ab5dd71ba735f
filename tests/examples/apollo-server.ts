import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { GraphQLError } from 'graphql';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.IDENTITY_URL ?? 'http://localhost:4000';
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
const expected = { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['sub', 'exp'] };

/** Returns the caller, or null without a token. Throws for an invalid token, which is never treated as anonymous. */
async function getCaller(authorization: string | undefined) {
  if (authorization === undefined) return null;
  try {
    const { payload } = await jwtVerify(authorization.replace(/^Bearer +/i, ''), keys, expected);
    return { id: payload.sub, roles: payload.roles };
  } catch {
    throw new GraphQLError('Sign in again.', { extensions: { code: 'UNAUTHENTICATED', http: { status: 401 } } });
  }
}

type Context = { caller: Awaited<ReturnType<typeof getCaller>> };
const server = new ApolloServer<Context>({
  typeDefs: 'type Query { whoAmI: ID }',
  resolvers: { Query: { whoAmI: (_root, _args, { caller }) => caller?.id } },
});
const { url } = await startStandaloneServer(server, {
  context: async ({ req }) => ({ caller: await getCaller(req.headers.authorization) }),
  listen: { port: Number(process.env.PORT ?? 4001) },
});
console.log(`listening at ${url}`);
