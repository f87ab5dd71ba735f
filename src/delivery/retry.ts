/** The bounds within which a provider is asked: how long, how often, how many at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { DeliveryError, type Envelope } from './delivery.js';

/** Less than the five seconds within which whoever waits has an answer, for what comes before and after takes its time too. */
const limitMilliseconds = 4_500;
const maxTries = 3;
/** A provider that hangs holds so many sockets and no more. */
const maxInFlight = 50;
/** What comes on top waits for its turn within its own limit of time; and what comes on top of that is refused at once. */
const maxWaiting = 1_000;

/** What a failed try says of the next. */
export interface Failure {
  reason: string;
  /** what the provider says in its own words, where it says anything */
  words?: string | undefined;
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
 * Makes a function that tries an action within the bounds.
 * @param describe what its error says
 */
export function createTries(
  describe: (error: unknown) => Failure,
): (envelope: Envelope, action: (left: TimeLeft) => Promise<void>) => Promise<void> {
  const line = createLine();
  return async (envelope, action) => {
    const signal = AbortSignal.timeout(limitMilliseconds);
    const deadline = performance.now() + limitMilliseconds;
    await line.takePlace(signal);
    try {
      // Raced, because a library may look at the signal late or not at all.
      await Promise.race([tryRepeatedly(envelope, action, describe, { signal, deadline }), expiry(signal)]);
    } finally {
      line.givePlace();
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
      const { reason, words, repeatAfterMilliseconds: wait } = describeConnection(error) ?? describe(error);
      if (wait === undefined || tries === maxTries || performance.now() + wait >= deadline)
        throw new DeliveryError(words ? `${reason}, ${quote(words, envelope)}` : reason);
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

/** Words of the provider's, unless they repeat what it was sent: address and one-time password are nobody else's business. */
function quote(words: string, { to, oneTimePassword }: Envelope): string {
  const text = words.toLowerCase();
  const repeats = (piece: string) => text.includes(piece.toLowerCase());
  const repeatsAddress = to.includes('@')
    ? to.split('@').every(repeats)
    : text.replace(/\D/g, '').includes(to.replace(/\D/g, '').slice(-7));
  // A part of it is enough, for it may be cut or grouped.
  const repeatsPassword = oneTimePassword?.match(/.{4}/g)?.some(repeats) ?? false;
  return repeatsAddress || repeatsPassword ? 'in words that repeat the message' : JSON.stringify(words.slice(0, 200));
}

/** A bounded number of places, and a bounded line of those who wait for one. */
function createLine(): { takePlace(signal: AbortSignal): Promise<void>; givePlace(): void } {
  let free = maxInFlight;
  const waiting: (() => void)[] = [];
  return {
    async takePlace(signal) {
      if (free > 0) {
        free -= 1;
        return;
      }
      if (waiting.length >= maxWaiting) throw new DeliveryError('too many messages are under way');
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        const leave = () => {
          const place = waiting.indexOf(resolve);
          if (place < 0) return;
          waiting.splice(place, 1);
          reject(new DeliveryError('no turn in time: too many messages are under way'));
        };
        signal.addEventListener('abort', leave, { once: true });
      });
    },
    givePlace() {
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

/** Of a `Retry-After` in seconds; a second where there is none. */
export function retryAfterMilliseconds(header: string | null | undefined): number {
  const seconds = Number(header ?? 1);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
}
