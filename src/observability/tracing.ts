/** OpenTelemetry traces. Its packages load only if a collector is configured. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';

export interface TracingOptions {
  /** the exact URL of the collector */
  url: string;
  serviceName: string;
}

/** The options of a span. Names and attributes never contain text of a client. */
export interface SpanOptions {
  name: string;
  /**
   * `server` starts the trace of a request. Other spans are part of a request, or are not traced.
   */
  kind: 'server' | 'internal' | 'client';
  /**
   * header with the parent span; `tracestate` is ignored, because it is untrusted and copied to
   * every span
   */
  traceparent?: unknown;
  attributes: Attributes;
}

/** An open span. */
export interface ActiveSpan {
  setAttributes(attributes: Attributes): void;
  /** Marks the span as failed. @param type a code or the name of an error, never its message */
  fail(type: string): void;
}

export interface Tracing {
  /** Runs the work in a child of the current span. Rejects if the work rejects. */
  withSpan<T>(options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T>;
  /** Sends the remaining spans. Never rejects. */
  close(): Promise<void>;
}

/** Bounds the shutdown if the collector does not respond. */
const flushMilliseconds = 2_000;

const noopSpan: ActiveSpan = { setAttributes() {}, fail() {} };
const off: Tracing = { withSpan: (_, work) => work(noopSpan), close: async () => {} };

const open = new AsyncLocalStorage<{ span: Span; context: Context }>();

/** Returns the current trace by its OpenTelemetry log field. */
export function currentTrace(): { trace_id?: string } {
  const current = open.getStore();
  return current === undefined ? {} : { trace_id: current.span.spanContext().traceId };
}

/**
 * Creates tracing, or does nothing without a collector.
 * OpenTelemetry reads the sampler, limits, headers and further attributes from the environment.
 * @param options undefined without a collector
 */
export async function createTracing(options: TracingOptions | undefined, log: Logger): Promise<Tracing> {
  if (options === undefined) return off;
  const libraries = await loadOpenTelemetry();
  const { api, core } = libraries;
  const provider = createProvider(libraries, options, log);
  const tracer = provider.getTracer('flex-identity');
  const propagator = new core.W3CTraceContextPropagator();
  const kinds = { server: api.SpanKind.SERVER, internal: api.SpanKind.INTERNAL, client: api.SpanKind.CLIENT };
  const findParent = ({ kind, traceparent }: SpanOptions) =>
    kind === 'server'
      ? propagator.extract(api.ROOT_CONTEXT, { traceparent }, api.defaultTextMapGetter)
      : open.getStore()?.context;

  return {
    async withSpan(options, work) {
      const parent = findParent(options);
      // Work outside a request, such as the key refresh, would be a trace of one statement.
      if (parent === undefined) return work(noopSpan);
      const { name, kind, attributes } = options;
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, parent);
      const context = api.trace.setSpan(parent, span);
      try {
        return await open.run({ span, context }, work, {
          setAttributes: (attributes) => span.setAttributes(attributes),
          fail: (type) => span.setStatus({ code: api.SpanStatusCode.ERROR }).setAttribute('error.type', type),
        });
      } finally {
        span.end();
      }
    },
    async close() {
      // The exporter logs spans that it cannot send.
      const flushed = provider.shutdown().catch(() => {});
      await Promise.race([flushed, delay(flushMilliseconds, undefined, { ref: false })]);
    },
  };
}

async function loadOpenTelemetry() {
  const [api, core, sdk, otlp, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  return { api, core, sdk, otlp, resources };
}

function createProvider(
  { sdk, otlp, resources }: Awaited<ReturnType<typeof loadOpenTelemetry>>,
  { url, serviceName }: TracingOptions,
  log: Logger,
): BasicTracerProvider {
  const exporter = new otlp.OTLPTraceExporter({ url });
  const processor = new sdk.BatchSpanProcessor({
    export(spans, onResult) {
      exporter.export(spans, (result) => {
        if (result.error) log.warn({ err: result.error, spans: spans.length }, 'trace export failed');
        onResult(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  });
  const detected = resources.detectResources({
    // The second detector distinguishes replicas.
    detectors: [resources.envDetector, resources.serviceInstanceIdDetector],
  });
  return new sdk.BasicTracerProvider({
    resource: detected.merge(resources.resourceFromAttributes({ 'service.name': serviceName })),
    spanProcessors: [processor],
  });
}
