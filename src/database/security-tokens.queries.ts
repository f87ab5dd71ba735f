/** Statements on security tokens: the addresses of users. */
import { and, eq, gt, isNull, type SQLWrapper, sql } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow, readAs } from './rows.js';
import {
  now,
  oneTimePasswords,
  pendingAddresses,
  pgArray,
  type SecurityTokenKind,
  type SecurityTokenRow,
  secondsAgo,
  securityTokenKinds,
  securityTokens,
  users,
} from './schema.js';
import { type User, userColumns } from './users.queries.js';

/** A security token with its user and the maximum of its counters over all purposes. */
export interface SecurityToken extends SecurityTokenRow {
  user: User;
  /** the id of its one-time passwords and counters */
  counterId: string;
  failureCount: number;
  retryAt: Date | null;
  expiresAt: Date | null;
}

/** @throws a constraint violation if an address is taken */
export async function insertSecurityTokens(
  db: Database,
  rows: Pick<SecurityTokenRow, 'id' | 'userId' | 'kind' | 'address'>[],
): Promise<void> {
  // `given_at_sign_up` distinguishes reserved addresses from those that an earlier release added.
  if (rows.length > 0) await db.insert(securityTokens).values(rows.map((row) => ({ ...row, givenAtSignUp: true })));
}

/**
 * Verified and reserved addresses, and the pending ones if they are wanted. The counters of a
 * pending address belong to its user too.
 */
function selectAddresses(db: Database, withPending: boolean) {
  const { id, userId, kind, address, givenAtSignUp, pending, createdAt, verifiedAt } = securityTokens;
  const held = db
    .select({
      id,
      userId,
      kind,
      address,
      givenAtSignUp,
      pending,
      createdAt,
      verifiedAt,
      counterId: sql<string>`${id}`.as('counter_id'),
    })
    .from(securityTokens);
  if (!withPending) return held.as('addresses');
  const waiting = db
    .select({
      id: pendingAddresses.tokenId,
      userId: pendingAddresses.userId,
      kind: pendingAddresses.kind,
      address: pendingAddresses.address,
      givenAtSignUp: sql<boolean>`false`.as('given_at_sign_up'),
      pending: sql<boolean>`true`.as('pending'),
      createdAt: pendingAddresses.createdAt,
      verifiedAt: sql<Date | null>`null::timestamptz`.as('verified_at'),
      counterId: sql<string>`${pendingAddresses.tokenId} || ' ' || ${pendingAddresses.userId}`.as('counter_id'),
    })
    .from(pendingAddresses);
  return unionAll(held, waiting).as('addresses');
}

/**
 * Returns tokens by user id, username or token id. Email comes first.
 * A token id alone finds a verified or reserved address. With `userId` it also finds a pending one.
 */
export async function findSecurityTokens(
  db: Database,
  of: { userId: string } | { usernameKey: string } | { id: string } | { id: string; userId: string },
): Promise<SecurityToken[]> {
  const by = 'usernameKey' in of ? 'username' : 'id' in of ? ('userId' in of ? 'own_id' : 'id') : 'user';
  const prepared = prepareCached(db, `find_security_tokens_by_${by}`, (db) => {
    const addresses = selectAddresses(db, by !== 'id');
    const token = addresses._.selectedFields;
    const greatest = (column: SQLWrapper) =>
      sql`(select max(${column}) from ${oneTimePasswords} where ${oneTimePasswords.tokenId} = ${token.counterId})`;
    const param = (name: string) => sql.placeholder(name);
    const isWanted = {
      user: eq(addresses.userId, param('userId')),
      username: eq(users.usernameKey, param('usernameKey')),
      id: eq(addresses.id, param('id')),
      own_id: and(eq(addresses.id, param('id')), eq(addresses.userId, param('userId'))),
    }[by];
    return db
      .select({
        token,
        user: userColumns,
        failureCount: sql<number>`coalesce(${greatest(oneTimePasswords.failureCount)}, 0)`,
        retryAt: readAs<Date | null>(greatest(oneTimePasswords.retryAt), oneTimePasswords.retryAt),
        expiresAt: readAs<Date | null>(greatest(oneTimePasswords.expiresAt), oneTimePasswords.expiresAt),
      })
      .from(addresses)
      .innerJoin(users, eq(users.id, addresses.userId))
      .where(
        and(
          isWanted,
          // Skips kinds that only a newer version knows: this one cannot send to them.
          sql`${addresses.kind} = any(${pgArray(securityTokenKinds)})`,
        ),
      )
      .orderBy(addresses.kind, addresses.pending);
  });
  const rows = await prepared.execute(of);
  return rows.map(({ token, ...rest }) => ({ ...token, ...rest }));
}

