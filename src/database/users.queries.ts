/** Statements on users. */
import { and, eq, getTableColumns, ne, or, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import {
  type NewUserRow,
  now,
  pendingAddresses,
  type SecurityTokenKind,
  secondsAgo,
  type UserRow,
  users,
} from './schema.js';

/** A user with the state of their addresses. */
export interface User extends UserRow {
  /** null without an address of this kind */
  emailVerified: boolean | null;
  phoneVerified: boolean | null;
  /** null if no address is pending */
  pendingEmail: string | null;
  pendingPhone: string | null;
}

const isVerified = (kind: SecurityTokenKind): SQL<boolean | null> =>
  sql<boolean | null>`${sql.raw(
    `(select t.verified_at is not null from security_tokens t where t.user_id = users.id and t.kind = '${kind}' and not t.pending)`,
  )}`;

const pendingAddress = (kind: SecurityTokenKind): SQL<string | null> =>
  sql<
    string | null
  >`${sql.raw(`(select p.address from pending_addresses p where p.user_id = users.id and p.kind = '${kind}')`)}`;

/** Columns to select from `users`, joined or not. */
export const userColumns = {
  ...getTableColumns(users),
  emailVerified: isVerified('email'),
  phoneVerified: isVerified('phone'),
  pendingEmail: pendingAddress('email'),
  pendingPhone: pendingAddress('phone'),
};

/** @throws a constraint violation if an identifier is taken */
export async function insertUser(db: Database, values: NewUserRow): Promise<UserRow> {
  return onlyRow(await db.insert(users).values(values).returning());
}

/** Returns which identifiers another user than `exceptId` holds. */
export async function findTakenIdentifiers(
  db: Database,
  keys: { username: string | null; emailTokenId: string | null; phoneTokenId: string | null; exceptId: string },
): Promise<{ username: boolean; email: boolean; phone: boolean }> {
  const rows = await db
    .select({
      username: sql<boolean>`exists (select from users where username_key = ${keys.username}::text and id <> ${keys.exceptId}::uuid)`,
      email: sql<boolean>`exists (select from security_tokens where id = ${keys.emailTokenId}::text and user_id <> ${keys.exceptId}::uuid)`,
      phone: sql<boolean>`exists (select from security_tokens where id = ${keys.phoneTokenId}::text and user_id <> ${keys.exceptId}::uuid)`,
    })
    .from(sql`(select) as nothing`);
  return onlyRow(rows);
}

/** Returns the user. The caller has locked the row, so the user exists. */
export async function getUser(tx: Database, id: string): Promise<User> {
  const user = await findUser(tx, id);
  if (user === undefined) throw new Error('The locked user does not exist.');
  return user;
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

/** The nil UUID, which no user has. */
export const nilUuid = '00000000-0000-0000-0000-000000000000';

/**
 * Locks the user until the transaction ends, and returns them.
 * Uses NO KEY UPDATE, so that rows that reference the user can still be written. Otherwise the
 * issue and the consumption of a one-time password could deadlock.
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
  // Re-read after locking: the waiting statement's snapshot predates the lock.
  return findUser(tx, id);
}

export async function hasSuperuser(db: Database): Promise<boolean> {
  const [row] = await db.select({ id: users.id }).from(users).where(eq(users.isSuperuser, true)).limit(1);
  return row !== undefined;
}

/** Notices go to at most so many superusers. */
const maxSuperusers = 100;

export async function findSuperusers(db: Database): Promise<User[]> {
  return db
    .select(userColumns)
    .from(users)
    .where(and(eq(users.isSuperuser, true), eq(users.isActive, true)))
    .orderBy(users.dateJoined)
    .limit(maxSuperusers);
}

/**
 * Sets the last login to now.
 * @returns the last login
 */
export async function updateLastLogin(tx: Database, id: string): Promise<Date> {
  const prepared = prepareCached(tx, 'update_last_login', (tx) =>
    tx
      .update(users)
      .set({ lastLogin: now })
      .where(eq(users.id, sql.placeholder('id')))
      .returning({ lastLogin: users.lastLogin }),
  );
  const { lastLogin } = onlyRow(await prepared.execute({ id }));
  if (lastLogin === null) throw new Error('The statement set no last login.');
  return lastLogin;
}

/** Stores a new password, or none. */
export async function updatePassword(tx: Database, id: string, passwordHash: string | null): Promise<void> {
  await tx.update(users).set({ passwordHash, passwordChangedAt: now }).where(eq(users.id, id));
}

/** Stores another hash of the same password. */
export async function upgradePasswordHash(tx: Database, id: string, passwordHash: string): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, id));
}

