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
} from '../database/sessions.queries.js';
import type { User } from '../database/users.queries.js';
import { signAccessToken, verifyAccessToken } from '../security/access-tokens.js';
import {
  formatRefreshToken,
  newRefreshToken,
  parseRefreshToken,
  refreshTokenHash,
} from '../security/refresh-tokens.js';
import type { Client, Viewer } from './caller.js';
import { UnauthenticatedError } from './errors.js';
import { notify, provenAddresses } from './notices.js';

export type { AuthenticationMethod } from '../database/schema.js';

export interface SessionTokens {
  session: SessionRow;
  accessToken: string;
  accessTokenExpiresAt: Date;
  refreshToken: string;
  refreshTokenExpiresAt: Date;
  /** whether its user has signed in before, but not from such a device */
  newDevice: boolean;
}

/** @see RFC 8176 and, for the names that it lacks, what others have registered by use */
const methodReferences: Record<AuthenticationMethod, string> = {
  PASSWORD: 'pwd',
  EMAIL_ONE_TIME_PASSWORD: 'otp',
  PHONE_ONE_TIME_PASSWORD: 'sms',
};

/** Opens a session. Nobody is asked for a proof here: that is the caller's business. */
export async function openSession(
  app: App,
  tx: Database,
  user: Pick<User, 'id' | 'isStaff' | 'isSuperuser' | 'lastLogin'>,
  methods: AuthenticationMethod[],
  client: Client,
): Promise<SessionTokens> {
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
  // Whole seconds, as in the token; the instant is the database's.
  const issuedAt = new Date(Math.floor(session.createdAt.getTime() / 1000) * 1000);
  const accessTokenExpiresAt = new Date(issuedAt.getTime() + app.config.accessTokenTtlSeconds * 1000);
  return {
    session,
    accessToken: await signAccessToken(app.keys.signing, app.config.publicUrl, {
      userId: user.id,
      sessionId: session.id,
      issuedAt,
      expiresAt: accessTokenExpiresAt,
      authenticatedAt: session.authenticatedAt,
      methods: methods.map((method) => methodReferences[method]),
      roles: [...(user.isStaff ? ['staff'] : []), ...(user.isSuperuser ? ['superuser'] : [])],
    }),
    accessTokenExpiresAt,
    refreshToken: formatRefreshToken(app.keys.refreshTokens, refreshToken),
    refreshTokenExpiresAt: session.idleExpiresAt,
    newDevice,
  };
}

/** Tells the owner of a session that was opened from a device that none was opened from before. */
export function notifyOfNewDevice(app: App, user: User, { newDevice, session }: SessionTokens): void {
  if (!newDevice) return;
  const { userAgent, ipAddress } = session;
  notify(app, { type: 'new-device', userAgent, ipAddress }, provenAddresses(user));
}

/**
 * The session that an access token stands for, as long as it lives.
 * @throws {UnauthenticatedError} for a token that is invalid, expired or revoked
 */
export async function getViewer(app: App, accessToken: string): Promise<Viewer> {
  const token = await verifyAccessToken(app.keys.verification, app.config.publicUrl, accessToken);
  const viewer = token && (await findLiveSession(app.db, token));
  if (viewer === undefined) throw new UnauthenticatedError('The access token is invalid, expired or revoked.');
  return viewer;
}

/**
 * Ends the session of the refresh token or else of the access token, also of one that is spent or has expired.
 * @returns whether there was one to end
 */
export async function signOut(
  app: App,
  tokens: { refreshToken: string | null; accessToken: string | null },
): Promise<boolean> {
  if (tokens.refreshToken !== null) {
    const refreshToken = parseRefreshToken(app.keys.refreshTokens, tokens.refreshToken);
    return refreshToken !== undefined && revokeSession(app.db, refreshToken.sessionId);
  }
  if (tokens.accessToken === null) return false;
  const accessToken = await verifyAccessToken(app.keys.verification, app.config.publicUrl, tokens.accessToken);
  return accessToken !== undefined && revokeSession(app.db, accessToken.sessionId);
}

export async function listSessions(app: App, userId: string): Promise<SessionRow[]> {
  return findSessions(app.db, userId);
}
