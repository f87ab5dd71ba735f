/** Statements on security tokens: the addresses of users. */
import { and, eq, getTableColumns, isNull, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import {
  now,
  oneTimePasswords,
  pgArray,
  type SecurityTokenKind,
  type SecurityTokenRow,
  secondsAgo,
  securityTokenKinds,
  securityTokens,
  users,
} from './schema.js';
import { addressColumns, lockUser, type User, updateUserRow, userColumns } from './users.queries.js';

/** A security token with its user and the maximum of its counters over all purposes. */
export interface SecurityToken extends SecurityTokenRow {
  user: User;
  failureCount: number;
  retryAt: Date | null;
  expiresAt: Date | null;
}

/** @throws a constraint violation if an address is taken */
export async function insertSecurityTokens(
  db: Database,
  rows: Pick<SecurityTokenRow, 'id' | 'userId' | 'kind' | 'address' | 'givenAtSignUp' | 'pending'>[],
): Promise<void> {
  if (rows.length > 0) await db.insert(securityTokens).values(rows);
}

/** Returns tokens by user id, username or token id. Email comes first. */
export async function findSecurityTokens(
  db: Database,
  of: { userId: string } | { usernameKey: string } | { id: string },
): Promise<SecurityToken[]> {
  const greatest = (column: 'retry_at' | 'expires_at') =>
    sql<Date | null>`(select max(o.${sql.raw(column)}) from one_time_passwords o where o.token_id = security_tokens.id)`.mapWith(
      oneTimePasswords.retryAt,
    );
  const by = 'userId' in of ? 'user' : 'usernameKey' in of ? 'username' : 'id';
  const column = { user: securityTokens.userId, username: users.usernameKey, id: securityTokens.id }[by];
  const prepared = prepareCached(db, `find_security_tokens_by_${by}`, (db) =>
    db
      .select({
        token: getTableColumns(securityTokens),
        user: userColumns,
        failureCount: sql<number>`coalesce((select max(o.failure_count) from one_time_passwords o where o.token_id = security_tokens.id), 0)`,
        retryAt: greatest('retry_at'),
        expiresAt: greatest('expires_at'),
      })
      .from(securityTokens)
      .innerJoin(users, eq(users.id, securityTokens.userId))
      .where(
        and(
          eq(column, sql.placeholder('value')),
          // Skips kinds that only a newer version knows: this one cannot send to them.
          sql`${securityTokens.kind} = any(${pgArray(securityTokenKinds)})`,
        ),
      )
      .orderBy(securityTokens.kind, securityTokens.pending),
  );
  const rows = await prepared.execute({ value: Object.values(of)[0] });
  return rows.map(({ token, ...rest }) => ({ ...token, ...rest }));
}

/** Returns the token. The caller has locked its user, so the token exists. */
export async function getSecurityToken(tx: Database, id: string): Promise<SecurityToken> {
  return onlyRow(await findSecurityTokens(tx, { id }));
}

/**
 * Releases an unverified address if its account verified another address long enough ago.
 * @param claimSeconds how long the account keeps the unverified address
 */
export async function releaseUnverifiedAddress(tx: Database, tokenId: string, claimSeconds: number): Promise<void> {
  const before = secondsAgo(claimSeconds);
  const isReleasable = and(
    eq(securityTokens.id, tokenId),
    isNull(securityTokens.verifiedAt),
    sql`${securityTokens.createdAt} <= ${before}`,
    sql`exists (select from security_tokens other where other.user_id = ${securityTokens.userId} and other.verified_at <= ${before})`,
  );
  const [token] = await tx.select().from(securityTokens).where(isReleasable);
  if (token === undefined) return;
  // Lock the user before the token, like every verification does. Then check again.
  await lockUser(tx, token.userId);
  const [released] = await tx
    .delete(securityTokens)
    .where(and(isReleasable, eq(securityTokens.userId, token.userId)))
    .returning();
  if (released !== undefined && !released.pending) {
    await updateUserRow(tx, released.userId, addressColumns(released.kind, null));
  }
}

/** Deletes the user's tokens of a kind: the current one, the pending one, or both. */
export async function deleteSecurityTokens(
  tx: Database,
  { userId, kind, pending }: { userId: string; kind: SecurityTokenKind; pending?: boolean },
): Promise<void> {
  await tx
    .delete(securityTokens)
    .where(
      and(
        eq(securityTokens.userId, userId),
        eq(securityTokens.kind, kind),
        pending === undefined ? undefined : eq(securityTokens.pending, pending),
      ),
    );
}

/** Stores another spelling of the same address. */
export async function updateTokenAddress(tx: Database, id: string, address: string): Promise<void> {
  await tx.update(securityTokens).set({ address }).where(eq(securityTokens.id, id));
}

/** Marks the address verified and current. The first verified address makes the account owned. */
export async function markVerified(tx: Database, tokenId: string, userId: string): Promise<void> {
  await tx
    .update(securityTokens)
    .set({ verifiedAt: now, pending: false })
    .where(and(eq(securityTokens.id, tokenId), isNull(securityTokens.verifiedAt)));
  await tx
    .update(users)
    .set({ firstVerifiedAt: now })
    .where(and(eq(users.id, userId), isNull(users.firstVerifiedAt)));
}
