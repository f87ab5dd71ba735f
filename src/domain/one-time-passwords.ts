/** One-time passwords: made for an address and a purpose, sent, checked once. */
import { randomUUID } from 'node:crypto';
import type { App } from '../app.js';
import type { Database } from '../database/database.js';
import {
  putOneTimePassword,
  reserveCheck,
  spendOneTimePassword,
  voidOneTimePassword,
  voidOneTimePasswords,
} from '../database/one-time-passwords.queries.js';
import { giveBackRateLimits } from '../database/rate-limits.queries.js';
import type { AddressKind, AuthenticationMethod, OneTimePasswordPurpose } from '../database/schema.js';
import {
  deleteSecurityTokens,
  findSecurityTokens,
  markVerified,
  type SecurityToken,
} from '../database/security-tokens.queries.js';
import { deleteSessionsOf, markAuthenticated, revokeSessionsOf } from '../database/sessions.queries.js';
import {
  addressColumns,
  lockUser,
  nobody,
  type User,
  updatePasswordHash,
  updateUserRow,
} from '../database/users.queries.js';
import { hmac, sameBytes } from '../security/hmac.js';
import { randomText } from '../security/random.js';
import { isReachable } from './account-input.js';
import { auditAttempt } from './audit.js';
import { ownsSecurityToken, provesUser, requirePermission, requireViewer } from './authority.js';
import type { Caller } from './caller.js';
import { completeSignIn, type Proof } from './complete-sign-in.js';
import {
  ForbiddenError,
  InvalidOneTimePasswordError,
  NotFoundError,
  TimeoutError,
  TransmissionError,
} from './errors.js';
import { emit, emitRevocations, transact } from './events.js';
import { comparisonKey } from './identifiers.js';
import { mayObtainCredentials } from './permissions.js';
import { guessLimit, limitSends, limitSmsPrefix } from './rate-limits.js';
import { checkSecurityTokenId, inspect, type SecurityTokenView } from './security-tokens.js';
import type { SessionTokens } from './sessions.js';
import { waitSchedule } from './throttle.js';

export type { OneTimePasswordPurpose } from '../database/schema.js';
export type { SecurityTokenView } from './security-tokens.js';

/**
 * Makes a one-time password and tells it to the superuser who asks, for delivery by a channel of one's own.
 * @throws {NotFoundError} for an address that nobody has, another superuser's, or one that does not prove its user
 * @throws {ForbiddenError} for anyone else; for one's own without having authenticated lately
 */
export async function generateOneTimePassword(
  app: App,
  caller: Caller,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ securityToken: SecurityTokenView; oneTimePassword: string; expiresAt: Date }> {
  const viewer = requirePermission(caller, 'identity.generate_one_time_password');
  const kind = checkSecurityTokenId(app, tokenId);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  if (token === undefined || !isGoodFor(purpose, token, token.user)) throw new NotFoundError();
  const own = token.userId === viewer.user.id;
  if (!mayObtainCredentials(viewer.user, token.user)) throw new NotFoundError();
  // It would make of an old session one that has just proved who is there.
  if (own && !viewer.recentlyAuthenticated) throw new ForbiddenError('Authenticate again first.');
  const { oneTimePassword, expiresAt, live } = await transact(app, caller, async (tx) => {
    const made = await makeOneTimePassword(app, tx, { tokenId, kind, purpose }, token);
    const { userId } = token;
    if (made.live) emit(tx, { type: 'one-time-password-generated', userId, securityTokenId: tokenId, purpose });
    return made;
  });
  if (!live) throw new NotFoundError();
  return { securityToken: inspect({ ...token, expiresAt }), oneTimePassword, expiresAt };
}

/**
 * Sends a one-time password to the address. To anyone but its signed-in owner the answer is the same whether anybody has the address or not.
 * @returns when it expires
 * @throws {TimeoutError} over a limit of sends; nothing is made
 * @throws {TransmissionError} to the owner alone; what was made is void, and does not count
 */
export async function sendOneTimePassword(
  app: App,
  caller: Caller,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ expiresAt: Date }> {
  const kind = checkSecurityTokenId(app, tokenId);
  const own = ownsSecurityToken(app, caller, tokenId);
  if (purpose === 'VERIFICATION') requireOwner(caller, own);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  const reachable = token !== undefined && isReachable(app, token.kind, token.address);
  if (own && !reachable) throw new TransmissionError();
  const ownPhone = own && token?.kind === 'phone' ? token.address : null;
  const counted = await limitSends(app, tokenId, own ? 'owner' : 'others', caller.client, ownPhone);

  const made = await app.db.transaction((tx) =>
    makeOneTimePassword(app, tx, { tokenId, kind, purpose }, reachable ? token : undefined),
  );
  const { oneTimePassword, codeDigest, expiresAt } = made;
  if (!made.live || token === undefined) {
    // To a stranger it would tell that nobody has the address.
    if (own) await giveBackRateLimits(app.db, counted);
    return { expiresAt };
  }
  const deliver = async () => {
    await app.deliver({
      kind: 'one-time-password',
      channel: token.kind === 'email' ? 'email' : 'sms',
      to: token.address,
      purpose,
      tokenId,
      oneTimePassword,
      lifetimeSeconds: app.config.oneTimePassword.ttlSeconds,
    });
    auditAttempt(app, caller, {
      kind: 'ONE_TIME_PASSWORD_SENT',
      subjectId: token.userId,
      securityTokenId: tokenId,
      detail: purpose,
    });
  };
  if (!own) {
    // Waiting for the provider, or saying that a limit on real messages is reached, would tell a stranger that somebody has the address.
    app.inBackground(token.kind === 'phone' ? limitSmsPrefix(app, token.address).then(deliver) : deliver());
    return { expiresAt };
  }
  try {
    await app.waitForProvider(deliver());
  } catch {
    // Why is in the log.
    await voidOneTimePassword(app.db, { tokenId, purpose, codeDigest });
    await giveBackRateLimits(app.db, counted);
    throw new TransmissionError();
  }
  return { expiresAt };
}

