/** The limits of requests to a provider: how long, how often, how many at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { DeliveryError, type Envelope } from './delivery.js';

/** Less than the five seconds within which a request must be answered, because it has other work before and after. */
const limitMilliseconds = 4_500;
const maxTries = 3;
/** The maximum of sockets that a provider that hangs can hold. */
const maxInFlight = 50;
/** The maximum of further messages, which wait within their own time limit. More are rejected at once. */
const maxWaiting = 1_000;

/** What a failed try says of the next. */
export interface Failure {
  reason: string;
  /** the provider's own text, if it gave any */
  providerMessage?: string | undefined;
  /** set where the provider has certainly not taken the message, so that a second try cannot double it */
  repeatAfterMilliseconds?: number | undefined;
}

/** The time that is left to a try. */
export interface TimeLeft {
  signal: AbortSignal;
  milliseconds: number;
}

/** Failures of a connection that was never made. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * Makes a function that runs an action within the limits. It rejects with a {@link DeliveryError}.
 * @param describe reads the error of the action
 */
export function createRetry(
  describe: (error: unknown) => Failure,
): (envelope: Envelope, action: (left: TimeLeft) => Promise<void>) => Promise<void> {
  const semaphore = createSemaphore();
  return async (envelope, action) => {
    const signal = AbortSignal.timeout(limitMilliseconds);
    const deadline = performance.now() + limitMilliseconds;
    await semaphore.acquire(signal);
    try {
      // Raced, because a library may look at the signal late or not at all.
      await Promise.race([tryRepeatedly(envelope, action, describe, { signal, deadline }), expiry(signal)]);
    } finally {
      semaphore.release();
    }
  };
}

async function tryRepeatedly(
  envelope: Envelope,
  action: (left: TimeLeft) => Promise<void>,
  describe: (error: unknown) => Failure,
  { signal, deadline }: { signal: AbortSignal; deadline: number },
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action({ signal, milliseconds: Math.max(1, deadline - performance.now()) });
    } catch (error) {
      const { reason, providerMessage, repeatAfterMilliseconds: wait } = describeConnection(error) ?? describe(error);
      if (wait === undefined || tries === maxTries || performance.now() + wait >= deadline)
        throw new DeliveryError(providerMessage ? `${reason}, ${quote(providerMessage, envelope)}` : reason);
      await delay(wait, undefined, { signal });
    }
  }
}

function describeConnection(error: unknown): Failure | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? at.code : undefined;
    if (typeof code === 'string' && neverConnected.has(code)) return { reason: code, repeatAfterMilliseconds: 500 };
  }
  return undefined;
}

/** Quotes the provider, unless its text repeats the address or the one-time password. */
function quote(providerMessage: string, { to, oneTimePassword }: Envelope): string {
  const text = providerMessage.toLowerCase();
  const repeats = (piece: string) => text.includes(piece.toLowerCase());
  const repeatsAddress = to.includes('@')
    ? to.split('@').every(repeats)
    : text.replace(/\D/g, '').includes(to.replace(/\D/g, '').slice(-7));
  // A part is enough, because the text may cut or group it.
  const repeatsPassword = oneTimePassword?.match(/.{4}/g)?.some(repeats) ?? false;
  return repeatsAddress || repeatsPassword
    ? 'in words that repeat the message'
    : JSON.stringify(providerMessage.slice(0, 200));
}

/** A semaphore with a bounded queue. */
function createSemaphore(): { acquire(signal: AbortSignal): Promise<void>; release(): void } {
  let free = maxInFlight;
  const waiting: (() => void)[] = [];
  return {
    async acquire(signal) {
      if (free > 0) {
        free -= 1;
        return;
      }
      if (waiting.length >= maxWaiting) throw new DeliveryError('too many messages are under way');
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        const leave = () => {
          const position = waiting.indexOf(resolve);
          if (position < 0) return;
          waiting.splice(position, 1);
          reject(new DeliveryError('no turn in time: too many messages are under way'));
        };
        signal.addEventListener('abort', leave, { once: true });
      });
    },
    release() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}

function expiry(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new DeliveryError('no answer in time')), {
      once: true,
    });
  });
}

/** Reads a `Retry-After` in seconds. Returns one second where there is none. */
export function retryAfterMilliseconds(header: string | null | undefined): number {
  const seconds = Number(header ?? 1);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
}
