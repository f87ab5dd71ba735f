/** Sessions: opened where somebody has proved who they are, ended by signing out. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { AuthenticationMethod, SessionRow } from '../../database/schema.js';
import {
  findLiveSession,
  findSessions,
  insertSession,
  isNewDevice,
  markSessionRevoked,
  markSessionsRevoked,
  rotateRefreshToken,
  touchSession,
} from '../../database/sessions.queries.js';
import { findUser, type User } from '../../database/users.queries.js';
import { signAccessToken, type VerifiedAccessToken, verifyAccessToken } from '../../security/access-tokens.js';
import {
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
  type RefreshToken,
  refreshTokenHash,
  successorOf,
} from '../../security/refresh-tokens.js';
import type { Actor, ClientInfo, Viewer } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { hasPermission } from '../authorization/permissions.js';
import {
  knownDeviceSeconds,
  recentAuthenticationSeconds,
  refreshRetrySeconds,
  touchIntervalSeconds,
} from '../durations.js';
import { InvalidSessionError, NotFoundError, UnauthenticatedError } from '../errors.js';
import { emit, emitRevocations, transact } from '../events/events.js';

export type { AuthenticationMethod } from '../../database/schema.js';

export interface SessionTokens {
  session: SessionRow;
  accessToken: string;
  accessTokenExpiresAt: Date;
  /** null where it travels in a cookie */
  refreshToken: string | null;
  refreshTokenExpiresAt: Date;
}

/** @see RFC 8176 and, for the names that it lacks, what others have registered by use */
const methodReferences = new Map<AuthenticationMethod, string>([
  ['PASSWORD', 'pwd'],
  ...Object.values(authenticators).map(({ method }) => [method.name, method.reference] as const),
]);

/** Opens a session, for `completeSignIn` alone. Nobody is asked for a proof here: that is the caller's business. `newDevice`: its user has signed in before, but not from such a device. */
export async function openSession(
  app: App,
  tx: Database,
  {
    user,
    methods,
    client,
  }: { user: SessionUser & Pick<User, 'lastLogin'>; methods: AuthenticationMethod[]; client: ClientInfo },
): Promise<SessionTokens & { newDevice: boolean }> {
  const newDevice = await isNewDevice(tx, user, { ...client, withinSeconds: knownDeviceSeconds });
  const refreshToken = newRefreshToken(randomUUID());
  const session = await insertSession(tx, {
    id: refreshToken.sessionId,
    userId: user.id,
    refreshTokenHash: refreshTokenHash(refreshToken),
    authenticationMethods: methods,
    userAgent: client.userAgent,
    ipAddress: client.ipAddress,
    idleTtlSeconds: app.config.sessionIdleTtlSeconds,
    ttlSeconds: app.config.sessionTtlSeconds,
  });
  return { ...(await issueTokens(app, { user, session, refreshToken, now: session.createdAt })), newDevice };
}

type SessionUser = Pick<User, 'id' | 'isStaff' | 'isSuperuser'>;

/** @param now the database's */
async function issueTokens(
  app: App,
  {
    user,
    session,
    refreshToken,
    now,
  }: { user: SessionUser; session: SessionRow; refreshToken: RefreshToken; now: Date },
): Promise<SessionTokens> {
  // Whole seconds, as in the token.
  const issuedAt = new Date(Math.floor(now.getTime() / 1000) * 1000);
  const accessTokenExpiresAt = new Date(issuedAt.getTime() + app.config.accessTokenTtlSeconds * 1000);
  return {
    session,
    accessToken: await signAccessToken(app.keys.accessTokens().signing, app.config.publicUrl, {
      userId: user.id,
      sessionId: session.id,
      issuedAt,
      expiresAt: accessTokenExpiresAt,
      authenticatedAt: session.authenticatedAt,
      methods: session.authenticationMethods.flatMap((method) => methodReferences.get(method) ?? []),
      roles: [...(user.isStaff ? ['staff'] : []), ...(user.isSuperuser ? ['superuser'] : [])],
    }),
    accessTokenExpiresAt,
    refreshToken: formatRefreshToken(app.keys.refreshTokens, refreshToken),
    refreshTokenExpiresAt: session.idleExpiresAt,
  };
}

/**
 * Gives new tokens for a refresh token, which is spent by that. The answer to the one spent last can be had once more within 10 s; any other that was
 * spent before is a copy in somebody's hands: it ends the session, and the owner is told.
 * @throws {InvalidSessionError}
 */
