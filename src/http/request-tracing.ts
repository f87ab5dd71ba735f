/** Traces requests. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

/** Paths that monitoring polls every few seconds. */
const untraced = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Traces requests, except those of monitoring. The header `traceparent` identifies the parent span.
 */
export function traceRequests(http: FastifyInstance, { tracing }: App): void {
  http.addHook('onRequest', ({ method, headers, routeOptions: { url } }, reply, done) => {
    if (url !== undefined && untraced.has(url)) return done();
    // Use the declared path, because the requested path is client text.
    const name = [method, url].filter(Boolean).join(' ');
    const attributes = { 'http.request.method': method, ...(url !== undefined && { 'http.route': url }) };
    tracing.withSpan({ name, kind: 'server', traceparent: headers.traceparent, attributes }, async (span) => {
      done();
      // `close` fires after the response is sent, and when the connection is lost.
      await new Promise((resolve) => reply.raw.once('close', resolve));
      span.setAttributes({ 'http.response.status_code': reply.statusCode });
      if (reply.statusCode >= 500) span.fail(String(reply.statusCode));
    });
  });
}
