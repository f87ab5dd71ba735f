/** Traces in OpenTelemetry's form, for whoever sets its standard variables; without them its packages are not even loaded. Belongs to `app.ts`. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { Logger } from 'pino';

export interface TracingOptions {
  /** of the collector, as it is */
  url: string;
  serviceName: string;
}

/** What is traced. Names and attributes are words of the program's own: nothing that a client has sent is among them. */
export interface Stretch {
  name: string;
  /** `server`: a request. Everything else is part of one, or is not traced. */
  kind: 'server' | 'internal' | 'client';
  /** of the header that names the caller's span; that of `tracestate` would go into every span, and may be anything */
  traceparent?: unknown;
  attributes: Attributes;
}

/** A span that has not ended. */
export interface OpenSpan {
  note(attributes: Attributes): void;
  /** @param type a code or the name of an error; never its message, which may quote what was sent */
  fail(type: string): void;
}

export interface Tracing {
  /** Does the work, and notes how long it took, within what is open already. */
  during<T>(stretch: Stretch, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** Sends what has not been sent yet. */
  close(): Promise<void>;
}

/** A collector that does not answer holds up no stop. */
const flushMilliseconds = 2_000;

const unseen: OpenSpan = { note() {}, fail() {} };
const off: Tracing = { during: (_, work) => work(unseen), close: async () => {} };

const open = new AsyncLocalStorage<{ span: Span; context: Context }>();

/** The trace that is open, by the name that OpenTelemetry gives it in logs. */
export function currentTrace(): { trace_id?: string } {
  const current = open.getStore();
  return current === undefined ? {} : { trace_id: current.span.spanContext().traceId };
}

/**
 * The sampler, limits, headers and further attributes are read from the environment by OpenTelemetry itself.
 * @param options undefined where nobody asks for traces
 */
export async function createTracing(options: TracingOptions | undefined, log: Logger): Promise<Tracing> {
  if (options === undefined) return off;
  const [api, core, sdk, otlp, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new otlp.OTLPTraceExporter({ url: options.url });
  const processor = new sdk.BatchSpanProcessor({
    export(spans, told) {
      exporter.export(spans, (result) => {
        if (result.error) log.warn({ err: result.error, spans: spans.length }, 'traces could not be sent');
        told(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  });
  const detected = resources.detectResources({
    // Replicas are told apart by the second.
    detectors: [resources.envDetector, resources.serviceInstanceIdDetector],
  });
  const provider = new sdk.BasicTracerProvider({
    resource: detected.merge(resources.resourceFromAttributes({ 'service.name': options.serviceName })),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('flex-identity');
  const callers = new core.W3CTraceContextPropagator();
  const kinds = { server: api.SpanKind.SERVER, internal: api.SpanKind.INTERNAL, client: api.SpanKind.CLIENT };
  const contextOf = ({ kind, traceparent }: Stretch) =>
    kind === 'server'
      ? callers.extract(api.ROOT_CONTEXT, { traceparent }, api.defaultTextMapGetter)
      : open.getStore()?.context;

  return {
    async during(stretch, work) {
      const parent = contextOf(stretch);
      // What the program does by itself, such as a look at the keys each minute, would be a trace of one statement.
      if (parent === undefined) return work(unseen);
      const { name, kind, attributes } = stretch;
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, parent);
      const context = api.trace.setSpan(parent, span);
      try {
        return await open.run({ span, context }, work, {
          note: (attributes) => span.setAttributes(attributes),
          fail: (type) => span.setStatus({ code: api.SpanStatusCode.ERROR }).setAttribute('error.type', type),
        });
      } finally {
        span.end();
      }
    },
    async close() {
      // What could not be sent is in the log.
      const flushed = provider.shutdown().catch(() => {});
      await Promise.race([flushed, delay(flushMilliseconds, undefined, { ref: false })]);
    },
  };
}
