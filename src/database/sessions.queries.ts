/** Statements on sessions. */
import { and, desc, eq, getTableColumns, gt, isNull, ne, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import {
  type AuthenticationMethod,
  authenticationMethodNames,
  now,
  pgArray,
  type SessionRow,
  secondsAgo,
  sessions,
  users,
} from './schema.js';
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
  const param = (name: keyof NewSession | 'byOneTimePassword') => sql.placeholder(name);
  const prepared = prepareCached(tx, 'insert_session', (tx) =>
    tx
      .insert(sessions)
      .values({
        id: param('id'),
        userId: param('userId'),
        refreshTokenHash: param('refreshTokenHash'),
        authenticationMethods: param('authenticationMethods'),
        userAgent: param('userAgent'),
        ipAddress: param('ipAddress'),
        oneTimePasswordAt: sql`case when ${param('byOneTimePassword')}::boolean then ${now} end`,
        idleExpiresAt: sql`${now} + make_interval(secs => ${param('idleTtlSeconds')}::int)`,
        expiresAt: sql`${now} + make_interval(secs => ${param('ttlSeconds')}::int)`,
      })
      .returning(),
  );
  const rows = await prepared.execute({
    ...session,
    byOneTimePassword: session.authenticationMethods.some((method) => method !== 'PASSWORD'),
    idleTtlSeconds: Math.min(idleTtlSeconds, ttlSeconds),
    ttlSeconds,
  });
  return onlyRow(rows);
}

export interface LiveSession {
  user: User;
  session: Pick<SessionRow, 'id'>;
  /** the last authentication is at most `recentSeconds` old */
  recentlyAuthenticated: boolean;
  /** the last authentication by one-time password is at most `recentSeconds` old */
  recentOneTimePassword: boolean;
  /** the stored last use is more than `touchIntervalSeconds` old */
  touchDue: boolean;
}

/**
 * Returns the session and its user if the session is live and the access token has not expired.
 * @param token verified claims of the access token
 */
export async function findLiveSession(
  db: Database,
  token: { sessionId: string; userId: string; expiresAt: Date },
  { recentSeconds, touchIntervalSeconds }: { recentSeconds: number; touchIntervalSeconds: number },
): Promise<LiveSession | undefined> {
  const prepared = prepareCached(db, 'find_live_session', (db) =>
    db
      .select({
        user: userColumns,
        session: { id: sessions.id },
        recentlyAuthenticated: sql<boolean>`${sessions.authenticatedAt} > ${secondsAgo(sql.placeholder('recentSeconds'))}`,
        recentOneTimePassword: sql<boolean>`coalesce(${sessions.oneTimePasswordAt} > ${secondsAgo(sql.placeholder('recentSeconds'))}, false)`,
        touchDue: sql<boolean>`${sessions.lastUsedAt} <= ${secondsAgo(sql.placeholder('touchIntervalSeconds'))}`,
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
  const [row] = await prepared.execute({
    ...token,
    expiresAt: token.expiresAt.toISOString(),
    recentSeconds,
    touchIntervalSeconds,
  });
  return row;
}

/** Returns the live sessions of a user, most recently used first. */
export async function findSessions(db: Database, userId: string): Promise<SessionRow[]> {
  return db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive))
    .orderBy(desc(sessions.lastUsedAt), sessions.id);
}

/** Records the use of the session, at most once per interval, and extends its idle expiry. */
export async function touchSession(
  db: Database,
  id: string,
  { idleTtlSeconds, intervalSeconds }: { idleTtlSeconds: number; intervalSeconds: number },
): Promise<void> {
  await db
    .update(sessions)
    .set({ lastUsedAt: now, idleExpiresAt: toIdleExpiry(idleTtlSeconds) })
    .where(and(eq(sessions.id, id), isLive, sql`${sessions.lastUsedAt} <= ${secondsAgo(intervalSeconds)}`));
}

/** Returns the idle expiry, capped at the absolute expiry. */
function toIdleExpiry(idleTtlSeconds: number) {
  return sql`least(${sessions.expiresAt}, ${now} + make_interval(secs => ${idleTtlSeconds}))`;
}

export interface Rotation {
  session: SessionRow;
  user: User;
  /** false if the token was already consumed: nothing changed, and the caller must revoke */
  rotated: boolean;
  issuedAt: Date;
}

/**
 * Exchanges a refresh token for its successor in one statement.
 * - The current token is consumed.
 * - The previous token returns the same successor for `retrySeconds` while that is unused.
 *   The client may have missed the response.
 * - Any other token is reuse.
 *
 * Exceeds the usual length because it is one statement.
 * @returns undefined if the session is not live
 */
export async function rotateRefreshToken(
  db: Database,
  token: { sessionId: string; hash: Buffer; successorHash: Buffer; idleTtlSeconds: number; retrySeconds: number },
): Promise<Rotation | undefined> {
  const prepared = prepareCached(db, 'rotate_refresh_token', (db) => {
    const hash = sql`${sql.placeholder('hash')}::bytea`;
    const successorHash = sql`${sql.placeholder('successorHash')}::bytea`;
    const isCurrent = sql`${sessions.refreshTokenHash} = ${hash}`;
    const isPrevious = sql`coalesce(${sessions.previousRefreshTokenHash} = ${hash} and ${sessions.refreshTokenHash} = ${successorHash} and ${sessions.refreshedAt} > ${secondsAgo(sql.placeholder('retrySeconds'))}, false)`;
    const ifCurrent = (value: SQL, otherwise: SQLWrapper) =>
      sql`case when ${isCurrent} then ${value} else ${otherwise} end`;
    return db
      .update(sessions)
      .set({
        previousRefreshTokenHash: ifCurrent(hash, sessions.previousRefreshTokenHash),
        refreshTokenHash: ifCurrent(successorHash, sessions.refreshTokenHash),
        refreshedAt: ifCurrent(now, sessions.refreshedAt),
        lastUsedAt: ifCurrent(now, sessions.lastUsedAt),
        idleExpiresAt: ifCurrent(
          sql`least(${sessions.expiresAt}, ${now} + make_interval(secs => ${sql.placeholder('idleTtlSeconds')}::int))`,
          sessions.idleExpiresAt,
        ),
      })
      .from(users)
      .where(
        and(
          eq(sessions.id, sql.placeholder('sessionId')),
          eq(users.id, sessions.userId),
          isLive,
          eq(users.isActive, true),
        ),
      )
      .returning({
        session: getTableColumns(sessions),
        user: userColumns,
        // RETURNING sees the updated row, in which the current token has become the previous one.
        rotated: sql<boolean>`${isPrevious}`,
        issuedAt: sql<Date>`${now}`.mapWith(sessions.createdAt),
      });
  });
  const [row] = await prepared.execute(token);
  return row;
}

/**
 * Revokes a live session.
 * @param userId if given, only a session of this user
 * @returns the session; undefined if none was live
 */
export async function markSessionRevoked(
  db: Database,
  id: string,
  userId: string | null = null,
): Promise<SessionRow | undefined> {
  const [revoked] = await db
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.id, id), userId === null ? undefined : eq(sessions.userId, userId), isLive))
    .returning();
  return revoked;
}

