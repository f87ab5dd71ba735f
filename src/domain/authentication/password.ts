/** Proving who one is by a password: to sign in, or once more while one is. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { consumeAttempt, refundRateLimits } from '../../database/rate-limits.queries.js';
import { clearSignInThrottles, reserveSignInAttempts } from '../../database/sign-in-throttles.queries.js';
import {
  findUsersByKeys,
  lockUser,
  type User,
  type UserMatch,
  updatePasswordHash,
} from '../../database/users.queries.js';
import { hmac } from '../../security/hmac.js';
import type { Actor, ClientInfo } from '../actor.js';
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

/** Either `identifier`, or any of the others, which must all name the same user. Null is the same as absent. */
export interface AuthenticateInput {
  identifier?: string | null;
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password: string;
}

/** What an attempt to sign in is counted by, for what was typed: an identifier's kind and key, or the text that is none. */
interface Typed {
  kind: Identifier['kind'];
  key: string | null;
  text: string;
}

/**
 * Signs in by password. Nobody of that name, a wrong password, no password, an inactive user, and identifiers of two users are answered alike and take as long.
 * Longer than other functions: a security flow is read as one page.
 * @throws {ValidationError} `IDENTIFIER_REQUIRED` without an identifier, `INVALID` with both forms of naming a user
 * @throws {InvalidCredentialsError} counted by identifier
 * @throws {TimeoutError} before the next attempt is due; nothing is compared and nothing counted
 */
export async function authenticate(
  app: App,
  actor: Actor,
  input: AuthenticateInput,
): Promise<{ user: User; tokens: SessionTokens }> {
  const typed = readIdentifiers(app, input);
  const { match, passwordHash, attempt, right, upgradedHash } = await countAndHash(
    app,
    async (tx) => {
      const match = await findMatch(tx, actor.client, typed);
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
      // The empty password is nobody's, not even where a hash of it was brought along; it takes its time all the same.
      const right = (await verify(input.password, passwordHash)) && input.password !== '';
      const outdated = right && match?.user.isActive && passwordHash !== null && app.passwords.isOutdated(passwordHash);
      return { match, passwordHash, attempt, right, upgradedHash: outdated ? await hash(input.password) : undefined };
    },
  );
  if (match === undefined || !right || !match.user.isActive) {
    auditAttempt(app, actor, { kind: 'SIGN_IN_FAILED', subjectId: match?.user.id ?? null });
    throw new InvalidCredentialsError();
  }

  return transact(app, actor, async (tx) => {
    const user = await lockUser(tx, match.user.id);
    // Judged again now that nobody can change it: what was right while it was hashed may have been changed since.
    if (user === undefined || !user.isActive || user.passwordHash !== passwordHash) throw new InvalidCredentialsError();
    await clearSignInThrottles(tx, attempt.keys);
    await refundRateLimits(tx, attempt.attemptEventIds);
    if (upgradedHash !== undefined) await updatePasswordHash(tx, user.id, upgradedHash);
    return completeSignIn(app, tx, actor, { user, proofs: [{ method: 'PASSWORD' }], occasion: 'sign-in' });
  });
}

/** The user whom everything that was typed names. */
async function findMatch(tx: Database, { network }: ClientInfo, typed: Typed[]): Promise<UserMatch | undefined> {
  const keys = typed.flatMap(({ kind, key }) => (key === null ? [] : [{ kind, key }]));
  if (keys.length < typed.length) return undefined;
  const [found, ...others] = await findUsersByKeys(tx, keys, { network, withinSeconds: knownDeviceSeconds });
  if (found === undefined || others.length > 0) return undefined;
  return keys.every(({ kind, key }) => getKey(found.user, kind) === key) ? found : undefined;
}

/**
 * Asks a signed-in caller for a proof that it is still them: the current password, or else an authentication within the last ten minutes.
 * @throws {InvalidCredentialsError} counted, where the password is wrong; or where there is neither
 * @throws {TimeoutError} before the next attempt is due
 */
