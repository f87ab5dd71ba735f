/** The HTTP server: limits, headers, routes, start and shutdown. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import cookies from '@fastify/cookie';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { App } from '../app/app.js';
import { currentRequest } from '../app/logger.js';
import { createGraphQLService } from '../graphql/server/apollo.js';
import { toGraphQLError } from '../graphql/server/mask-errors.js';
import { addGraphQL } from './graphql-route.js';
import { addJwks } from './jwks.js';
import { addOutboxPage } from './outbox-page.js';
import { addProbes } from './probes.js';
import { acceptUtf8JsonOnly } from './request-body.js';
import { traceRequests } from './request-tracing.js';
import { addWebPages } from './web-pages.js';

export interface Server {
  /** Starts listening. @returns the URL, like `http://127.0.0.1:4000` */
  listen(): Promise<string>;
  /**
   * Shuts down gracefully: fails readiness, serves for `SHUTDOWN_DRAIN_SECONDS`, then stops
   * accepting requests.
   * Waits up to five seconds for open requests, and closes the app.
   */
  close(): Promise<void>;
}

const bodyLimitBytes = 64 * 1024;
/**
 * The time that a shutdown waits for open requests. It exceeds the statement timeout, and bounds
 * slow clients.
 */
const openRequestTimeoutMilliseconds = 5_000;

/** Creates the server with all routes. It does not listen yet. */
export async function createServer(app: App): Promise<Server> {
  const { config } = app;
  const http = createHttp(app);
  let closing = false;
  addHooks(http, app);
  acceptUtf8JsonOnly(http);
  http.setErrorHandler<FastifyError>((error, _request, reply) => sendError(app, error, reply));
  await addSecurityHeaders(http, app);
  http.addHook('onSend', async (_request, reply) => {
    // Otherwise the client keeps the connection open for reuse.
    if (closing) reply.header('connection', 'close');
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  await http.register(cookies);

  const graphql = await createGraphQLService(app);
  addGraphQL(http, app, graphql);
  addJwks(http, app);
  addProbes(http, app, () => closing);
  if (!config.production) addOutboxPage(http, app);
  if (config.webPages) addWebPages(http, app);

  return {
    listen: () => http.listen({ host: config.host, port: config.port }),
    async close() {
      closing = true;
      // Let the load balancer notice before this process stops accepting connections.
      await delay(config.shutdownDrainSeconds * 1000);
      const timeout = setTimeout(() => http.server.closeAllConnections(), openRequestTimeoutMilliseconds);
      await http.close();
      clearTimeout(timeout);
      await graphql.stop();
      await app.close();
    },
  };
}

function createHttp({ config }: App): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    trustProxy: config.trustProxy.length > 0 ? config.trustProxy : false,
    requestTimeout: 30_000,
    // By default, Node waits 60 s for headers and checks timeouts every 30 s.
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
    },
  });
}

/** Adds an ID to the log and the response of each request, and records its span and metrics. */
function addHooks(http: FastifyInstance, app: App): void {
  http.addHook('onRequest', ({ id }, reply, done) => {
    reply.header('x-request-id', id);
    currentRequest.run({ requestId: id }, done);
  });
  if (app.config.tracing) traceRequests(http, app);
  http.addHook('onResponse', ({ routeOptions: { url = 'none' } }, reply, done) => {
    app.metrics.requested(url, reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
}

async function addSecurityHeaders(http: FastifyInstance, { config }: App): Promise<void> {
  await http.register(helmet, {
    // Pages override this policy. Other responses need no resources.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: config.publicUrl.startsWith('https:') && { maxAge: 31_536_000, includeSubDomains: false },
  });
  if (config.corsOrigins.length > 0)
    await http.register(cors, {
      origin: [...config.corsOrigins],
      credentials: true,
      methods: ['GET', 'POST'],
      maxAge: 7200,
    });
}

/** Responds to an error outside GraphQL in the format of a GraphQL response. */
function sendError(app: App, error: FastifyError, reply: FastifyReply): FastifyReply {
  const { statusCode = 500 } = error;
  if (statusCode < 500)
    return reply.code(statusCode).send({ errors: [{ message: error.message, extensions: { code: 'BAD_REQUEST' } }] });
  const { message, extensions } = toGraphQLError(app, error);
  // Invariant: toGraphQLError puts only this under `http`.
  const { http, ...facts } = extensions as { http?: { status: number; headers: Map<string, string> } };
  for (const [name, value] of http?.headers ?? []) reply.header(name, value);
  return reply.code(http?.status ?? 500).send({ errors: [{ message, extensions: facts }] });
}