/**
 * Revokes the live sessions of a user, except `exceptId`.
 * @returns how many were live
 */
export async function markSessionsRevoked(
  tx: Database,
  userId: string,
  exceptId: string | null = null,
): Promise<number> {
  const revoked = await tx
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.userId, userId), exceptId === null ? undefined : ne(sessions.id, exceptId), isLive))
    .returning({ id: sessions.id });
  return revoked.length;
}

/** Deletes all sessions of the user, and thereby the known devices and networks. */
export async function deleteSessions(tx: Database, userId: string): Promise<void> {
  await tx.delete(sessions).where(eq(sessions.userId, userId));
}

/** Records an authentication by one-time password in a live session. */
export async function markAuthenticated(tx: Database, id: string, method: AuthenticationMethod): Promise<void> {
  await tx
    .update(sessions)
    .set({
      authenticatedAt: now,
      oneTimePasswordAt: now,
      authenticationMethods: sql`array(
        select method from unnest(array_append(${sessions.authenticationMethods}, ${method}::text)) as method
        group by method order by array_position(${pgArray(authenticationMethodNames)}, method), method)`,
    })
    .where(eq(sessions.id, id));
}

/** Whether a user with earlier sign-ins has not used this user agent and network recently. */
export async function isNewDevice(
  tx: Database,
  user: { id: string; lastLogin: Date | null },
  { userAgent, network, withinSeconds }: { userAgent: string | null; network: string; withinSeconds: number },
): Promise<boolean> {
  const userId = sql`${sql.placeholder('userId')}::uuid`;
  const prepared = prepareCached(tx, 'is_new_device', (tx) =>
    tx
      .select({
        some: sql<boolean>`exists (select from ${sessions} where ${sessions.userId} = ${userId})`,
        known: sql<boolean>`exists (select from ${sessions} where ${sessions.userId} = ${userId} and ${sessions.createdAt} > ${secondsAgo(sql.placeholder('withinSeconds'))}
          and ${sessions.userAgent} is not distinct from ${sql.placeholder('userAgent')}::text and ${sessions.ipAddress} <<= ${sql.placeholder('network')}::inet)`,
      })
      .from(sql`(select) as one`),
  );
  const { some, known } = onlyRow(await prepared.execute({ userId: user.id, userAgent, network, withinSeconds }));
  return (user.lastLogin !== null || some) && !known;
}
