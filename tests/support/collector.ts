/** A collector of traces that decodes the OTLP requests of OpenTelemetry. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { gunzipSync } from 'node:zlib';

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  /** empty for a root span */
  parentSpanId: string;
  name: string;
  kind: 'internal' | 'server' | 'client' | 'other';
  attributes: Record<string, string | number>;
  failed: boolean;
  /** resource attributes of the process, like `service.name` */
  resource: Record<string, string | number>;
}

export interface Collector {
  url: string;
  spans(): CollectedSpan[];
  /** all received data as text, including fields that this decoder skips */
  received(): string;
  clear(): void;
  /** Accepts further requests without responding. */
  hang(): void;
}

/** Starts a collector, and stops it after the tests of this file. */
export async function startCollector(): Promise<Collector> {
  let bodies: Buffer[] = [];
  let hangs = false;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (hangs) return;
    const known = request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf';
    if (known) bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
    response.writeHead(known ? 200 : 400).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => bodies.flatMap(spansOf),
    received: () => Buffer.concat(bodies).toString(),
    clear: () => {
      bodies = [];
    },
    hang: () => {
      hangs = true;
    },
  };
}

const kinds: Record<number, CollectedSpan['kind']> = { 1: 'internal', 2: 'server', 3: 'client' };

/**
 * @see
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
 */
function spansOf(body: Buffer): CollectedSpan[] {
  return fields(body)
    .each(1, (ofResource) => {
      const resource = ofResource.each(1, (fields) => attributesOf(fields.each(1, (pair) => pair)))[0] ?? {};
      return ofResource
        .each(2, (ofScope) =>
          ofScope.each(2, (span) => ({
            traceId: span.bytes(1).toString('hex'),
            spanId: span.bytes(2).toString('hex'),
            parentSpanId: span.bytes(4).toString('hex'),
            name: span.bytes(5).toString(),
            kind: kinds[span.number(6)] ?? 'other',
            attributes: attributesOf(span.each(9, (pair) => pair)),
            failed: span.each(15, (status) => status.number(3))[0] === 2,
            resource,
          })),
        )
        .flat();
    })
    .flat();
}

function attributesOf(pairs: Fields[]): Record<string, string | number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [value] = pair.each(2, (any) => (any.has(1) ? any.bytes(1).toString() : any.number(3)));
      return [pair.bytes(1).toString(), value ?? ''];
    }),
  );
}

interface Fields {
  has(number: number): boolean;
  bytes(number: number): Buffer;
  number(number: number): number;
  each<T>(number: number, read: (fields: Fields) => T): T[];
}

/**
 * Decodes the fields of a message by number.
 * @see https://protobuf.dev/programming-guides/encoding/
 */
function fields(message: Buffer): Fields {
  const found: [number: number, value: Buffer | number][] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++]!;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => {
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = varint();
    const wireType = tag % 8;
    const value = wireType === 0 ? varint() : take(wireType === 1 ? 8 : wireType === 5 ? 4 : varint());
    found.push([Math.floor(tag / 8), value]);
  }
  const valuesOf = (number: number) => found.filter(([each]) => each === number).map(([, value]) => value);
  return {
    has: (number) => valuesOf(number).length > 0,
    bytes: (number) => valuesOf(number).find((value) => Buffer.isBuffer(value)) ?? Buffer.alloc(0),
    number: (number) => valuesOf(number).find((value) => typeof value === 'number') ?? 0,
    each: (number, read) => valuesOf(number).map((value) => read(fields(value as Buffer))),
  };
}
