/** Statements about users and the security tokens of their addresses. */
import { and, desc, eq, getTableColumns, isNull, ne, or, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import {
  type AddressKind,
  type NewUserRow,
  now,
  oneTimePasswords,
  type SecurityTokenRow,
  securityTokens,
  type UserRow,
  users,
} from './schema.js';

/** A user with what the tokens of the addresses say. */
export interface User extends UserRow {
  /** null where there is no such address */
  emailVerified: boolean | null;
  phoneVerified: boolean | null;
  /** null where no address waits to take the place of the verified one */
  pendingEmail: string | null;
  pendingPhone: string | null;
}

/** A security token, whose it is, and the greatest of what its purposes count. */
export interface SecurityToken extends SecurityTokenRow {
  user: User;
  failureCount: number;
  retryAt: Date | null;
  expiresAt: Date | null;
}

const ofToken = <T>(kind: AddressKind, pending: boolean, column: string): SQL<T> =>
  sql.raw(
    `(select ${column} from security_tokens t where t.user_id = users.id and t.kind = '${kind}' and t.pending = ${pending})`,
  ) as SQL<T>;

/** To be selected from `users`, joined or not. */
export const userColumns = {
  ...getTableColumns(users),
  emailVerified: ofToken<boolean | null>('email', false, 't.verified_at is not null'),
  phoneVerified: ofToken<boolean | null>('phone', false, 't.verified_at is not null'),
  pendingEmail: ofToken<string | null>('email', true, 't.address'),
  pendingPhone: ofToken<string | null>('phone', true, 't.address'),
};

/** @throws the violated constraint where an identifier is taken */
export async function insertUser(db: Database, values: NewUserRow): Promise<UserRow> {
  const [row] = await db.insert(users).values(values).returning();
  return row!;
}

/** @throws the violated constraint where somebody has the address */
export async function insertSecurityTokens(
  db: Database,
  rows: Pick<SecurityTokenRow, 'id' | 'userId' | 'kind' | 'address' | 'givenAtSignUp' | 'pending'>[],
): Promise<void> {
  if (rows.length > 0) await db.insert(securityTokens).values(rows);
}

/** Which of the identifiers somebody has, other than the user of `exceptId`. */
export async function findTaken(
  db: Database,
  keys: { username: string | null; emailTokenId: string | null; phoneTokenId: string | null; exceptId: string },
): Promise<{ username: boolean; email: boolean; phone: boolean }> {
  const [row] = await db
    .select({
      username: sql<boolean>`exists (select from users where username_key = ${keys.username}::text and id <> ${keys.exceptId}::uuid)`,
      email: sql<boolean>`exists (select from security_tokens where id = ${keys.emailTokenId}::text and user_id <> ${keys.exceptId}::uuid)`,
      phone: sql<boolean>`exists (select from security_tokens where id = ${keys.phoneTokenId}::text and user_id <> ${keys.exceptId}::uuid)`,
    })
    .from(sql`(select) as nothing`);
  return row!;
}

export async function findUser(db: Database, id: string): Promise<User | undefined> {
  const prepared = prepareCached(db, 'find_user', (db) =>
    db
      .select(userColumns)
      .from(users)
      .where(eq(users.id, sql.placeholder('id'))),
  );
  const [row] = await prepared.execute({ id });
  return row;
}

/** An id that no user has. */
export const nobody = '00000000-0000-0000-0000-000000000000';

/**
 * The user, whom no other transaction that comes this way changes until this one has ended.
 * Rows that refer to the user are still written meanwhile (hence "no key"): else a one-time password being made and one being spent could wait for each other.
 */
export async function lockUser(tx: Database, id: string): Promise<User | undefined> {
  const prepared = prepareCached(tx, 'lock_user', (tx) =>
    tx
      .select({ id: users.id })
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .for('no key update'),
  );
  await prepared.execute({ id });
  // Only now: a statement that has waited sees the row as it is by then, and the tokens as they were when it began.
  return findUser(tx, id);
}

export async function hasSuperuser(db: Database): Promise<boolean> {
  const [row] = await db.select({ id: users.id }).from(users).where(eq(users.isSuperuser, true)).limit(1);
  return row !== undefined;
}

/** Notes that the user has signed in. @returns when */
export async function updateLastLogin(tx: Database, id: string): Promise<Date> {
  const prepared = prepareCached(tx, 'update_last_login', (tx) =>
    tx
      .update(users)
      .set({ lastLogin: now })
      .where(eq(users.id, sql.placeholder('id')))
      .returning({ lastLogin: users.lastLogin }),
  );
  const [row] = await prepared.execute({ id });
  return row!.lastLogin!;
}

export async function updatePasswordHash(tx: Database, id: string, passwordHash: string | null): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, id));
}