/** Returns the columns of `users` for an address; null clears them. The caller writes the token. */
export function addressColumns(
  kind: SecurityTokenKind,
  address: { value: string; key: string } | null,
): AddressColumns {
  return columnsByKind[kind]?.(address) ?? {};
}

type AddressColumns = Partial<Pick<UserRow, 'email' | 'emailKey' | 'phone'>>;

/** Addresses of other kinds are stored in `security_tokens` only. */
const columnsByKind: Partial<
  Record<SecurityTokenKind, (address: { value: string; key: string } | null) => AddressColumns>
> = {
  email: (address) => ({ email: address?.value ?? null, emailKey: address?.key ?? null }),
  phone: (address) => ({ phone: address?.value ?? null }),
};

/** Sets columns in one statement: an intermediate state could lack an identifier. */
export async function updateUserRow(tx: Database, id: string, values: Partial<Omit<UserRow, 'id'>>): Promise<void> {
  if (Object.keys(values).length > 0) await tx.update(users).set(values).where(eq(users.id, id));
}

/** Deletes the user and, by cascade, their tokens and sessions. */
export async function deleteUserRow(tx: Database, id: string): Promise<void> {
  await tx.delete(users).where(eq(users.id, id));
}

/** Whether another active superuser exists. */
export async function hasOtherActiveSuperuser(tx: Database, id: string): Promise<boolean> {
  const [row] = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.isSuperuser, true), eq(users.isActive, true), ne(users.id, id)))
    .limit(1);
  return row !== undefined;
}

/** The kind and beginning of a comparison key. */
export interface IdentifierPrefix {
  kind: 'username' | 'email' | 'phone';
  key: string;
}

export const keyColumns = { username: users.usernameKey, email: users.emailKey, phone: users.phone };

/** A user, and whether they recently signed in from the caller's network. */
export interface UserMatch {
  user: User;
  knownNetwork: boolean;
}

/** An identifier to look up. `tokenId` belongs to an address; null for usernames. */
export interface IdentifierKey extends IdentifierPrefix {
  tokenId: string | null;
}

/**
 * Returns the users that the keys name. Several keys may name different users.
 * An address names the user who has verified or reserved it, else the oldest who holds it pending.
 */
export async function findUsersByKeys(
  db: Database,
  keys: IdentifierKey[],
  { network, withinSeconds }: { network: string; withinSeconds: number },
): Promise<UserMatch[]> {
  if (keys.length === 0) return [];
  const prepared = prepareCached(db, 'find_users_by_keys', (db) => {
    const param = (name: string) => sql.placeholder(name);
    const oldestPending = (kind: SecurityTokenKind) => sql`${users.id} = (select p.user_id from ${pendingAddresses} p
      where p.token_id = ${param(`${kind}TokenId`)} and not exists (select from users u where ${sql.raw(
        kind === 'email' ? 'u.email_key' : 'u.phone',
      )} = ${param(kind)})
      order by p.created_at, p.user_id limit 1)`;
    return db
      .select({
        user: userColumns,
        knownNetwork: sql<boolean>`exists (select from sessions s where s.user_id = users.id and s.ip_address <<= ${param('network')}::inet and s.created_at > ${secondsAgo(param('withinSeconds'))})`,
      })
      .from(users)
      .where(
        or(
          ...(['username', 'email', 'phone'] as const).map((kind) => eq(keyColumns[kind], param(kind))),
          oldestPending('email'),
          oldestPending('phone'),
        ),
      );
  });
  const none = { username: null, email: null, phone: null, emailTokenId: null, phoneTokenId: null };
  return prepared.execute({
    ...none,
    ...Object.fromEntries(keys.map(({ kind, key }) => [kind, key])),
    ...Object.fromEntries(keys.map(({ kind, tokenId }) => [`${kind}TokenId`, tokenId])),
    network,
    withinSeconds,
  });
}
