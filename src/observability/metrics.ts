/** Metrics, in the form of Prometheus. Labels have few values: operations, codes, channels. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  /** a request was answered. @param route the declared path, not the requested one */
  requested(route: string, status: number, seconds: number): void;
  /** an operation was answered. @param outcome `ok`, or the code of the error */
  answered(operation: string, outcome: string, seconds: number): void;
  /** admission control has shed a request */
  shed(): void;
  /** an internal error has occurred, in any part of a request */
  internalError(): void;
  /** a provider has accepted a message or not: `sent`, `failed` */
  delivered(channel: string, provider: string, outcome: string): void;
  /** a password was checked against a stored hash that can verify nothing */
  unverifiableHash(scheme: string, fault: string): void;
  /** the text of the exposition format, and its content type */
  expose(): Promise<{ text: string; contentType: string }>;
}

/** Read when they are asked for. */
export interface Gauges {
  /** passwords that wait to be hashed or compared */
  hashesWaiting(): number;
  /** null on the embedded database */
  pool(): { total: number; idle: number; waiting: number } | null;
}

/** Makes the metrics of one service, with those of its process. Durations are in seconds. */
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
    help: 'How long operations took, by operation and outcome: ok, the code of a refusal, or that of an error.',
    labelNames: ['operation', 'outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const requests = new Histogram({
    name: 'flex_identity_request_seconds',
    help: 'How long requests took, by route and status, those that no operation was found in included.',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const shed = new Counter({
    name: 'flex_identity_requests_shed_total',
    help: 'Requests that were answered with 503 before anything was done, because too many were being answered.',
    registers,
  });
  const internalErrors = new Counter({
    name: 'flex_identity_internal_errors_total',
    help: 'Failures that nobody foresaw, each of which is in the log under the id that the client was given.',
    registers,
  });
  const messages = new Counter({
    name: 'flex_identity_messages_total',
    help: 'Messages by channel, provider and outcome: sent (handed over), failed (not accepted).',
    labelNames: ['channel', 'provider', 'outcome'],
    registers,
  });
  const unverifiable = new Counter({
    name: 'flex_identity_unverifiable_hashes_total',
    help: 'Passwords that were held against a stored hash that can verify nothing, by its scheme and what is wrong with it.',
    labelNames: ['scheme', 'fault'],
    registers,
  });
  return { answers, requests, shed, internalErrors, messages, unverifiable };
}

function addGauges(registers: Registry[], { hashesWaiting, pool }: Gauges): void {
  new Gauge({
    name: 'flex_identity_hashes_waiting',
    help: 'Passwords that wait to be hashed, compared or scored.',
    registers,
    collect() {
      this.set(hashesWaiting());
    },
  });
  new Gauge({
    name: 'flex_identity_pool_connections',
    help: 'Connections to PostgreSQL by state, and requests that wait for one.',
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
