/** Statements on sessions. */
import { and, desc, eq, getTableColumns, gt, isNull, ne, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow, readAs } from './rows.js';
import {
  type AuthenticationMethod,
  authenticationMethodNames,
  now,
  pgArray,
  type SessionRow,
  seconds,
  secondsAgo,
  securityTokens,
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
  openedBySignUp: boolean;
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
        openedBySignUp: param('openedBySignUp'),
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

/** What the session has proven, by the clock of the database. */
export interface SessionProofs {
  /** the last authentication is recent */
  recentlyAuthenticated: boolean;
  /** a password gave fresh proof */
  passwordProof: boolean;
  /** a code gave fresh proof: when its address was verified; null without one */
  addressProofVerifiedAt: Date | null;
  /** the sign-up or the first proof opened the session, not long ago */
  openedForNewOwner: boolean;
}

export interface LiveSession extends SessionProofs {
  user: User;
  session: Pick<SessionRow, 'id'>;
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
  durations: { recentSeconds: number; newAccountSeconds: number; touchIntervalSeconds: number },
): Promise<LiveSession | undefined> {
  const prepared = prepareCached(db, 'find_live_session', (db) => {
    const isRecent = (column: SQLWrapper) =>
      sql<boolean>`coalesce(${column} > ${secondsAgo(sql.placeholder('recentSeconds'))}, false)`;
    return db
      .select({
        user: userColumns,
        session: { id: sessions.id },
        recentlyAuthenticated: isRecent(sessions.authenticatedAt),
        passwordProof: isRecent(sessions.passwordProofAt),
        addressProofVerifiedAt: readAs<Date | null>(
          sql`case when ${isRecent(sessions.addressProofAt)} then ${sessions.addressProofVerifiedAt} end`,
          sessions.addressProofVerifiedAt,
        ),
        openedForNewOwner: sql<boolean>`${sessions.openedBySignUp} and ${sessions.createdAt} > ${secondsAgo(sql.placeholder('newAccountSeconds'))}`,
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
      );
  });
  const [row] = await prepared.execute({ ...token, ...durations, expiresAt: token.expiresAt.toISOString() });
  return row;
}

/**
 * Locks the user, then their session until the transaction ends.
 * In this order, because a revocation locks the user before the sessions.
 * @returns whether the user is active and the session live
 */
export async function lockLiveSession(
  tx: Database,
  { session, user }: { session: { id: string }; user: { id: string } },
): Promise<boolean> {
  const lockActiveUser = prepareCached(tx, 'lock_active_user', (tx) =>
    tx
      .select({ id: users.id })
      .from(users)
      .where(and(eq(users.id, sql.placeholder('id')), eq(users.isActive, true)))
      .for('no key update'),
  );
  const lockSession = prepareCached(tx, 'lock_live_session', (tx) =>
    tx
      .select({ id: sessions.id })
      .from(sessions)
      .where(and(eq(sessions.id, sql.placeholder('id')), isLive))
      .for('share'),
  );
  const [active] = await lockActiveUser.execute({ id: user.id });
  if (active === undefined) return false;
  const [live] = await lockSession.execute({ id: session.id });
  return live !== undefined;
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

/** When a password or an address is old enough to give fresh proof, in seconds. */
export interface ProofAges {
  minAgeSeconds: number;
  /** what an account got within this time after its creation needs no age */
  newAccountSeconds: number;
}

/** @param since when the password was changed, or the address verified; null gives null */
function isOldEnough(since: SQLWrapper, { minAgeSeconds, newAccountSeconds }: ProofAges): SQL {
  return sql`(${since} <= ${secondsAgo(minAgeSeconds)} or ${since} <= ${users.dateJoined} + ${seconds(newAccountSeconds)})`;
}

/** A password without a time of change dates from the sign-up or the import. */
const isPasswordOldEnough = (ages: ProofAges): SQL =>
  sql`(${users.passwordHash} is not null and coalesce(${isOldEnough(users.passwordChangedAt, ages)}, true))`;

/**
 * Records an authentication by password in a live session.
 * @returns the session, and whether the password is old enough to give fresh proof
 */
export async function recordPassword(
  tx: Database,
  id: string,
  ages: ProofAges,
): Promise<{ session: SessionRow; proves: boolean }> {
  const proves = isPasswordOldEnough(ages);
  const rows = await tx
    .update(sessions)
    .set({
      authenticatedAt: now,
      passwordProofAt: sql`case when ${proves} then ${now} else ${sessions.passwordProofAt} end`,
      authenticationMethods: withMethod('PASSWORD'),
    })
    .from(users)
    .where(and(eq(sessions.id, id), eq(users.id, sessions.userId)))
    .returning({ session: getTableColumns(sessions), proves: sql<boolean>`${proves}` });
  return onlyRow(rows);
}

/**
 * Records an authentication by a code to an address in a live session. It is fresh proof if the
 * address was verified long enough ago. If two addresses gave fresh proof, the session keeps the
 * one that was verified first.
 */
export async function recordOneTimePassword(
  tx: Database,
  id: string,
  { method, verifiedAt }: { method: AuthenticationMethod; verifiedAt: Date },
  { recentSeconds, ...ages }: ProofAges & { recentSeconds: number },
): Promise<void> {
  const since = sql`${verifiedAt.toISOString()}::timestamptz`;
  const hasBetter = sql`coalesce(${sessions.addressProofAt} > ${secondsAgo(recentSeconds)} and ${sessions.addressProofVerifiedAt} < ${since}, false)`;
  const replaces = sql`${isOldEnough(since, ages)} and not ${hasBetter}`;
  await tx
    .update(sessions)
    .set({
      authenticatedAt: now,
      oneTimePasswordAt: now,
      addressProofAt: sql`case when ${replaces} then ${now} else ${sessions.addressProofAt} end`,
      addressProofVerifiedAt: sql`case when ${replaces} then ${since} else ${sessions.addressProofVerifiedAt} end`,
      authenticationMethods: withMethod(method),
    })
    .from(users)
    .where(and(eq(sessions.id, id), eq(users.id, sessions.userId)));
}

/** Adds a method in the order of {@link authenticationMethodNames}. */
const withMethod = (method: AuthenticationMethod): SQL => sql`array(
  select method from unnest(array_append(${sessions.authenticationMethods}, ${method}::text)) as method
  group by method order by array_position(${pgArray(authenticationMethodNames)}, method), method)`;

/** Returns what of the user is old enough to give fresh proof. */
export async function findUsableProofs(
  db: Database,
  userId: string,
  ages: ProofAges,
): Promise<{ password: boolean; tokenIds: string[] }> {
  const rows = await db
    .select({
      password: sql<boolean>`${isPasswordOldEnough(ages)}`,
      tokenId: sql<
        string | null
      >`case when ${isOldEnough(securityTokens.verifiedAt, ages)} then ${securityTokens.id} end`,
    })
    .from(users)
    .leftJoin(securityTokens, eq(securityTokens.userId, users.id))
    .where(eq(users.id, userId));
  return { password: rows.some(({ password }) => password), tokenIds: rows.flatMap(({ tokenId }) => tokenId ?? []) };
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
