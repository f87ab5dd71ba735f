/** Traces in OpenTelemetry's form. Its packages are loaded only where its standard variables are set. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';

export interface TracingOptions {
  /** of the collector, as it is */
  url: string;
  serviceName: string;
}

/** What is traced. Names and attributes are the program's own text, never that of a client. */
export interface SpanOptions {
  name: string;
  /** `server`: a request. Everything else is part of one, or is not traced. */
  kind: 'server' | 'internal' | 'client';
  /** of the header that names the caller's span; that of `tracestate` would go into every span, and may be anything */
  traceparent?: unknown;
  attributes: Attributes;
}

/** A span that has not ended. */
export interface ActiveSpan {
  setAttributes(attributes: Attributes): void;
  /** @param type a code or the name of an error; never its message, which may quote what was sent */
  fail(type: string): void;
}

export interface Tracing {
  /** Does the work in a span, whose parent is the current one. Rejects where the work does. */
  withSpan<T>(options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T>;
  /** Sends the spans that are left. Never rejects. */
  close(): Promise<void>;
}

/** A collector that does not answer holds up no stop. */
const flushMilliseconds = 2_000;

const noopSpan: ActiveSpan = { setAttributes() {}, fail() {} };
const off: Tracing = { withSpan: (_, work) => work(noopSpan), close: async () => {} };

const open = new AsyncLocalStorage<{ span: Span; context: Context }>();

/** The trace that is open, by the name that OpenTelemetry gives it in logs. */
export function currentTrace(): { trace_id?: string } {
  const current = open.getStore();
  return current === undefined ? {} : { trace_id: current.span.spanContext().traceId };
}

/**
 * Loads OpenTelemetry only where traces have somewhere to go.
 * OpenTelemetry itself reads the sampler, limits, headers and further attributes from the environment.
 * @param options undefined where no collector is configured
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
      // What the program does by itself, such as a look at the keys each minute, would be a trace of one statement.
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
      // What could not be sent is in the log.
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
    // The second tells replicas apart.
    detectors: [resources.envDetector, resources.serviceInstanceIdDetector],
  });
  return new sdk.BasicTracerProvider({
    resource: detected.merge(resources.resourceFromAttributes({ 'service.name': serviceName })),
    spanProcessors: [processor],
  });
}
