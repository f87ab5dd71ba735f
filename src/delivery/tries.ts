/** The bounds within which a provider is asked: how long, how often, how many at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { DeliveryError } from './delivery.js';

const limitMilliseconds = 5_000;
const maxTries = 3;
/** A provider that hangs holds so many sockets and no more: what comes on top is refused at once. */
const maxInFlight = 50;

/** What a failed try says of the next. */
export interface Failure {
  reason: string;
  /** set where the provider has certainly not taken the message, so that a second try cannot double it */
  repeatAfterMilliseconds?: number | undefined;
}

/** Failures of a connection that was never made. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * Makes a function that tries an action within the bounds.
 * @param describe what its error says; neither address nor secret may be in the reason
 */
export function createTries(
  describe: (error: unknown) => Failure,
): (action: (signal: AbortSignal) => Promise<void>) => Promise<void> {
  let inFlight = 0;
  return async (action) => {
    if (inFlight >= maxInFlight) throw new DeliveryError('too many messages are under way');
    inFlight += 1;
    const signal = AbortSignal.timeout(limitMilliseconds);
    try {
      // Raced, because a library may look at the signal late or not at all.
      await Promise.race([tryRepeatedly(action, describe, signal), expiry(signal)]);
    } finally {
      inFlight -= 1;
    }
  };
}

async function tryRepeatedly(
  action: (signal: AbortSignal) => Promise<void>,
  describe: (error: unknown) => Failure,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action(signal);
    } catch (error) {
      const { reason, repeatAfterMilliseconds } = describeConnection(error) ?? describe(error);
      if (repeatAfterMilliseconds === undefined || tries === maxTries) throw new DeliveryError(reason);
      await delay(repeatAfterMilliseconds * tries, undefined, { signal });
    }
  }
}

function describeConnection(error: unknown): Failure | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && neverConnected.has(code)) return { reason: code, repeatAfterMilliseconds: 200 };
  }
  return undefined;
}

function expiry(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new DeliveryError(`no answer within ${limitMilliseconds} ms`)), {
      once: true,
    });
  });
}

/** Of a `Retry-After` in seconds; a second where there is none. */
export function retryAfterMilliseconds(header: string | null | undefined): number {
  const seconds = Number(header ?? 1);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
}
