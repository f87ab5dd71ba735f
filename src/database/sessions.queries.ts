/** Statements about sessions. */
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
  const given = (name: keyof NewSession | 'byOneTimePassword') => sql.placeholder(name);
  const prepared = prepareCached(tx, 'insert_session', (tx) =>
    tx
      .insert(sessions)
      .values({
        id: given('id'),
        userId: given('userId'),
        refreshTokenHash: given('refreshTokenHash'),
        authenticationMethods: given('authenticationMethods'),
        userAgent: given('userAgent'),
        ipAddress: given('ipAddress'),
        oneTimePasswordAt: sql`case when ${given('byOneTimePassword')}::boolean then ${now} end`,
        idleExpiresAt: sql`${now} + make_interval(secs => ${given('idleTtlSeconds')}::int)`,
        expiresAt: sql`${now} + make_interval(secs => ${given('ttlSeconds')}::int)`,
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
  /** authenticated within `recentSeconds`, by whatever means */
  recentlyAuthenticated: boolean;
  /** likewise, by a one-time password */
  recentOneTimePassword: boolean;
  /** last noted to be used more than `touchIntervalSeconds` ago */
  touchDue: boolean;
}

/**
 * The session and its user, as long as it lives and the access token has not expired.
 * @param token what its signature vouches for
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

/** The live sessions of a user, the one used last first. */
export async function findSessions(db: Database, userId: string): Promise<SessionRow[]> {
  return db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive))
    .orderBy(desc(sessions.lastUsedAt), sessions.id);
}

/** Notes that the session is used, at most once in the interval, and so puts off its end by idleness. */
export async function touchSession(
  db: Database,
  id: string,
  { idleTtlSeconds, intervalSeconds }: { idleTtlSeconds: number; intervalSeconds: number },
): Promise<void> {
  await db
    .update(sessions)
    .set({ lastUsedAt: now, idleExpiresAt: idleEnd(idleTtlSeconds) })
    .where(and(eq(sessions.id, id), isLive, sql`${sessions.lastUsedAt} <= ${secondsAgo(intervalSeconds)}`));
}

/** Never behind the end in all. */
function idleEnd(idleTtlSeconds: number) {
  return sql`least(${sessions.expiresAt}, ${now} + make_interval(secs => ${idleTtlSeconds}))`;
}

export interface Rotation {
  session: SessionRow;
  user: User;
  /** false where the token was spent before: nothing is changed, and the session is to be revoked */
  rotated: boolean;
  issuedAt: Date;
}

/**
 * Spends a refresh token for its successor, in one statement. The current one is spent; the previous one gives the same successor once more as long as
 * that is unused, for `retrySeconds`, because its answer may have been lost; any other is a copy.
 * Longer than other functions: it is one statement.
 * @returns undefined where the session does not live
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
        // Judged by the row as it is now: the current token has become the previous one.
        rotated: sql<boolean>`${isPrevious}`,
        issuedAt: sql<Date>`${now}`.mapWith(sessions.createdAt),
      });
  });
  const [row] = await prepared.execute(token);
  return row;
}

/** Ends the session, of one user where `userId` names them. @returns it, if it lived */
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

/** Ends every session of the user, but for one where `exceptId` names it. @returns how many lived */
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

/** Removes every session of the user, and with them where and by what program they were opened. */
export async function deleteSessions(tx: Database, userId: string): Promise<void> {
  await tx.delete(sessions).where(eq(sessions.userId, userId));
}

/** Notes in a session that its user has proved to be there once more, by a one-time password. */
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

/** Whether the user has signed in before, and never within `withinSeconds` by this program from this network. */
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
