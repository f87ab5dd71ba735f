/** Endpoints for monitoring: liveness, readiness and metrics. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

/**
 * Serves `/healthz`, `/readyz` and `/metrics`.
 * @param isClosing returns whether the shutdown has begun
 */
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
    // The message count reveals whether an address has an account, so hide it from clients of a
    // proxy.
    if (ips.length > 1) return reply.callNotFound();
    const { text, contentType } = await app.metrics.expose();
    return reply.header('content-type', contentType).send(text);
  });
}
