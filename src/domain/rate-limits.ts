/** The limits of a rate, by what they protect. Zero in the configuration lifts a limit. */
import type { App } from '../app/app.js';
import type { Database } from '../database/database.js';
import {
  type AttemptLimit,
  consumeRateLimits,
  effectiveLimits,
  type RateLimit,
} from '../database/rate-limits.queries.js';
import { hmac } from '../security/hmac.js';
import type { ClientInfo } from './actor.js';
import { attemptWindowSeconds } from './durations.js';
import { TimeoutError } from './errors.js';

/** @param windows of which those with a count or a length of zero do not limit */
function limit(app: App, name: string, subject: string, windows: { count: number; seconds: number }[]): RateLimit {
  return {
    key: hmac(app.keys.throttles, name, subject),
    windows: windows.filter(({ count, seconds }) => count > 0 && seconds > 0),
  };
}

/** @throws {TimeoutError} over the sign-ups of a client */
export async function limitSignUps(app: App, tx: Database, client: ClientInfo): Promise<void> {
  const windows = [{ count: app.config.signUpsPerHour, seconds: 3600 }];
  await takeIn(tx, [limit(app, 'sign-up', client.network, windows)]);
}

/** @throws {TimeoutError} over the changes of identifiers of a client: each tells whether somebody has the new one, as a sign-up does */
export async function limitIdentifierChanges(app: App, client: ClientInfo): Promise<void> {
  const windows = [{ count: app.config.signUpsPerHour, seconds: 3600 }];
  await take(app, [limit(app, 'identifier-change', client.network, windows)]);
}

/** @throws {TimeoutError} over three a day of a security token: else its owner, or whoever says to be, guesses and unlocks again and again */
export async function limitUnlocks(app: App, tokenId: string): Promise<void> {
  await take(app, [limit(app, 'unlock', tokenId, [{ count: 3, seconds: 86_400 }])]);
}

/** @throws {TimeoutError} over the look-ups of a client */
export async function limitLookUps(app: App, client: ClientInfo): Promise<void> {
  await take(app, [limit(app, 'look-up', client.network, [{ count: app.config.lookUpsPerMinute, seconds: 60 }])]);
}

/**
 * @param by the owner's sends and everybody else's are counted apart, so that no stranger spends the owner's
 * @param more limits of the address beside these
 * @returns what to give back where the message is not accepted
 * @throws {TimeoutError} over the sends of a security token, of a client, or one of `more`
 */
export async function limitSends(
  app: App,
  client: ClientInfo,
  { tokenId, by, more }: { tokenId: string; by: 'owner' | 'others'; more: RateLimit[] },
): Promise<bigint[]> {
  const { sendIntervalSeconds, sendsPerHour, sendsPerDay } = app.config.oneTimePassword;
  return take(app, [
    limit(app, `send-by-${by}`, tokenId, [
      { count: 1, seconds: sendIntervalSeconds },
      { count: sendsPerHour, seconds: 3600 },
      { count: sendsPerDay, seconds: 86_400 },
    ]),
    limit(app, 'send-by-client', client.network, [{ count: app.config.sendsPerHour, seconds: 3600 }]),
    ...more,
  ]);
}

/**
 * @param limits those of an authenticator for an address
 * @throws {TimeoutError} over one of them
 */
export async function consumeSendLimits(app: App, limits: RateLimit[]): Promise<void> {
  await take(app, limits);
}

/** Messages to numbers that differ in their last four digits only. */
export function smsPrefixLimit(app: App, phone: string): RateLimit {
  return limit(app, 'sms-prefix', phone.slice(0, -4), [{ count: app.config.smsPrefixSendsPerHour, seconds: 3600 }]);
}

/** Wrong passwords and one-time passwords from one client, whosever they are: else one guess at each of many accounts is within every other limit. */
export function attemptLimit(app: App, client: ClientInfo): AttemptLimit {
  return {
    key: hmac(app.keys.throttles, 'guess', client.network),
    count: app.config.guessesPerHour,
    seconds: attemptWindowSeconds,
  };
}

async function take(app: App, limits: RateLimit[]): Promise<bigint[]> {
  const effective = effectiveLimits(limits);
  return effective.length === 0 ? [] : app.db.transaction((tx) => takeIn(tx, effective));
}

async function takeIn(tx: Database, limits: RateLimit[]): Promise<bigint[]> {
  const taken = await consumeRateLimits(tx, limits);
  if (taken.limited !== undefined) throw new TimeoutError(taken.limited);
  return taken.events;
}
