/** Password authentication: sign-in, and re-authentication of a signed-in user. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { consumeAttempt, refundRateLimits } from '../../database/rate-limits.queries.js';
import { clearSignInThrottles, reserveSignInAttempts } from '../../database/sign-in-throttles.queries.js';
import {
  findUsersByKeys,
  type IdentifierKey,
  lockUser,
  type User,
  type UserMatch,
  upgradePasswordHash,
} from '../../database/users.queries.js';
import { hmac } from '../../security/hmac.js';
import type { Actor, ClientInfo } from '../actor.js';
import { computeTokenId, getAddressKeys } from '../authenticators/registry.js';
import { requireViewer } from '../authorization/authority.js';
import { knownDeviceSeconds } from '../durations.js';
import { InvalidCredentialsError, TimeoutError, ValidationError } from '../errors.js';
import { auditAttempt } from '../events/audit.js';
import { transact } from '../events/events.js';
import { type Identifier, identifierKinds, inferKind, parseAs } from '../identifiers.js';
import { attemptLimit } from '../rate-limits.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { completeSignIn } from './complete-sign-in.js';
import { countAndHash } from './counted-hashing.js';
import { waitSchedule } from './throttling.js';

/** Either `identifier`, or other fields that all name one user. Null and absent are equivalent. */
export interface AuthenticateInput {
  identifier?: string | null;
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password: string;
}

/** An identifier as typed: kind, comparison key and text. `key` is null if the text is invalid. */
interface Typed {
  kind: Identifier['kind'];
  key: string | null;
  text: string;
}

/**
 * Signs in by password. These cases have the same response after the same time: unknown
 * identifier, wrong or missing password, inactive user, identifiers of different users.
 * Exceeds the usual length so that the flow reads as one page.
 * @throws {ValidationError} `IDENTIFIER_REQUIRED` without an identifier; `INVALID` if
 * `identifier` is combined with other fields
 * @throws {InvalidCredentialsError} counted as a failure
 * @throws {TimeoutError} before the next attempt is allowed; nothing is compared or counted
 */
export async function authenticate(
  app: App,
  actor: Actor,
  input: AuthenticateInput,
): Promise<{ user: User; tokens: SessionTokens }> {
  const typed = readIdentifiers(app, input);
  const { match, passwordHash, attempt, isCorrect, upgradedHash } = await countAndHash(
    app,
    async (tx) => {
      const match = await findMatch(app, tx, actor.client, typed);
      const attempt = await reserve(app, tx, {
        typed,
        client: actor.client,
        knownNetwork: match?.knownNetwork ?? false,
      }).catch((error) => {
        if (error instanceof TimeoutError)
          auditAttempt(app, actor, { kind: 'SIGN_IN_THROTTLED', subjectId: match?.user.id ?? null });
        throw error;
      });
      return { match, attempt };
    },
    async ({ verify, hash }, { match, attempt }) => {
      const passwordHash = match?.user.passwordHash ?? null;
      // Imported hashes may accept the empty password. Reject it after the usual time.
      const isCorrect = (await verify(input.password, passwordHash)) && input.password !== '';
      const isOutdated =
        isCorrect && match?.user.isActive && passwordHash !== null && app.passwords.isOutdated(passwordHash);
      return {
        match,
        passwordHash,
        attempt,
        isCorrect,
        upgradedHash: isOutdated ? await hash(input.password) : undefined,
      };
    },
  );
  if (match === undefined || !isCorrect || !match.user.isActive) {
    auditAttempt(app, actor, { kind: 'SIGN_IN_FAILED', subjectId: match?.user.id ?? null });
    throw new InvalidCredentialsError();
  }

  return transact(app, actor, async (tx) => {
    const user = await lockUser(tx, match.user.id);
    // Check again under the lock: the user may have changed during the hashing.
    if (user === undefined || !user.isActive || user.passwordHash !== passwordHash) throw new InvalidCredentialsError();
    await clearSignInThrottles(tx, attempt.keys);
    await refundRateLimits(tx, attempt.attemptEventIds);
    if (upgradedHash !== undefined) await upgradePasswordHash(tx, user.id, upgradedHash);
    return completeSignIn(app, tx, actor, { user, proofs: [{ method: 'PASSWORD' }], occasion: 'sign-in' });
  });
}

/** Returns the user that every typed identifier names. */
async function findMatch(
  app: App,
  tx: Database,
  { network }: ClientInfo,
  typed: Typed[],
): Promise<UserMatch | undefined> {
  const keys = typed.flatMap(({ kind, key }) => (key === null ? [] : [toIdentifierKey(app, { kind, key })]));
  if (keys.length < typed.length) return undefined;
  const [found, ...others] = await findUsersByKeys(tx, keys, { network, withinSeconds: knownDeviceSeconds });
  if (found === undefined || others.length > 0) return undefined;
  return keys.every(({ kind, key }) => getKeys(found.user, kind).includes(key)) ? found : undefined;
}

