/** HTTP: the routes, and starting and stopping. */
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
import { outboxContentSecurityPolicy, outboxPage } from './outbox-page.js';
import { addWebPages } from './web-pages.js';

export interface Server {
  /** Starts to listen. @returns where, like `http://127.0.0.1:4000` */
  listen(): Promise<string>;
  /** Says that it is not ready, and serves on for as long as is configured; lets requests under way end, for a while; then ends everything that the app holds. */
  close(): Promise<void>;
}

const bodyLimitBytes = 64 * 1024;
/** What a stop waits for requests under way: a statement has less, and a client that sends its request byte by byte is not to hold up the stop. */
const patienceMilliseconds = 5_000;

export async function createServer(app: App): Promise<Server> {
  const { config } = app;
  const http = fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    trustProxy: config.trustProxy.length > 0 ? config.trustProxy : false,
    requestTimeout: 30_000,
    // Else a head that never ends is waited for twice as long as a whole request, and that is looked at twice a minute.
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
    },
  });
  http.addHook('onRequest', ({ id }, reply, done) => {
    reply.header('x-request-id', id);
    currentRequest.run({ requestId: id }, done);
  });
  if (config.tracing) traceRequests(http, app);
  http.addHook('onResponse', ({ routeOptions: { url = 'none' } }, reply, done) => {
    app.metrics.requested(url, reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
  takeJsonInUtf8Only(http);
  http.setErrorHandler<FastifyError>((error, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode < 500)
      return reply.code(statusCode).send({ errors: [{ message: error.message, extensions: { code: 'BAD_REQUEST' } }] });
    const { message, extensions } = toGraphQLError(app, error);
    const { http, ...facts } = extensions as { http?: { status: number; headers: Map<string, string> } };
    for (const [name, value] of http?.headers ?? []) reply.header(name, value);
    return reply.code(http?.status ?? 500).send({ errors: [{ message, extensions: facts }] });
  });
  await http.register(helmet, {
    // What is not a page needs nothing, and pages say what they need.
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

  let closing = false;
  // Else the connection of a request that was under way stays open for as long as its client may use it again.
  http.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  await http.register(cookies);

  const graphql = await createGraphQLService(app);
  const door = createDoor(app);
  http.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    handler: (request, reply) =>
      door(reply, async () => {
        const { method, headers, url, body, ip, cookies } = request;
        const question = url.indexOf('?');
        const response = await graphql.execute({
          method,
          headers,
          search: question < 0 ? '' : url.slice(question),
          body,
          ipAddress: ip,
          header: (name) => [headers[name]].flat()[0],
          cookie: (name) => cookies[name],
          setCookie: (name, value, options) => {
            if (value === null) reply.clearCookie(name, options);
            else reply.setCookie(name, value, options);
          },
        });
        for (const [name, value] of response.headers) reply.header(name, value);
        // The explorer's page names its own sources, with a nonce of its own.
        if (reply.getHeader('content-type')?.toString().startsWith('text/html'))
          reply.header('content-security-policy', "base-uri 'none'; object-src 'none'; frame-ancestors 'none'");
        return reply.code(response.status).header('cache-control', 'no-store').send(response.body);
      }),
  });
  addMetadata(http, app);
  addProbes(http, app, () => closing);
  http.get('/metrics', async ({ ips = [] }, reply) => {
    // Counts tell whether an address is known: they are for whoever reaches this process itself, and not for clients of a proxy.
    if (ips.length > 1) return reply.callNotFound();
    const { text, contentType } = await app.metrics.expose();
    return reply.header('content-type', contentType).send(text);
  });
  if (!config.production) addOutbox(http, app);
  if (config.web) addWebPages(http, app);

  return {
    listen: () => http.listen({ host: config.host, port: config.port }),
    async close() {
      closing = true;
      // Whoever hands out requests is to see that this process is not ready before it takes none any more.
      await delay(config.drainSeconds * 1000);
      const patience = setTimeout(() => http.server.closeAllConnections(), patienceMilliseconds);
      await http.close();
      clearTimeout(patience);
      await graphql.stop();
      await app.close();
    },
  };
}

/** How many requests are answered at once for each connection to the database: more would only wait for it, and each in vain once it has waited for two seconds. */
const requestsPerConnection = 20;

/** Lets in as many requests as the service can answer, and tells the others at once to come again. Those that wait for a hash or a provider have bounded queues of their own. */
function createDoor({ config, passwords, waitingForProvider, metrics }: App) {
  const most = requestsPerConnection * config.databasePoolSize;
  let within = 0;
  return async (reply: FastifyReply, answer: () => Promise<FastifyReply>): Promise<FastifyReply> => {
    if (within - passwords.waiting() - waitingForProvider() >= most) {
      metrics.shed();
      const extensions = { code: 'SERVICE_UNAVAILABLE' };
      const message = 'The service cannot answer now. Try again soon.';
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({ errors: [{ message, extensions }] });
    }
    within += 1;
    try {
      return await answer();
    } finally {
      within -= 1;
    }
  };
}

/** Every other content type is a 415, also one that names another character set: two could read two things in such a body. */
function takeJsonInUtf8Only(http: FastifyInstance): void {
  const jsonInUtf8 = /^application\/json\s*(;\s*charset=("utf-8"|utf-8)\s*)?$/i;
  const parse = http.getDefaultJsonParser('error', 'error');
  // Else broken bytes become a sign that stands for all of them: passwords that differ would be the same.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // What Fastify makes of the header leaves out what it does not understand.
    if (!jsonInUtf8.test(request.headers['content-type'] ?? '')) return done(refusal(415, 'Unsupported Media Type'));
    let text: string;
    try {
      text = decoder.decode(body);
    } catch {
      return done(refusal(400, 'The body is not UTF-8.'));
    }
    parse(request, text, done);
  });
}