export async function requireProof(
  app: App,
  actor: Actor,
  currentPassword: string | null,
  recent: boolean = requireViewer(actor).recentlyAuthenticated,
): Promise<void> {
  const { user } = requireViewer(actor);
  if (currentPassword === null) {
    if (!recent) throw new InvalidCredentialsError('Give the current password, or authenticate again first.');
    return;
  }
  const key = hmac(app.keys.throttles, 'current-password', user.id);
  const throttle = { key, schedule: waitSchedule({ maxWaitSeconds: 3600, maxFailures: null }) };
  const right = await countAndHash(
    app,
    (tx) => reserveAll(tx, [throttle]),
    ({ verify }) => verify(currentPassword, user.passwordHash),
  );
  if (!right) {
    auditAttempt(app, actor, { kind: 'CURRENT_PASSWORD_REFUSED', subjectId: user.id });
    throw new InvalidCredentialsError('The current password is not right.');
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
        message: 'Give either the identifier alone, or any of username, email and phone.',
      },
    ]);
  if (identifier != null) named.push({ kind: inferKind(identifier), text: identifier });
  if (named.length === 0)
    throw new ValidationError([
      {
        field: null,
        code: 'IDENTIFIER_REQUIRED',
        message: 'Give an identifier, a username, an email address or a phone number.',
      },
    ]);
  return named.map(({ kind, text }) => {
    const parsed = parseAs(kind, text, app.config.defaultRegion);
    return { kind, text, key: typeof parsed === 'string' ? null : parsed.key };
  });
}

function getKey(user: User, kind: Identifier['kind']): string | null {
  return { username: user.usernameKey, email: user.emailKey, phone: user.phone }[kind];
}

/**
 * Counts the attempt in advance, by identifier and client, by identifier alone, and as a guess of the client.
 * @returns what to clear and give back when the attempt succeeds
 * @throws {TimeoutError} before the next attempt is due
 */
async function reserve(
  app: App,
  tx: Database,
  { typed, client, knownNetwork }: { typed: Typed[]; client: ClientInfo; knownNetwork: boolean },
): Promise<{ keys: Buffer[]; attemptEventIds: bigint[] }> {
  const { throttles } = app.keys;
  const byClient = waitSchedule({ maxWaitSeconds: 3600, maxFailures: null });
  const byAll = waitSchedule({ maxWaitSeconds: 60, maxFailures: null });
  const throttlesByIdentifier = typed.flatMap(({ kind, key, text }) => {
    const subject = key === null ? hmac(throttles, 'no-identifier', text) : hmac(throttles, 'identifier', key);
    return [
      { key: hmac(throttles, 'sign-in-by-client', kind, subject, client.network), schedule: byClient, binding: true },
      // Strangers shut nobody out who comes from where they have signed in before.
      { key: hmac(throttles, 'sign-in', kind, subject), schedule: byAll, binding: !knownNetwork },
    ];
  });
  // In one order for all, here and where they are cleared, so that no two transactions wait for each other.
  const all = throttlesByIdentifier.sort((a, b) => a.key.compare(b.key));
  await reserveAll(
    tx,
    all.filter(({ binding }) => binding),
  );
  const counted = knownNetwork ? { events: [] } : await consumeAttempt(tx, attemptLimit(app, client));
  if (counted.limited !== undefined) throw new TimeoutError(counted.limited);
  return { keys: all.map(({ key }) => key), attemptEventIds: counted.events };
}

/** @throws {TimeoutError} which rolls back what the others have counted */
async function reserveAll(tx: Database, throttles: { key: Buffer; schedule: number[] }[]): Promise<void> {
  const refused = (await reserveSignInAttempts(tx, throttles, randomUUID())).filter(({ reserved }) => !reserved);
  if (refused.length > 0) throw new TimeoutError(refused.reduce((a, b) => (b.retryAt > a.retryAt ? b : a)));
}