/** The tokens of a user, by the user's id or username, or the one of that id; email first. */
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
      .where(eq(column, sql.placeholder('value')))
      .orderBy(securityTokens.kind, securityTokens.pending),
  );
  const rows = await prepared.execute({ value: Object.values(of)[0] });
  return rows.map(({ token, ...rest }) => ({ ...token, ...rest }));
}

/** Takes an unverified address from an account that has had a verified one beside it for a day, where it is such a one. */
export async function releaseUnprovenAddress(tx: Database, tokenId: string): Promise<void> {
  const day = sql`${now} - interval '1 day'`;
  const isReleasable = and(
    eq(securityTokens.id, tokenId),
    isNull(securityTokens.verifiedAt),
    sql`${securityTokens.createdAt} <= ${day}`,
    sql`exists (select from security_tokens other where other.user_id = ${securityTokens.userId} and other.verified_at <= ${day})`,
  );
  const [token] = await tx.select().from(securityTokens).where(isReleasable);
  if (token === undefined) return;
  // The user before the token, as everybody locks them who is about to verify it; then judged again.
  await lockUser(tx, token.userId);
  const [released] = await tx
    .delete(securityTokens)
    .where(and(isReleasable, eq(securityTokens.userId, token.userId)))
    .returning();
  if (released !== undefined && !released.pending) {
    await updateUserRow(tx, released.userId, addressColumns(released.kind, null));
  }
}

/** What is written to `users` for an address that is shown and signed in by, or by null for none. Its token is the business of who writes. */
export function addressColumns(kind: AddressKind, address: { value: string; key: string } | null) {
  return kind === 'email'
    ? { email: address?.value ?? null, emailKey: address?.key ?? null }
    : { phone: address?.value ?? null };
}

/** Sets columns of the user, all at once: in between an account might be left without an identifier. */
export async function updateUserRow(tx: Database, id: string, values: Partial<Omit<UserRow, 'id'>>): Promise<void> {
  if (Object.keys(values).length > 0) await tx.update(users).set(values).where(eq(users.id, id));
}

/** Removes the tokens of an address of the user: the one in use, the pending one, or both. */
export async function deleteSecurityTokens(
  tx: Database,
  { userId, kind, pending }: { userId: string; kind: AddressKind; pending?: boolean },
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

/** Writes the same address in another spelling. */
export async function updateTokenAddress(tx: Database, id: string, address: string): Promise<void> {
  await tx.update(securityTokens).set({ address }).where(eq(securityTokens.id, id));
}

/** Marks the address verified and, where it was pending, in use; the first time, the account has an owner from now on. */
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

/** Removes the user and, by cascade, the tokens of the addresses and the sessions. */
export async function deleteUserRow(tx: Database, id: string): Promise<void> {
  await tx.delete(users).where(eq(users.id, id));
}

/** Whether an active superuser is left without that one. */
export async function hasOtherActiveSuperuser(tx: Database, id: string): Promise<boolean> {
  const [row] = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.isSuperuser, true), eq(users.isActive, true), ne(users.id, id)))
    .limit(1);
  return row !== undefined;
}

/** Where a page begins: behind that user. */
export type UserPosition = { dateJoined: string; id: string };

