import { fastify } from 'fastify';
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose';

const issuer = process.env.IDENTITY_URL ?? 'http://localhost:4000';
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
const expected = { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['sub', 'exp'] };

const app = fastify();
app.decorateRequest('caller');
app.addHook('onRequest', async (request, reply) => {
  const token = request.headers.authorization?.replace(/^Bearer +/i, '') ?? '';
  try {
    const { payload } = await jwtVerify(token, keys, expected);
    request.setDecorator('caller', payload);
  } catch {
    await reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'Sign in again.' });
  }
});

app.get('/who-am-i', async (request) => ({ id: request.getDecorator<JWTPayload>('caller').sub }));

console.log(`listening at ${await app.listen({ port: Number(process.env.PORT ?? 4001) })}`);