/**
 * Checks the current password of a signed-in caller.
 * @throws {InvalidCredentialsError} counted as a failure
 * @throws {TimeoutError} before the next attempt is allowed
 */
export async function checkCurrentPassword(app: App, actor: Actor, currentPassword: string): Promise<void> {
  const { user } = requireViewer(actor);
  const key = hmac(app.keys.throttles, 'current-password', user.id);
  const throttle = { key, schedule: waitSchedule({ maxRetryDelaySeconds: 3600, maxFailures: null }) };
  const isCorrect = await countAndHash(
    app,
    (tx) => reserveAll(tx, [throttle]),
    ({ verify }) => verify(currentPassword, user.passwordHash),
  );
  if (!isCorrect) {
    auditAttempt(app, actor, { kind: 'CURRENT_PASSWORD_REFUSED', subjectId: user.id });
    throw new InvalidCredentialsError('The current password is incorrect.');
  }
  await clearSignInThrottles(app.db, [key]);
}

function readIdentifiers(app: App, { identifier, username, email, phone }: AuthenticateInput): Typed[] {
  const texts = { username, email, phone };
  const named = identifierKinds.flatMap((kind) => (texts[kind] == null ? [] : [{ kind, text: texts[kind] }]));
  if (identifier != null && named.length > 0)
    throw new ValidationError([
      {
        field: 'identifier',
        code: 'INVALID',
        message: 'Pass either identifier alone, or any of username, email and phone.',
      },
    ]);
  if (identifier != null) named.push({ kind: inferKind(identifier), text: identifier });
  if (named.length === 0)
    throw new ValidationError([
      {
        field: null,
        code: 'IDENTIFIER_REQUIRED',
        message: 'Enter a username, an email address or a phone number.',
      },
    ]);
  return named.map(({ kind, text }) => {
    const parsed = parseAs(kind, text, app.config.defaultRegion);
    return { kind, text, key: typeof parsed === 'string' ? null : parsed.key };
  });
}

/** Returns the keys of the user's identifiers of a kind: the current one and the pending one. */
function getKeys(user: User, kind: Identifier['kind']): (string | null)[] {
  return kind === 'username' ? [user.usernameKey] : getAddressKeys(user, [kind]);
}

/** Returns the key to look a user up by. */
export function toIdentifierKey(app: App, { kind, key }: Pick<Identifier, 'kind' | 'key'>): IdentifierKey {
  return { kind, key, tokenId: kind === 'username' ? null : computeTokenId(app, { kind, key }) };
}

/**
 * Counts the attempt in advance: per identifier and network, per identifier, and per client.
 * @returns counters to clear and events to refund when the attempt succeeds
 * @throws {TimeoutError} before the next attempt is allowed
 */
async function reserve(
  app: App,
  tx: Database,
  { typed, client, knownNetwork }: { typed: Typed[]; client: ClientInfo; knownNetwork: boolean },
): Promise<{ keys: Buffer[]; attemptEventIds: bigint[] }> {
  const { throttles } = app.keys;
  const byClient = waitSchedule({ maxRetryDelaySeconds: 3600, maxFailures: null });
  const byAll = waitSchedule({ maxRetryDelaySeconds: 60, maxFailures: null });
  const throttlesByIdentifier = typed.flatMap(({ kind, key, text }) => {
    const subject = key === null ? hmac(throttles, 'no-identifier', text) : hmac(throttles, 'identifier', key);
    return [
      { key: hmac(throttles, 'sign-in-by-client', kind, subject, client.network), schedule: byClient, binding: true },
      // Failures of other clients do not lock out the user's known networks.
      { key: hmac(throttles, 'sign-in', kind, subject), schedule: byAll, binding: !knownNetwork },
    ];
  });
  // Lock in one global order, also when clearing, so that transactions cannot deadlock.
  const sorted = throttlesByIdentifier.sort((a, b) => a.key.compare(b.key));
  await reserveAll(
    tx,
    sorted.filter(({ binding }) => binding),
  );
  const counted = knownNetwork ? { events: [] } : await consumeAttempt(tx, attemptLimit(app, client));
  if (counted.limited !== undefined) throw new TimeoutError(counted.limited);
  return { keys: sorted.map(({ key }) => key), attemptEventIds: counted.events };
}

/** @throws {TimeoutError} and thereby rolls back the other counts */
async function reserveAll(tx: Database, throttles: { key: Buffer; schedule: number[] }[]): Promise<void> {
  const refused = (await reserveSignInAttempts(tx, throttles, randomUUID())).filter(({ reserved }) => !reserved);
  if (refused.length > 0) throw new TimeoutError(refused.reduce((a, b) => (b.retryAt > a.retryAt ? b : a)));
}