/** Users, the newest first, behind a position. `joined` is exact to what the database compares. */
export async function findUsersByAge(db: Database, limit: number, after: UserPosition | null): Promise<User[]> {
  const isBehind = sql`(${users.dateJoined}, ${users.id}) < (${sql.placeholder('dateJoined')}::timestamptz, ${sql.placeholder('id')}::uuid)`;
  const prepared = prepareCached(db, after === null ? 'find_newest_users' : 'find_older_users', (db) =>
    db
      .select(userColumns)
      .from(users)
      .where(after === null ? undefined : isBehind)
      .orderBy(desc(users.dateJoined), desc(users.id))
      .limit(sql.placeholder('limit')),
  );
  return prepared.execute({ limit, ...after });
}

/** How a key of comparison begins. */
export interface Prefix {
  kind: 'username' | 'email' | 'phone';
  key: string;
}

const keyColumns = { username: users.usernameKey, email: users.emailKey, phone: users.phone };

/** A user, and the first of the identifiers by which they were found. */
export interface Match {
  user: User;
  key: string;
}

/**
 * Users of whom an identifier begins so, in the order of those identifiers, behind the key of `after`. Each prefix is followed along the index of its column,
 * whatever the planner thinks of how many there are; one who is found by several identifiers is passed over at all but the first.
 */
export async function findUsersByPrefix(
  db: Database,
  prefixes: Prefix[],
  limit: number,
  after: string,
): Promise<Match[]> {
  const found: Match[] = [];
  let [position, width] = [after, limit * prefixes.length];
  for (let more = prefixes.length > 0; more && found.length < limit; width *= 4) {
    const matches = await findMatches(db, prefixes, width, position);
    for (const { user, key } of matches) if (user !== null) found.push({ user, key });
    position = matches.at(-1)?.key ?? position;
    more = matches.length === width;
  }
  return found.slice(0, limit);
}

/** Identifiers that begin so, in their order; the user of each that is the first of the user's that do. */
async function findMatches(
  db: Database,
  prefixes: Prefix[],
  limit: number,
  after: string,
): Promise<{ user: User | null; key: string }[]> {
  // Compared byte by byte, so everything that begins so lies below the same text with the last code point of all behind it.
  const begins = ({ kind, key }: Prefix) =>
    sql`${keyColumns[kind]} >= ${key} and ${keyColumns[kind]} < ${`${key}\u{10FFFF}`}`;
  const first = sql.join(
    prefixes.map((prefix) => sql`case when ${begins(prefix)} then ${keyColumns[prefix.kind]} end`),
    sql`, `,
  );
  const matches = prefixes.map((prefix) => {
    const column = keyColumns[prefix.kind];
    return sql`(select ${users.id}, ${column} as key, ${column} = least(${first}) as is_first
      from ${users} where ${begins(prefix)} and ${column} > ${after} order by ${column} limit ${limit})`;
  });
  return (
    db
      .select({ user: userColumns, key: sql<string>`matches.key` })
      .from(sql`(${sql.join(matches, sql` union all `)} order by key limit ${limit}) as matches`)
      // Nothing more is read of those who are passed over.
      .leftJoin(users, sql`${users.id} = case when matches.is_first then matches.id end`)
      .orderBy(sql`matches.key`)
  );
}

/** The users that the keys name: nobody, one, or several who are not the same; and whether each has signed in from that network within 30 days. */
export async function findUsersByKeys(
  db: Database,
  keys: Prefix[],
  network: string,
): Promise<{ user: User; knownNetwork: boolean }[]> {
  if (keys.length === 0) return [];
  const prepared = prepareCached(db, 'find_users_by_keys', (db) =>
    db
      .select({
        user: userColumns,
        knownNetwork: sql<boolean>`exists (select from sessions s where s.user_id = users.id and s.ip_address <<= ${sql.placeholder('network')}::inet and s.created_at > statement_timestamp() - interval '30 days')`,
      })
      .from(users)
      .where(
        or(...(['username', 'email', 'phone'] as const).map((kind) => eq(keyColumns[kind], sql.placeholder(kind)))),
      ),
  );
  const none = { username: null, email: null, phone: null };
  return prepared.execute({ ...none, ...Object.fromEntries(keys.map(({ kind, key }) => [kind, key])), network });
}