export async function refreshSession(
  app: App,
  actor: Actor,
  token: string | null,
): Promise<{ user: User; tokens: SessionTokens }> {
  const refreshToken = token === null ? undefined : parseRefreshToken(app.keys.refreshTokens, token);
  if (refreshToken === undefined) throw new InvalidSessionError();
  const successor = successorOf(app.keys.refreshTokens, refreshToken);
  const rotation = await rotateRefreshToken(app.db, {
    sessionId: refreshToken.sessionId,
    hash: refreshTokenHash(refreshToken),
    successorHash: refreshTokenHash(successor),
    idleTtlSeconds: app.config.sessionIdleTtlSeconds,
    retrySeconds: refreshRetrySeconds,
  });
  if (rotation === undefined) throw new InvalidSessionError();
  const { session, user, issuedAt } = rotation;
  if (!rotation.rotated) {
    await transact(app, actor, async (tx) => {
      // Another request with a spent token may have been quicker.
      if ((await markSessionRevoked(tx, session.id)) !== undefined)
        emit(tx, { type: 'refresh-token-reused', user, session });
    });
    // Only now: the revocation must be committed.
    throw new InvalidSessionError();
  }
  return { user, tokens: await issueTokens(app, { user, session, refreshToken: successor, now: issuedAt }) };
}

/**
 * The session that an access token stands for, as long as it lives.
 * @throws {UnauthenticatedError} for a token that is invalid, expired or revoked
 */
export async function getViewer(app: App, accessToken: string): Promise<Viewer> {
  const token = await readAccessToken(app, accessToken);
  const viewer =
    token &&
    (await findLiveSession(app.db, token, { recentSeconds: recentAuthenticationSeconds, touchIntervalSeconds }));
  if (viewer === undefined) throw new UnauthenticatedError('The access token is invalid, expired or revoked.');
  if (viewer.touchDue) {
    const { sessionIdleTtlSeconds: idleTtlSeconds } = app.config;
    app.inBackground(
      touchSession(app.db, viewer.session.id, { idleTtlSeconds, intervalSeconds: touchIntervalSeconds }),
    );
  }
  return viewer;
}

function readAccessToken(app: App, accessToken: string): Promise<VerifiedAccessToken | undefined> {
  return verifyAccessToken(app.keys.accessTokens().verification, app.config.publicUrl, accessToken);
}

/**
 * Ends the session of the refresh token, also of a spent one; or else, where that ends none, of the access token, also of one that has expired.
 * @returns whether there was one to end
 */
export async function signOut(
  app: App,
  actor: Actor,
  { refreshToken, accessToken }: { refreshToken: string | null; accessToken: string | null },
): Promise<boolean> {
  const named = [
    refreshToken === null ? undefined : parseRefreshToken(app.keys.refreshTokens, refreshToken),
    accessToken === null ? undefined : await readAccessToken(app, accessToken),
  ];
  const sessionIds = named.flatMap((token) => token?.sessionId ?? []);
  if (sessionIds.length === 0) return false;
  return transact(app, actor, async (tx) => {
    for (const id of sessionIds) {
      const session = await markSessionRevoked(tx, id);
      if (session === undefined) continue;
      emit(tx, { type: 'session-revoked', session, reason: 'signed out' });
      return true;
    }
    return false;
  });
}

export async function listSessions(app: App, userId: string): Promise<SessionRow[]> {
  return findSessions(app.db, userId);
}

/**
 * Ends one session: one's own, or for superusers anybody's.
 * @throws {NotFoundError} for one that does not live, or is another's
 */
export async function revokeSession(app: App, actor: Actor, id: string): Promise<{ session: SessionRow }> {
  const { user } = requireViewer(actor);
  if (!isId(id)) throw new NotFoundError();
  const owner = hasPermission(user, 'identity.revoke_session') ? null : user.id;
  return transact(app, actor, async (tx) => {
    const session = await markSessionRevoked(tx, id, owner);
    if (session === undefined) throw new NotFoundError();
    emit(tx, { type: 'session-revoked', session, reason: 'revoked' });
    return { session };
  });
}

/** Ends every session of the caller but the one that asks. */
export async function revokeOtherSessions(app: App, actor: Actor): Promise<{ revokedCount: number }> {
  const { user, session } = requireViewer(actor);
  return transact(app, actor, async (tx) => {
    const revokedCount = await markSessionsRevoked(tx, user.id, session.id);
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'revoked by another session' });
    return { revokedCount };
  });
}

/**
 * Ends every session of a user.
 * @throws {ForbiddenError} for anyone but superusers
 * @throws {NotFoundError}
 */
export async function revokeUserSessions(app: App, actor: Actor, userId: string): Promise<{ revokedCount: number }> {
  requirePermission(actor, 'identity.revoke_session');
  if (!isId(userId) || (await findUser(app.db, userId)) === undefined) throw new NotFoundError();
  return transact(app, actor, async (tx) => {
    const revokedCount = await markSessionsRevoked(tx, userId);
    emitRevocations(tx, { userId, count: revokedCount, reason: 'revoked by a superuser' });
    return { revokedCount };
  });
}
