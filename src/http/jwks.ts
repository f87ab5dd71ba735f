/** The public keys of access tokens, for other services. @see RFC 7517, RFC 8414 */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

/** Serves the JWK set and its discovery metadata. */
export function addJwks(http: FastifyInstance, app: App): void {
  // The sum is shorter than the time between publication and first signature of a key.
  const caching = 'public, max-age=300, stale-if-error=1800';
  const { publicUrl } = app.config;
  const metadata = {
    issuer: publicUrl,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    response_types_supported: [],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    claims_supported: [
      'iss',
      'aud',
      'sub',
      'sid',
      'iat',
      'exp',
      'auth_time',
      'amr',
      'email_verified',
      'phone_number_verified',
      'roles',
    ],
  };
  http.get('/.well-known/jwks.json', (_request, reply) =>
    reply
      .header('cache-control', caching)
      .send({ keys: app.keys.accessTokens().verification.map(({ publicJwk }) => publicJwk) }),
  );
  for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'])
    http.get(path, (_request, reply) => reply.header('cache-control', caching).send(metadata));
}
