/** One-time passwords: made for an address and a purpose, sent, checked once. */
import { randomUUID } from 'node:crypto';
import type { App } from '../app.js';
import {
  putOneTimePassword,
  reserveCheck,
  spendOneTimePassword,
  voidOneTimePasswords,
} from '../database/one-time-passwords.queries.js';
import type { AddressKind, OneTimePasswordPurpose } from '../database/schema.js';
import { markAuthenticated, revokeSessionsOf } from '../database/sessions.queries.js';
import {
  findSecurityTokens,
  lockUser,
  markVerified,
  type SecurityToken,
  type User,
  updateLastLogin,
  updatePasswordHash,
} from '../database/users.queries.js';
import { hmac, sameBytes } from '../security/hmac.js';
import { randomText } from '../security/random.js';
import { ownsSecurityToken, provesUser, requireSuperuser, requireViewer } from './authority.js';
import {
  ForbiddenError,
  InvalidOneTimePasswordError,
  NotFoundError,
  TimeoutError,
  TransmissionError,
} from './errors.js';
import { limitSends, limitSmsPrefix } from './rate-limits.js';
import { checkSecurityTokenId, inspect, type SecurityTokenView } from './security-tokens.js';
import { type Caller, openSession, type SessionTokens } from './sessions.js';
import { waitSchedule } from './throttle.js';
import { isReachable } from './users.js';

export type { OneTimePasswordPurpose } from '../database/schema.js';
export type { SecurityTokenView } from './security-tokens.js';

/**
 * Makes a one-time password and tells it to the superuser who asks, for delivery by a channel of one's own.
 * @throws {NotFoundError} for an address that nobody has, another superuser's, or one that does not prove its user
 * @throws {ForbiddenError} for anyone else
 */
export async function generateOneTimePassword(
  app: App,
  caller: Caller,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ securityToken: SecurityTokenView; oneTimePassword: string; expiresAt: Date }> {
  const viewer = requireSuperuser(caller);
  const kind = checkSecurityTokenId(app, tokenId);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  if (token === undefined || !isGoodFor(purpose, token, token.user)) throw new NotFoundError();
  if (token.user.isSuperuser && token.userId !== viewer.user.id) throw new NotFoundError();
  const { oneTimePassword, expiresAt, live } = await makeOneTimePassword(app, tokenId, kind, purpose, token);
  if (!live) throw new NotFoundError();
  return { securityToken: inspect({ ...token, expiresAt }), oneTimePassword, expiresAt };
}

/**
 * Sends a one-time password to the address. To anyone but its signed-in owner the answer is the same whether anybody has the address or not.
 * @returns when it expires
 * @throws {TimeoutError} over a limit of sends; nothing is made
 * @throws {TransmissionError} to the owner alone
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
  const reachable = token !== undefined && (token.kind === 'email' || isReachable(app, token.address));
  if (own && !reachable) throw new TransmissionError();
  await limitSends(
    app,
    tokenId,
    own ? 'owner' : 'others',
    caller.client,
    own && token?.kind === 'phone' ? token.address : null,
  );

  const { oneTimePassword, expiresAt, live } = await makeOneTimePassword(
    app,
    tokenId,
    kind,
    purpose,
    reachable ? token : undefined,
  );
  if (!live || token === undefined) return { expiresAt };
  const deliver = () =>
    app.deliver({
      channel: token.kind === 'email' ? 'email' : 'sms',
      to: token.address,
      purpose,
      tokenId,
      oneTimePassword,
      lifetimeSeconds: app.config.oneTimePassword.ttlSeconds,
    });
  if (own) await deliver();
  // Waiting for the provider, or saying that a limit on real messages is reached, would tell a stranger that somebody has the address.
  else app.inBackground(token.kind === 'phone' ? limitSmsPrefix(app, token.address).then(deliver) : deliver());
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
  const userId = await proveByOneTimePassword(
    app,
    tokenId,
    purpose === 'PASSWORD_RESET' ? '' : oneTimePassword,
    purpose,
  );
  return app.db.transaction(async (tx) => {
    const user = await lockUser(tx, userId);
    const [token] = await findSecurityTokens(tx, { id: tokenId });
    // Judged again now that nobody can change it.
    if (user === undefined || token?.userId !== userId || !isGoodFor(purpose, token, user))
      throw new InvalidOneTimePasswordError();

    const session = caller.viewer?.user.id === userId ? caller.viewer.session : null;
    const method = token.kind === 'email' ? 'EMAIL_ONE_TIME_PASSWORD' : 'PHONE_ONE_TIME_PASSWORD';
    if (session === null && user.firstVerifiedAt === null) {
      // Until now nobody had proved to be the owner: whoever came before may have signed up with somebody else's address.
      await updatePasswordHash(tx, userId, null);
      await revokeSessionsOf(tx, userId);
    }
    if (token.verifiedAt === null) {
      await markVerified(tx, tokenId, userId);
      await voidOneTimePasswords(tx, userId);
    }
    if (session === null) await updateLastLogin(tx, userId);
    else await markAuthenticated(tx, session.id, method);
    const tokens = session === null ? await openSession(app, tx, user, [method], caller.client) : null;
    const [proven] = await findSecurityTokens(tx, { id: tokenId });
    return { securityToken: inspect(proven!), user: proven!.user, tokens };
  });
}

/**
 * Reserves the attempt, compares and spends.
 * @returns whom the one-time password was made for
 */
async function proveByOneTimePassword(
  app: App,
  tokenId: string,
  oneTimePassword: string,
  purpose: OneTimePasswordPurpose,
): Promise<string> {
  const { maxWaitSeconds, maxFailures } = app.config.oneTimePassword;
  const attempt = await reserveCheck(app.db, {
    tokenId,
    purpose,
    schedule: waitSchedule({ maxWaitSeconds, maxFailures }),
    attemptId: randomUUID(),
  });
  if (!attempt.reserved) throw new TimeoutError(attempt);
  const { codeDigest, userId } = attempt;
  const right = codeDigest !== null && sameBytes(codeDigest, digestOf(app, tokenId, purpose, oneTimePassword));
  if (!right || userId === null) throw new InvalidOneTimePasswordError();
  if (!(await spendOneTimePassword(app.db, { tokenId, purpose, codeDigest }))) throw new InvalidOneTimePasswordError();
  return userId;
}

/**
 * Makes one in the place of the one before it. For an address that nobody has or that is not good for the purpose the same is done,
 * statement by statement, and nothing can be right.
 */
async function makeOneTimePassword(
  app: App,
  tokenId: string,
  kind: AddressKind,
  purpose: OneTimePasswordPurpose,
  token: SecurityToken | undefined,
): Promise<{ oneTimePassword: string; expiresAt: Date; live: boolean }> {
  const { ttlSeconds, [kind]: format } = app.config.oneTimePassword;
  const oneTimePassword = randomText(format.length, format.alphabet);
  const codeDigest = digestOf(app, tokenId, purpose, oneTimePassword);
  return app.db.transaction(async (tx) => {
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
    return { oneTimePassword, expiresAt, live };
  });
}

/** An id that no user has. */
const nobody = '00000000-0000-0000-0000-000000000000';

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
