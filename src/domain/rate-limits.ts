/** Rate limits of operations. Zero in the configuration disables a limit. */
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

/** Returns a limit. Windows with a count or length of zero do not limit. */
function limit(app: App, name: string, subject: string, windows: { count: number; seconds: number }[]): RateLimit {
  return {
    key: hmac(app.keys.throttles, name, subject),
    windows: windows.filter(({ count, seconds }) => count > 0 && seconds > 0),
  };
}

/** @throws {TimeoutError} over the sign-ups of a client */
export async function limitSignUps(app: App, tx: Database, client: ClientInfo): Promise<void> {
  const windows = [{ count: app.config.signUpsPerHour, seconds: 3600 }];
  await consumeIn(tx, [limit(app, 'sign-up', client.network, windows)]);
}

/**
 * Limits changes of identifiers. Like a sign-up, each reveals whether the identifier is taken.
 * @throws {TimeoutError} over the changes of a client
 */
export async function limitIdentifierChanges(app: App, client: ClientInfo): Promise<void> {
  const windows = [{ count: app.config.signUpsPerHour, seconds: 3600 }];
  await consume(app, [limit(app, 'identifier-change', client.network, windows)]);
}

/**
 * Limits unlocks to three a day per token, so that guess and unlock cannot alternate.
 * @throws {TimeoutError}
 */
export async function limitUnlocks(app: App, tokenId: string): Promise<void> {
  await consume(app, [limit(app, 'unlock', tokenId, [{ count: 3, seconds: 86_400 }])]);
}

/** @throws {TimeoutError} over the look-ups of a client */
export async function limitLookUps(app: App, client: ClientInfo): Promise<void> {
  await consume(app, [limit(app, 'look-up', client.network, [{ count: app.config.lookUpsPerMinute, seconds: 60 }])]);
}

/**
 * @param by counts the owner's sends apart, so that strangers cannot use up the owner's limit
 * @param more limits of the authenticator
 * @returns ids to refund if the provider does not accept the message
 * @throws {TimeoutError} over the sends of a token or client, or over one of `more`
 */
export async function limitSends(
  app: App,
  client: ClientInfo,
  { tokenId, by, more }: { tokenId: string; by: 'owner' | 'others'; more: RateLimit[] },
): Promise<bigint[]> {
  const { sendIntervalSeconds, sendsPerHour, sendsPerDay } = app.config.oneTimePassword;
  return consume(app, [
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
 * Limits messages to an address that accounts hold pending, over all of them. Its owner may have
 * nothing to do with the accounts.
 */
export function pendingAddressLimit(app: App, tokenId: string): RateLimit {
  const { sendsPerDay } = app.config.oneTimePassword;
  return limit(app, 'send-pending', tokenId, [{ count: sendsPerDay, seconds: 86_400 }]);
}

/**
 * @param limits of the authenticator, for an address
 * @throws {TimeoutError} over one of them
 */
export async function consumeSendLimits(app: App, limits: RateLimit[]): Promise<void> {
  await consume(app, limits);
}

/** Limits messages to numbers that share all but the last four digits. */
export function smsPrefixLimit(app: App, phone: string): RateLimit {
  return limit(app, 'sms-prefix', phone.slice(0, -4), [{ count: app.config.smsPrefixSendsPerHour, seconds: 3600 }]);
}

/**
 * Limits failed attempts of a client over all accounts. Otherwise one attempt on each of many
 * accounts would exceed no limit.
 */
export function attemptLimit(app: App, client: ClientInfo): AttemptLimit {
  return {
    key: hmac(app.keys.throttles, 'guess', client.network),
    count: app.config.failedAttemptsPerHour,
    seconds: attemptWindowSeconds,
  };
}

async function consume(app: App, limits: RateLimit[]): Promise<bigint[]> {
  const effective = effectiveLimits(limits);
  return effective.length === 0 ? [] : app.db.transaction((tx) => consumeIn(tx, effective));
}

async function consumeIn(tx: Database, limits: RateLimit[]): Promise<bigint[]> {
  const consumed = await consumeRateLimits(tx, limits);
  if (consumed.limited !== undefined) throw new TimeoutError(consumed.limited);
  return consumed.events;
}
