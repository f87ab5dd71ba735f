/** Limits of requests to a provider: time, attempts and concurrency. */
import { setTimeout as delay } from 'node:timers/promises';
import { DeliveryError, type Envelope } from './delivery.js';

/** Leaves 0.5 s of the 5 s budget of an operation. */
const timeoutMs = 4_500;
const maxAttempts = 3;
/** Limits the sockets that a hanging provider can hold. */
const maxInFlight = 50;
/** Further messages wait for a slot. Beyond this number they fail at once. */
const maxWaiting = 1_000;

/** A failed attempt. */
export interface FailedAttempt {
  reason: string;
  /** the error message of the provider */
  providerMessage?: string | undefined;
  /** set only if the provider did not accept the message, so that a retry cannot send it twice */
  retryAfterMs?: number | undefined;
}

/** The time budget of an attempt. */
export interface TimeBudget {
  signal: AbortSignal;
  remainingMs: number;
}

/** Codes of connections that were never established. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * Creates a function that performs a request within the limits and retries it.
 * @param describe reads the error of a failed attempt
 */
export function createRetry(
  describe: (error: unknown) => FailedAttempt,
): (envelope: Envelope, request: (budget: TimeBudget) => Promise<void>) => Promise<void> {
  const slots = createSemaphore();
  return async (envelope, request) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const deadline = performance.now() + timeoutMs;
    await slots.acquire(signal);
    try {
      // The race is needed because a library may ignore the signal.
      await Promise.race([
        requestWithRetries(envelope, request, describe, { signal, deadline }),
        rejectOnAbort(signal),
      ]);
    } finally {
      slots.release();
    }
  };
}

async function requestWithRetries(
  envelope: Envelope,
  request: (budget: TimeBudget) => Promise<void>,
  describe: (error: unknown) => FailedAttempt,
  { signal, deadline }: { signal: AbortSignal; deadline: number },
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request({ signal, remainingMs: Math.max(1, deadline - performance.now()) });
    } catch (error) {
      const { reason, providerMessage, retryAfterMs } = describeConnectionError(error) ?? describe(error);
      if (retryAfterMs === undefined || attempt === maxAttempts || performance.now() + retryAfterMs >= deadline)
        throw new DeliveryError(providerMessage ? `${reason}, ${quote(providerMessage, envelope)}` : reason);
      await delay(retryAfterMs, undefined, { signal });
    }
  }
}

function describeConnectionError(error: unknown): FailedAttempt | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? cause.code : undefined;
    if (typeof code === 'string' && neverConnected.has(code)) return { reason: code, retryAfterMs: 500 };
  }
  return undefined;
}

/** Quotes the provider for the log, unless the quote has the address or the one-time password. */
function quote(providerMessage: string, { to, oneTimePassword }: Envelope): string {
  const text = providerMessage.toLowerCase();
  const repeats = (piece: string) => text.includes(piece.toLowerCase());
  const repeatsAddress = to.includes('@')
    ? to.split('@').every(repeats)
    : text.replace(/\D/g, '').includes(to.replace(/\D/g, '').slice(-7));
  // A part is enough, because the provider may truncate or group it.
  const repeatsPassword = oneTimePassword?.match(/.{4}/g)?.some(repeats) ?? false;
  return repeatsAddress || repeatsPassword ? 'provider message omitted' : JSON.stringify(providerMessage.slice(0, 200));
}

/** Creates a semaphore with `maxInFlight` slots and at most `maxWaiting` waiting messages. */
function createSemaphore(): { acquire(signal: AbortSignal): Promise<void>; release(): void } {
  let free = maxInFlight;
  const waiting: (() => void)[] = [];
  return {
    async acquire(signal) {
      if (free > 0) {
        free -= 1;
        return;
      }
      if (waiting.length >= maxWaiting) throw new DeliveryError('too many messages in flight');
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        const giveUp = () => {
          const index = waiting.indexOf(resolve);
          if (index < 0) return;
          waiting.splice(index, 1);
          reject(new DeliveryError('timed out waiting for other messages'));
        };
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    release() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new DeliveryError('no response in time')), {
      once: true,
    });
  });
}

/** Reads a `Retry-After` header in seconds. Returns one second if it is missing or invalid. */
export function readRetryAfterMs(header: string | null | undefined): number {
  const seconds = Number(header ?? 1);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
}