/**
 * Checks a one-time password and spends it: verifies the address and signs its user in, or notes the proof in the session of who is signed in.
 * One for `PASSWORD_RESET` is good for `resetPassword` alone and never valid here.
 * @throws {InvalidOneTimePasswordError} counted
 * @throws {TimeoutError} before `retryAt`; nothing is compared and nothing counted
 */
export async function checkOneTimePassword(
  app: App,
  caller: Caller,
  tokenId: string,
  oneTimePassword: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ securityToken: SecurityTokenView; user: User; tokens: SessionTokens | null }> {
  checkSecurityTokenId(app, tokenId);
  if (purpose === 'VERIFICATION') requireOwner(caller, ownsSecurityToken(app, caller, tokenId));
  // The empty text is never right: an attempt at the purpose that is not checked here is counted like any other.
  const typed = purpose === 'PASSWORD_RESET' ? '' : oneTimePassword;
  const attempt = await attemptOneTimePassword(app, caller, tokenId, typed, purpose);
  if (!(await spendOneTimePassword(app.db, attempt))) throw new InvalidOneTimePasswordError();

  return transact(app, caller, async (tx) => {
    const { user: before, token } = await lockProvenUser(tx, attempt);
    const { id: userId } = before;
    await giveBackRateLimits(tx, attempt.guesses);
    const session = caller.viewer?.user.id === userId ? caller.viewer.session : null;
    // Until now nobody had proved to be the owner: whoever came before may have signed up with somebody else's address.
    const isFirstProof = session === null && before.firstVerifiedAt === null;
    const ended = isFirstProof ? await forgetPredecessor(tx, userId) : 0;
    const replaced = await verifyAddress(tx, before, token);
    const [verified] = await findSecurityTokens(tx, { id: tokenId });
    const proof = { method: methodOf(token), oneTimePassword: { securityTokenId: tokenId, purpose } };
    const { user, tokens } =
      session === null
        ? await completeSignIn(app, tx, caller, { user: verified!.user, proofs: [proof], occasion: 'sign-in' })
        : await reauthenticate(tx, verified!.user, session.id, proof);
    if (isFirstProof && before.passwordHash !== null) emit(tx, { type: 'password-removed', userId });
    emitRevocations(tx, { userId, count: ended, reason: 'address proved by its owner' });
    if (replaced !== null) emit(tx, { type: 'address-replaced', ...replaced, user });
    return { securityToken: inspect(verified!), user, tokens };
  });
}

/** Takes away what came before the first proof: password, sessions, and the places that the user would be known by. @returns how many sessions were live */
async function forgetPredecessor(tx: Database, userId: string): Promise<number> {
  await updatePasswordHash(tx, userId, null);
  const ended = await revokeSessionsOf(tx, userId);
  await deleteSessionsOf(tx, userId);
  return ended;
}

/** Notes the proof in the session of a user who is signed in. */
async function reauthenticate(
  tx: Database,
  user: User,
  sessionId: string,
  { method, oneTimePassword }: Required<Proof>,
): Promise<{ user: User; tokens: null }> {
  await markAuthenticated(tx, sessionId, method);
  emit(tx, { type: 'one-time-password-accepted', userId: user.id, sessionId, ...oneTimePassword });
  return { user, tokens: null };
}

/** An attempt that was right, and is counted as a failure until it is spent. */
export interface RightAttempt {
  tokenId: string;
  purpose: OneTimePasswordPurpose;
  attemptId: string;
  codeDigest: Buffer;
  /** whom the one-time password was made for */
  userId: string;
  /** to be given back, since it was none */
  guesses: bigint[];
}

/**
 * Reserves an attempt and compares.
 * @throws {InvalidOneTimePasswordError} counted
 * @throws {TimeoutError} before `retryAt`; nothing is compared and nothing counted
 */
