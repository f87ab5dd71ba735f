/** Prometheus metrics. Labels have few values: operations, codes and channels. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  /** Records a response. @param route the declared path, not the requested path */
  requested(route: string, status: number, seconds: number): void;
  /** Records the result of an operation. @param outcome `ok`, or the code of the error */
  answered(operation: string, outcome: string, seconds: number): void;
  /** Counts a request that admission control shed. */
  shed(): void;
  /** Counts an internal error. */
  internalError(): void;
  /** Counts a message. @param outcome `sent` if the provider accepted it, else `failed` */
  delivered(channel: string, provider: string, outcome: string): void;
  /** Counts a comparison with an unverifiable hash. */
  unverifiableHash(scheme: string, fault: string): void;
  /** Returns the metrics in the exposition format, and the content type. */
  expose(): Promise<{ text: string; contentType: string }>;
}

/** Values that each scrape reads. */
export interface Gauges {
  /** Returns the number of tasks that wait for a hashing thread. */
  hashesWaiting(): number;
  /** Returns the connections, or null for the embedded database. */
  pool(): { total: number; idle: number; waiting: number } | null;
}

/** Creates the metrics of a service and its process. Durations are in seconds. */
export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { answers, requests, shed, internalErrors, messages, unverifiable } = createInstruments([registry]);
  addGauges([registry], gauges);
  return {
    requested: (route, status, seconds) => requests.observe({ route, status }, seconds),
    answered: (operation, outcome, seconds) => answers.observe({ operation, outcome }, seconds),
    shed: () => shed.inc(),
    internalError: () => internalErrors.inc(),
    delivered: (channel, provider, outcome) => messages.inc({ channel, provider, outcome }),
    unverifiableHash: (scheme, fault) => unverifiable.inc({ scheme, fault }),
    async expose() {
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

/** Longer than 40 lines, because it is a table of the metrics. */
function createInstruments(registers: Registry[]) {
  const answers = new Histogram({
    name: 'flex_identity_operation_duration_seconds',
    help: 'Duration of operations by operation and outcome: ok, or the code of an error.',
    labelNames: ['operation', 'outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const requests = new Histogram({
    name: 'flex_identity_request_seconds',
    help: 'Duration of requests by route and status, including malformed requests.',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const shed = new Counter({
    name: 'flex_identity_requests_shed_total',
    help: 'Requests that admission control rejected with 503 because too many were in flight.',
    registers,
  });
  const internalErrors = new Counter({
    name: 'flex_identity_internal_errors_total',
    help: 'Internal errors. The log has each under the error ID that the client received.',
    registers,
  });
  const messages = new Counter({
    name: 'flex_identity_messages_total',
    help: 'Messages by channel, provider and outcome: sent (accepted by the provider), failed.',
    labelNames: ['channel', 'provider', 'outcome'],
    registers,
  });
  const unverifiable = new Counter({
    name: 'flex_identity_unverifiable_hashes_total',
    help: 'Password comparisons with an unverifiable stored hash, by scheme and fault.',
    labelNames: ['scheme', 'fault'],
    registers,
  });
  return { answers, requests, shed, internalErrors, messages, unverifiable };
}

function addGauges(registers: Registry[], { hashesWaiting, pool }: Gauges): void {
  new Gauge({
    name: 'flex_identity_hashes_waiting',
    help: 'Passwords that wait for hashing, verification or scoring.',
    registers,
    collect() {
      this.set(hashesWaiting());
    },
  });
  new Gauge({
    name: 'flex_identity_pool_connections',
    help: 'PostgreSQL connections by state: used, idle. Requests that wait for a connection: waiting.',
    labelNames: ['state'],
    registers,
    collect() {
      const state = pool();
      if (state === null) return;
      this.set({ state: 'used' }, state.total - state.idle);
      this.set({ state: 'idle' }, state.idle);
      this.set({ state: 'waiting' }, state.waiting);
    },
  });
}