function refusal(statusCode: number, message: string): FastifyError {
  return Object.assign(new Error(message), { statusCode, code: 'REFUSED' });
}

/** Where others find the keys that verify access tokens. @see RFC 8414, RFC 7517 */
function addMetadata(http: FastifyInstance, app: App): void {
  // Both together are shorter than a key is published before it signs.
  const caching = 'public, max-age=300, stale-if-error=1800';
  const { publicUrl } = app.config;
  const metadata = {
    issuer: publicUrl,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    response_types_supported: [],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    claims_supported: ['iss', 'aud', 'sub', 'sid', 'iat', 'exp', 'auth_time', 'amr', 'roles'],
  };
  http.get('/.well-known/jwks.json', (_request, reply) =>
    reply
      .header('cache-control', caching)
      .send({ keys: app.keys.accessTokens().verification.map(({ publicJwk }) => publicJwk) }),
  );
  for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'])
    http.get(path, (_request, reply) => reply.header('cache-control', caching).send(metadata));
}

/** Asked every few seconds, by machines. */
const untraced = new Set(['/healthz', '/readyz', '/metrics']);

function traceRequests(http: FastifyInstance, { tracing }: App): void {
  http.addHook('onRequest', ({ method, headers, routeOptions: { url } }, reply, done) => {
    if (url !== undefined && untraced.has(url)) return done();
    // The path as it is declared: the one that was asked for may hold anything.
    const name = [method, url].filter(Boolean).join(' ');
    const attributes = { 'http.request.method': method, ...(url !== undefined && { 'http.route': url }) };
    tracing.withSpan({ name, kind: 'server', traceparent: headers.traceparent, attributes }, async (span) => {
      done();
      // Ended or broken off: after either nothing more comes.
      await new Promise((resolve) => reply.raw.once('close', resolve));
      span.setAttributes({ 'http.response.status_code': reply.statusCode });
      if (reply.statusCode >= 500) span.fail(String(reply.statusCode));
    });
  });
}

function addProbes(http: FastifyInstance, app: App, isClosing: () => boolean): void {
  http.get('/healthz', () => ({ status: 'ok' }));
  http.get('/readyz', async (_request, reply) => {
    if (isClosing()) return reply.code(503).send({ status: 'draining' });
    try {
      await app.ping();
      return { status: 'ready' };
    } catch (error) {
      app.log.warn({ err: error }, 'not ready');
      return reply.code(503).send({ status: 'database unavailable' });
    }
  });
}

function addOutbox(http: FastifyInstance, app: App): void {
  http.get('/dev/outbox', async ({ headers }, reply) => {
    const messages = await app.outbox();
    if (headers.accept?.includes('application/json')) return messages;
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', outboxContentSecurityPolicy)
      .send(outboxPage(messages));
  });
}
