/** Statements about sessions. */
import { and, desc, eq, gt, isNull, sql } from 'drizzle-orm';
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
      idleExpiresAt: sql`${now} + make_interval(secs => ${Math.min(idleTtlSeconds, ttlSeconds)})`,
      expiresAt: sql`${now} + make_interval(secs => ${ttlSeconds})`,
    })
    .returning();
  return row!;
}

export interface LiveSession {
  user: User;
  session: SessionRow;
  /** authenticated within the last ten minutes */
  recentlyAuthenticated: boolean;
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

/** Ends every session of the user. */
export async function revokeSessionsOf(tx: Database, userId: string): Promise<void> {
  await tx
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.userId, userId), isLive));
}

/** Notes in a session that its user has proved to be there once more, and how. */
export async function markAuthenticated(tx: Database, id: string, method: AuthenticationMethod): Promise<void> {
  await tx
    .update(sessions)
    .set({
      authenticatedAt: now,
      authenticationMethods: sql`array(select distinct unnest(array_append(${sessions.authenticationMethods}, ${method}::authentication_method)))`,
    })
    .where(eq(sessions.id, id));
}
