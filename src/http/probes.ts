/** Endpoints for monitoring: liveness, readiness and metrics. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

/** Serves `/healthz`, `/readyz` and `/metrics`. @param isClosing whether a stop has begun: the service is then not ready */
export function addProbes(http: FastifyInstance, app: App, isClosing: () => boolean): void {
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
  http.get('/metrics', async ({ ips = [] }, reply) => {
    // Counts tell whether an address is known, so clients of a proxy must not read them.
    if (ips.length > 1) return reply.callNotFound();
    const { text, contentType } = await app.metrics.expose();
    return reply.header('content-type', contentType).send(text);
  });
}
