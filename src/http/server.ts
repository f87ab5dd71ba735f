/** The HTTP server: its limits, its headers, its routes, and how it starts and stops. */
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
  /** Starts to listen. @returns the URL, like `http://127.0.0.1:4000` */
  listen(): Promise<string>;
  /**
   * Reports that the service is not ready, and serves on for `SHUTDOWN_DRAIN_SECONDS`. Gives requests under way five seconds more.
   * Then closes the app.
   */
  close(): Promise<void>;
}

const bodyLimitBytes = 64 * 1024;
/** How long a stop waits for requests under way. A statement has less, and a client that sends byte by byte must not delay the stop. */
const patienceMilliseconds = 5_000;

/** Makes the server with all routes, without listening. */
export async function createServer(app: App): Promise<Server> {
  const { config } = app;
  const http = createHttp(app);
  let closing = false;
  addHooks(http, app);
  acceptUtf8JsonOnly(http);
  http.setErrorHandler<FastifyError>((error, _request, reply) => sendError(app, error, reply));
  await addSecurityHeaders(http, app);
  http.addHook('onSend', async (_request, reply) => {
    // Without it the connection stays open for as long as its client may use it again.
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
      // A load balancer must see that this process is not ready before it refuses connections.
      await delay(config.shutdownDrainSeconds * 1000);
      const patience = setTimeout(() => http.server.closeAllConnections(), patienceMilliseconds);
      await http.close();
      clearTimeout(patience);
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
    // Node would wait for a head for twice as long as for a whole request, and look only twice a minute.
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
    },
  });
}

/** Gives each request its id in the log and in the answer, its span, and its place in the metrics. */
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
    // Pages send a policy of their own. Everything else needs nothing.
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

/** Answers a request that failed outside of GraphQL, in the form of a GraphQL answer. */
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