export async function attemptOneTimePassword(
  app: App,
  caller: Caller,
  tokenId: string,
  oneTimePassword: string,
  purpose: OneTimePasswordPurpose,
): Promise<RightAttempt> {
  const { maxWaitSeconds, maxFailures } = app.config.oneTimePassword;
  const attemptId = randomUUID();
  const schedule = waitSchedule({ maxWaitSeconds, maxFailures });
  const guesses = guessLimit(app, caller.client);
  const attempt = await reserveCheck(app.db, { tokenId, purpose, schedule, attemptId, guesses });
  const told = { subjectId: attempt.userId, securityTokenId: tokenId, detail: purpose };
  if (!attempt.reserved) {
    auditAttempt(app, caller, { kind: 'ONE_TIME_PASSWORD_TIMED_OUT', ...told });
    throw new TimeoutError(attempt);
  }
  const { codeDigest, userId } = attempt;
  const right = codeDigest !== null && sameBytes(codeDigest, digestOf(app, tokenId, purpose, oneTimePassword));
  if (!right || userId === null) {
    auditAttempt(app, caller, { kind: 'ONE_TIME_PASSWORD_REFUSED', ...told });
    throw new InvalidOneTimePasswordError();
  }
  return { tokenId, purpose, attemptId, codeDigest, userId, guesses: attempt.guesses };
}

/**
 * The user whom a one-time password proved, locked, and judged again now that nobody can change it.
 * @throws {InvalidOneTimePasswordError} where the address is not theirs any more, or does not prove them
 */
export async function lockProvenUser(
  tx: Database,
  { userId, tokenId, purpose }: RightAttempt,
): Promise<{ user: User; token: SecurityToken }> {
  const user = await lockUser(tx, userId);
  const [token] = await findSecurityTokens(tx, { id: tokenId });
  if (user === undefined || token?.userId !== userId || !isGoodFor(purpose, token, user))
    throw new InvalidOneTimePasswordError();
  return { user, token };
}

/**
 * Marks the address of the token verified; one that was pending takes the place of the verified one.
 * @returns the address that was replaced; null where none was
 */
export async function verifyAddress(
  tx: Database,
  user: User,
  { id, kind, address, verifiedAt, pending }: SecurityToken,
): Promise<{ kind: AddressKind; previous: string | null } | null> {
  if (verifiedAt !== null) return null;
  if (pending) {
    await deleteSecurityTokens(tx, { userId: user.id, kind, pending: false });
    await updateUserRow(tx, user.id, addressColumns(kind, { value: address, key: comparisonKey(address) }));
  }
  await markVerified(tx, id, user.id);
  await voidOneTimePasswords(tx, user.id);
  return pending ? { kind, previous: user[kind] } : null;
}

export function methodOf({ kind }: SecurityToken): AuthenticationMethod {
  return kind === 'email' ? 'EMAIL_ONE_TIME_PASSWORD' : 'PHONE_ONE_TIME_PASSWORD';
}

/**
 * Makes one in the place of the one before it. For an address that nobody has or that is not good for the purpose the same is done,
 * statement by statement, and nothing can be right.
 */
async function makeOneTimePassword(
  app: App,
  tx: Database,
  { tokenId, kind, purpose }: { tokenId: string; kind: AddressKind; purpose: OneTimePasswordPurpose },
  token: SecurityToken | undefined,
): Promise<{ oneTimePassword: string; codeDigest: Buffer; expiresAt: Date; live: boolean }> {
  const { ttlSeconds, [kind]: format } = app.config.oneTimePassword;
  const oneTimePassword = randomText(format.length, format.alphabet);
  const codeDigest = digestOf(app, tokenId, purpose, oneTimePassword);
  // Judged under the lock that every change of the user takes, so that none can make void what is not there yet.
  const user = await lockUser(tx, token?.userId ?? nobody);
  const [current] = await findSecurityTokens(tx, { id: tokenId });
  const live = user !== undefined && current?.userId === user.id && isGoodFor(purpose, current, user);
  const expiresAt = await putOneTimePassword(tx, {
    tokenId,
    purpose,
    ttlSeconds,
    live: live ? { userId: user.id, codeDigest } : null,
  });
  return { oneTimePassword, codeDigest, expiresAt, live };
}

/** Bound to token and purpose. Case, spaces and dashes do not count. */
function digestOf(app: App, tokenId: string, purpose: OneTimePasswordPurpose, oneTimePassword: string): Buffer {
  return hmac(app.keys.oneTimePasswords, tokenId, purpose, oneTimePassword.replace(/[\s-]/g, '').toUpperCase());
}

/** The signed-in owner's own verification asks for no proof but the one-time password itself. */
function isGoodFor(purpose: OneTimePasswordPurpose, token: SecurityToken, user: User): boolean {
  return purpose === 'VERIFICATION' ? user.isActive : provesUser(token, user);
}

/**
 * @throws {UnauthenticatedError}
 * @throws {ForbiddenError} alike for another's address and for one that nobody has
 */
function requireOwner(caller: Caller, own: boolean): void {
  requireViewer(caller);
  if (!own) throw new ForbiddenError('Only its signed-in owner verifies an address.');
}
