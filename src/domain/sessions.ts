/** Sessions: opened where somebody has proved who they are, ended by signing out. */
import { randomUUID } from 'node:crypto';
import type { App } from '../app.js';
import type { Database } from '../database/database.js';
import type { AuthenticationMethod, SessionRow } from '../database/schema.js';
import {
  findLiveSession,
  findSessions,
  insertSession,
  isNewDevice,
  revokeSession,
  revokeSessionsOf,
  rotateRefreshToken,
  touchSession,
} from '../database/sessions.queries.js';
import { findUser, type User } from '../database/users.queries.js';
import { signAccessToken, type VerifiedAccessToken, verifyAccessToken } from '../security/access-tokens.js';
import {
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
  type RefreshToken,
  refreshTokenHash,
  successorOf,
} from '../security/refresh-tokens.js';
import { audit, auditEnds } from './audit.js';
import { isId, requirePermission, requireViewer } from './authority.js';
import type { Caller, Client, Viewer } from './caller.js';
import { InvalidSessionError, NotFoundError, UnauthenticatedError } from './errors.js';
import { notify, provenAddresses } from './notices.js';
import { hasPermission } from './permissions.js';

export type { AuthenticationMethod } from '../database/schema.js';

export interface SessionTokens {
  session: SessionRow;
  accessToken: string;
  accessTokenExpiresAt: Date;
  /** null where it travels in a cookie */
  refreshToken: string | null;
  refreshTokenExpiresAt: Date;
}

/** @see RFC 8176 and, for the names that it lacks, what others have registered by use */
const methodReferences: Record<AuthenticationMethod, string> = {
  PASSWORD: 'pwd',
  EMAIL_ONE_TIME_PASSWORD: 'otp',
  PHONE_ONE_TIME_PASSWORD: 'sms',
};

/** Opens a session. Nobody is asked for a proof here: that is the caller's business. `newDevice`: its user has signed in before, but not from such a device. */
export async function openSession(
  app: App,
  tx: Database,
  user: SessionUser & Pick<User, 'lastLogin'>,
  methods: AuthenticationMethod[],
  client: Client,
): Promise<SessionTokens & { newDevice: boolean }> {
  const newDevice = await isNewDevice(tx, user, client);
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
  return { ...(await issueTokens(app, user, session, refreshToken, session.createdAt)), newDevice };
}

type SessionUser = Pick<User, 'id' | 'isStaff' | 'isSuperuser'>;

/** @param now the database's */
async function issueTokens(
  app: App,
  user: SessionUser,
  session: SessionRow,
  refreshToken: RefreshToken,
  now: Date,
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
      methods: session.authenticationMethods.map((method) => methodReferences[method]),
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
  caller: Caller,
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
  });
  if (rotation === undefined) throw new InvalidSessionError();
  const { session, user, issuedAt } = rotation;
  if (!rotation.rotated) {
    audit(app, caller, { kind: 'SESSION_COPIED', subjectId: user.id, sessionId: session.id });
    notify(app, { type: 'session-copied', userAgent: session.userAgent }, provenAddresses(user));
    throw new InvalidSessionError();
  }
  return { user, tokens: await issueTokens(app, user, session, successor, issuedAt) };
}

/** Tells the owner of a session that was opened from a device that none was opened from before. */
export function notifyOfNewDevice(
  app: App,
  user: User,
  { newDevice, session }: { newDevice: boolean; session: SessionRow },
): void {
  if (!newDevice) return;
  const { userAgent, ipAddress } = session;
  notify(app, { type: 'new-device', userAgent, ipAddress }, provenAddresses(user));
}

/**
 * The session that an access token stands for, as long as it lives.
 * @throws {UnauthenticatedError} for a token that is invalid, expired or revoked
 */
export async function getViewer(app: App, accessToken: string): Promise<Viewer> {
  const token = await readAccessToken(app, accessToken);
  const viewer = token && (await findLiveSession(app.db, token));
  if (viewer === undefined) throw new UnauthenticatedError('The access token is invalid, expired or revoked.');
  if (viewer.useIsDue) app.inBackground(touchSession(app.db, viewer.session.id, app.config.sessionIdleTtlSeconds));
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
  caller: Caller,
  { refreshToken, accessToken }: { refreshToken: string | null; accessToken: string | null },
): Promise<boolean> {
  const named = [
    refreshToken === null ? undefined : parseRefreshToken(app.keys.refreshTokens, refreshToken),
    accessToken === null ? undefined : await readAccessToken(app, accessToken),
  ];
  for (const token of named) {
    const session = token && (await revokeSession(app.db, token.sessionId));
    if (session === undefined) continue;
    const { id: sessionId, userId } = session;
    audit(app, caller, { kind: 'SESSION_ENDED', subjectId: userId, actorId: userId, sessionId, detail: 'signed out' });
    return true;
  }
  return false;
}

export async function listSessions(app: App, userId: string): Promise<SessionRow[]> {
  return findSessions(app.db, userId);
}

/**
 * Ends one session: one's own, or for superusers anybody's.
 * @throws {NotFoundError} for one that does not live, or is another's
 */
export async function endSession(app: App, caller: Caller, id: string): Promise<{ session: SessionRow }> {
  const { user } = requireViewer(caller);
  const owner = hasPermission(user, 'identity.revoke_session') ? null : user.id;
  const session = isId(id) ? await revokeSession(app.db, id, owner) : undefined;
  if (session === undefined) throw new NotFoundError();
  audit(app, caller, { kind: 'SESSION_ENDED', subjectId: session.userId, sessionId: session.id, detail: 'revoked' });
  return { session };
}

/** Ends every session of the caller but the one that asks. */
export async function endOtherSessions(app: App, caller: Caller): Promise<{ revokedCount: number }> {
  const { user, session } = requireViewer(caller);
  const revokedCount = await revokeSessionsOf(app.db, user.id, session.id);
  auditEnds(app, caller, user.id, 'revoked by another session', revokedCount);
  return { revokedCount };
}

/**
 * Ends every session of a user.
 * @throws {ForbiddenError} for anyone but superusers
 * @throws {NotFoundError}
 */
export async function endSessionsOf(app: App, caller: Caller, userId: string): Promise<{ revokedCount: number }> {
  requirePermission(caller, 'identity.revoke_session');
  if (!isId(userId) || (await findUser(app.db, userId)) === undefined) throw new NotFoundError();
  const revokedCount = await revokeSessionsOf(app.db, userId);
  auditEnds(app, caller, userId, 'revoked by a superuser', revokedCount);
  return { revokedCount };
}

/** @param session the one that was opened */
export function auditSignIn(app: App, caller: Caller, userId: string, session: SessionRow): void {
  const detail = session.authenticationMethods.join(', ');
  audit(app, caller, { kind: 'SIGNED_IN', subjectId: userId, actorId: userId, sessionId: session.id, detail });
}
