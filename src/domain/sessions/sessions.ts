/** Sessions: open, refresh, list and revoke. */
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
import { lockUser, type User } from '../../database/users.queries.js';
import { signAccessToken, type VerifiedAccessToken, verifyAccessToken } from '../../security/access-tokens.js';
import {
  deriveSuccessor,
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
  type RefreshToken,
  refreshTokenHash,
} from '../../security/refresh-tokens.js';
import type { Actor, ClientInfo, Viewer } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { isId, requirePermission, requireViewer } from '../authorization/authority.js';
import { hasPermission } from '../authorization/permissions.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import {
  knownDeviceSeconds,
  newAccountSeconds,
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
  /** null if a cookie carries it */
  refreshToken: string | null;
  refreshTokenExpiresAt: Date;
}

/** Values of the claim `amr`. @see RFC 8176; names that it lacks follow common use */
const methodReferences = new Map<AuthenticationMethod, string>([
  ['PASSWORD', 'pwd'],
  ...Object.values(authenticators).map(({ method }) => [method.name, method.reference] as const),
]);

/**
 * Opens a session. Only `completeSignIn` calls it, and checks the proofs.
 * @returns tokens; `newDevice`: the user has signed in before, but not with this device
 */
export async function openSession(
  app: App,
  tx: Database,
  {
    user,
    methods,
    client,
    openedBySignUp,
  }: {
    user: SessionUser & Pick<User, 'lastLogin'>;
    methods: AuthenticationMethod[];
    client: ClientInfo;
    openedBySignUp: boolean;
  },
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
    openedBySignUp,
    idleTtlSeconds: app.config.sessionIdleTtlSeconds,
    ttlSeconds: app.config.sessionTtlSeconds,
  });
  return { ...(await issueTokens(app, { user, session, refreshToken, now: session.createdAt })), newDevice };
}

type SessionUser = Pick<User, 'id' | 'isStaff' | 'isSuperuser' | 'emailVerified' | 'phoneVerified'>;

/** @param now time of the database */
async function issueTokens(
  app: App,
  {
    user,
    session,
    refreshToken,
    now,
  }: { user: SessionUser; session: SessionRow; refreshToken: RefreshToken; now: Date },
): Promise<SessionTokens> {
  // JWT timestamps are whole seconds.
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
      emailVerified: user.emailVerified ?? false,
      phoneNumberVerified: user.phoneVerified ?? false,
      roles: [...(user.isStaff ? ['staff'] : []), ...(user.isSuperuser ? ['superuser'] : [])],
    }),
    accessTokenExpiresAt,
    refreshToken: formatRefreshToken(app.keys.refreshTokens, refreshToken),
    refreshTokenExpiresAt: session.idleExpiresAt,
  };
}

/**
 * Exchanges a refresh token for new tokens. The token is single-use.
 * For 10 s the last exchange can be repeated. Any other reuse revokes the session, and the owner
 * is notified.
 * @throws {InvalidSessionError}
 */
export async function refreshSession(
  app: App,
  actor: Actor,
  token: string | null,
): Promise<{ user: User; tokens: SessionTokens }> {
  const refreshToken = token === null ? undefined : parseRefreshToken(app.keys.refreshTokens, token);
  if (refreshToken === undefined) throw new InvalidSessionError();
  const successor = deriveSuccessor(app.keys.refreshTokens, refreshToken);
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
      // A concurrent reuse may have revoked the session already.
      if ((await markSessionRevoked(tx, session.id)) !== undefined)
        emit(tx, { type: 'refresh-token-reused', user, session });
    });
    // Throw after the commit, so that the revocation persists.
    throw new InvalidSessionError();
  }
  return { user, tokens: await issueTokens(app, { user, session, refreshToken: successor, now: issuedAt }) };
}

/**
 * Returns the live session of an access token.
 * @throws {UnauthenticatedError} if the token is invalid, expired or revoked
 */
export async function getViewer(app: App, accessToken: string): Promise<Viewer> {
  const token = await readAccessToken(app, accessToken);
  const viewer =
    token &&
    (await findLiveSession(app.db, token, {
      recentSeconds: recentAuthenticationSeconds,
      newAccountSeconds,
      touchIntervalSeconds,
    }));
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
 * Revokes the session of the refresh token, consumed or not. If that revokes none, revokes the
 * session of the access token, expired or not.
 * @returns whether a session was live
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
 * Revokes a session of the caller. Superusers may revoke the session of any user.
 * @throws {NotFoundError} if the session is not live or belongs to another user
 * @throws {StepUpRequiredError} without recent authentication, except for the current session
 */
export async function revokeSession(app: App, actor: Actor, id: string): Promise<{ session: SessionRow }> {
  const { user, session: current } = requireViewer(actor);
  if (!isId(id)) throw new NotFoundError();
  if (id.toLowerCase() !== current.id) await requireRecentAuthentication(app, actor);
  const owner = hasPermission(user, 'identity.revoke_session') ? null : user.id;
  return transact(app, actor, async (tx) => {
    const session = await markSessionRevoked(tx, id, owner);
    if (session === undefined) throw new NotFoundError();
    emit(tx, { type: 'session-revoked', session, reason: 'revoked' });
    return { session };
  });
}

/**
 * Revokes all sessions of the caller except the current one.
 * @throws {StepUpRequiredError} without recent authentication
 */
export async function revokeOtherSessions(app: App, actor: Actor): Promise<{ revokedCount: number }> {
  const { user, session } = requireViewer(actor);
  await requireRecentAuthentication(app, actor);
  return transact(app, actor, async (tx) => {
    const revokedCount = await markSessionsRevoked(tx, user.id, session.id);
    emitRevocations(tx, { userId: user.id, count: revokedCount, reason: 'revoked by another session' });
    return { revokedCount };
  });
}

/**
 * Revokes all sessions of a user.
 * @throws {ForbiddenError} if the caller is not a superuser
 * @throws {NotFoundError}
 * @throws {StepUpRequiredError} without recent authentication
 */
export async function revokeUserSessions(app: App, actor: Actor, userId: string): Promise<{ revokedCount: number }> {
  requirePermission(actor, 'identity.revoke_session');
  await requireRecentAuthentication(app, actor);
  if (!isId(userId)) throw new NotFoundError();
  const revoke = async (tx: Database) => {
    if ((await lockUser(tx, userId)) === undefined) throw new NotFoundError();
    const revokedCount = await markSessionsRevoked(tx, userId);
    emitRevocations(tx, { userId, count: revokedCount, reason: 'revoked by a superuser' });
    return { revokedCount };
  };
  // Superusers who revoke each other's sessions wait here instead of deadlocking on them.
  return transact(app, actor, revoke, { lock: 'superusers' });
}