/** Returns the token. The caller has locked its user, so the token exists. */
export async function getSecurityToken(tx: Database, id: string): Promise<SecurityToken> {
  return onlyRow(await findSecurityTokens(tx, { id }));
}

/**
 * Moves addresses that reserve nothing to `pending_addresses`: those of the release before.
 * @param tokenIds null moves all of them
 */
export async function moveLapsedAddresses(tx: Database, tokenIds: readonly string[] | null): Promise<void> {
  await tx.execute(sql`select move_lapsed_addresses(${tokenIds === null ? null : pgArray(tokenIds)})`);
}

/** Moves addresses of the user that reserve nothing any more to `pending_addresses`. */
export async function moveLapsedAddressesOf(tx: Database, userId: string): Promise<void> {
  await tx.execute(
    sql`select move_lapsed_addresses(array(select id from ${securityTokens} where ${eq(securityTokens.userId, userId)}))`,
  );
}

/** @returns whether the user had the address, and had not verified it */
export async function deleteUnverifiedToken(tx: Database, userId: string, id: string): Promise<boolean> {
  const isUnverified = and(eq(securityTokens.userId, userId), isNull(securityTokens.verifiedAt));
  const deleted = await tx
    .delete(securityTokens)
    .where(and(isUnverified, eq(securityTokens.id, id)))
    .returning({ id: securityTokens.id });
  return deleted.length > 0;
}

/** @returns the kinds of the deleted addresses */
export async function deleteUnverifiedTokens(tx: Database, userId: string): Promise<SecurityTokenKind[]> {
  const deleted = await tx
    .delete(securityTokens)
    .where(and(eq(securityTokens.userId, userId), isNull(securityTokens.verifiedAt)))
    .returning({ kind: securityTokens.kind });
  return deleted.map(({ kind }) => kind);
}

/**
 * Deletes addresses of the user that were verified after `verifiedAt`, and not long ago.
 * @returns their kinds
 */
export async function deleteYoungTokens(
  tx: Database,
  userId: string,
  { verifiedAt, maxAgeSeconds }: { verifiedAt: Date; maxAgeSeconds: number },
): Promise<SecurityTokenKind[]> {
  const deleted = await tx
    .delete(securityTokens)
    .where(
      and(
        eq(securityTokens.userId, userId),
        gt(securityTokens.verifiedAt, verifiedAt),
        gt(securityTokens.verifiedAt, secondsAgo(maxAgeSeconds)),
      ),
    )
    .returning({ kind: securityTokens.kind });
  return deleted.map(({ kind }) => kind);
}

/** Deletes the user's verified or reserved address of a kind. */
export async function deleteSecurityToken(tx: Database, userId: string, kind: SecurityTokenKind): Promise<void> {
  await tx.delete(securityTokens).where(and(eq(securityTokens.userId, userId), eq(securityTokens.kind, kind)));
}

/** Stores another spelling of the same address. */
export async function updateTokenAddress(tx: Database, id: string, address: string): Promise<void> {
  await tx.update(securityTokens).set({ address }).where(eq(securityTokens.id, id));
}

/** Marks the address verified. The first verified address makes the account owned. */
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
