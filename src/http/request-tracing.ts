/** A span for each request. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

/** Paths that monitoring requests every few seconds. */
const untraced = new Set(['/healthz', '/readyz', '/metrics']);

/** Traces every request but those of monitoring. The parent is the span that `traceparent` names. */
export function traceRequests(http: FastifyInstance, { tracing }: App): void {
  http.addHook('onRequest', ({ method, headers, routeOptions: { url } }, reply, done) => {
    if (url !== undefined && untraced.has(url)) return done();
    // The declared path, because the requested one may hold anything.
    const name = [method, url].filter(Boolean).join(' ');
    const attributes = { 'http.request.method': method, ...(url !== undefined && { 'http.route': url }) };
    tracing.withSpan({ name, kind: 'server', traceparent: headers.traceparent, attributes }, async (span) => {
      done();
      // Closes when the answer has been sent, and when the connection breaks.
      await new Promise((resolve) => reply.raw.once('close', resolve));
      span.setAttributes({ 'http.response.status_code': reply.statusCode });
      if (reply.statusCode >= 500) span.fail(String(reply.statusCode));
    });
  });
}
