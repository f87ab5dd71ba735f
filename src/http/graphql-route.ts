/** The GraphQL route. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app/app.js';
import type { GraphQLService } from '../graphql/server/apollo.js';
import { createAdmissionControl } from './admission.js';
import { readClientInfo } from './client-info.js';
import { createCookieJar } from './cookies.js';

/** Serves `/graphql` behind admission control. */
export function addGraphQL(http: FastifyInstance, app: App, graphql: GraphQLService): void {
  const admit = createAdmissionControl(app);
  http.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    handler: (request, reply) => admit(reply, () => answer(graphql, request, reply)),
  });
}

async function answer(graphql: GraphQLService, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { method, headers, url, body, ip } = request;
  const queryStart = url.indexOf('?');
  const response = await graphql.execute({
    method,
    headers,
    search: queryStart < 0 ? '' : url.slice(queryStart),
    body,
    client: readClientInfo(ip, headers['user-agent']),
    ...createCookieJar(request, reply),
  });
  for (const [name, value] of response.headers) reply.header(name, value);
  // The explorer page has a policy with a nonce in its own markup.
  if (reply.getHeader('content-type')?.toString().startsWith('text/html'))
    reply.header('content-security-policy', "base-uri 'none'; object-src 'none'; frame-ancestors 'none'");
  return reply.code(response.status).header('cache-control', 'no-store').send(response.body);
}
