/** Statements about sessions. */
import { and, desc, eq, gt, isNull, ne, sql } from 'drizzle-orm';
import { type Database, statement } from './database.js';
import { type AuthenticationMethod, now, type SessionRow, sessions, users } from './schema.js';
import { type User, userColumns } from './users.queries.js';

const isLive = and(isNull(sessions.revokedAt), gt(sessions.expiresAt, now), gt(sessions.idleExpiresAt, now));

export interface NewSession {
  id: string;
  userId: string;
  refreshTokenHash: Buffer;
  authenticationMethods: AuthenticationMethod[];
  userAgent: string | null;
  ipAddress: string | null;
  idleTtlSeconds: number;
  ttlSeconds: number;
}

export async function insertSession(
  tx: Database,
  { idleTtlSeconds, ttlSeconds, ...session }: NewSession,
): Promise<SessionRow> {
  const [row] = await tx
    .insert(sessions)
    .values({
      ...session,
      oneTimePasswordAt: session.authenticationMethods.some((method) => method !== 'PASSWORD') ? now : null,
      idleExpiresAt: sql`${now} + make_interval(secs => ${Math.min(idleTtlSeconds, ttlSeconds)})`,
      expiresAt: sql`${now} + make_interval(secs => ${ttlSeconds})`,
    })
    .returning();
  return row!;
}

export interface LiveSession {
  user: User;
  session: SessionRow;
  /** authenticated within the last ten minutes, by whatever means */
  recentlyAuthenticated: boolean;
  /** likewise, by a one-time password */
  recentlyProvedAddress: boolean;
}

/**
 * The session and its user, as long as it lives and the access token has not expired.
 * @param token what its signature vouches for
 */
export async function findLiveSession(
  db: Database,
  token: { sessionId: string; userId: string; expiresAt: Date },
): Promise<LiveSession | undefined> {
  const prepared = statement(db, 'find_live_session', (db) =>
    db
      .select({
        user: userColumns,
        session: sessions,
        recentlyAuthenticated: sql<boolean>`${sessions.authenticatedAt} > ${now} - interval '10 minutes'`,
        recentlyProvedAddress: sql<boolean>`coalesce(${sessions.oneTimePasswordAt} > ${now} - interval '10 minutes', false)`,
      })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .where(
        and(
          eq(sessions.id, sql.placeholder('sessionId')),
          eq(sessions.userId, sql.placeholder('userId')),
          sql`${sql.placeholder('expiresAt')}::timestamptz > ${now}`,
          isLive,
          eq(users.isActive, true),
        ),
      ),
  );
  const [row] = await prepared.execute({ ...token, expiresAt: token.expiresAt.toISOString() });
  return row;
}

/** The live sessions of a user, the one used last first. */
export async function findSessions(db: Database, userId: string): Promise<SessionRow[]> {
  return db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive))
    .orderBy(desc(sessions.lastUsedAt), sessions.id);
}

/** Ends the session. @returns whether it lived */
export async function revokeSession(db: Database, id: string): Promise<boolean> {
  const revoked = await db
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.id, id), isLive))
    .returning({ id: sessions.id });
  return revoked.length > 0;
}

/** Ends every session of the user, but for one where `exceptId` names it. */
export async function revokeSessionsOf(tx: Database, userId: string, exceptId: string | null = null): Promise<void> {
  await tx
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.userId, userId), exceptId === null ? undefined : ne(sessions.id, exceptId), isLive));
}

/** Notes in a session that its user has proved to be there once more, by a one-time password. */
export async function markAuthenticated(tx: Database, id: string, method: AuthenticationMethod): Promise<void> {
  await tx
    .update(sessions)
    .set({
      authenticatedAt: now,
      oneTimePasswordAt: now,
      authenticationMethods: sql`array(select distinct unnest(array_append(${sessions.authenticationMethods}, ${method}::authentication_method)))`,
    })
    .where(eq(sessions.id, id));
}

/** Whether the user has signed in before, and never within 30 days by this program from this network. */
export async function isNewDevice(
  tx: Database,
  user: { id: string; lastLogin: Date | null },
  { userAgent, network }: { userAgent: string | null; network: string },
): Promise<boolean> {
  const [row] = await tx
    .select({
      some: sql<boolean>`count(*) > 0`,
      known: sql<boolean>`coalesce(bool_or(${sessions.createdAt} > ${now} - interval '30 days' and ${sessions.userAgent} is not distinct from ${userAgent} and ${sessions.ipAddress} <<= ${network}::inet), false)`,
    })
    .from(sessions)
    .where(eq(sessions.userId, user.id));
  return (user.lastLogin !== null || row!.some) && !row!.known;
}
