/** Statements about users. */
import { and, eq, getTableColumns, ne, or, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { onlyRow } from './rows.js';
import { type NewUserRow, now, type SecurityTokenKind, secondsAgo, type UserRow, users } from './schema.js';

/** A user with what the tokens of the addresses say. */
export interface User extends UserRow {
  /** null where there is no such address */
  emailVerified: boolean | null;
  phoneVerified: boolean | null;
  /** null where no address waits to take the place of the verified one */
  pendingEmail: string | null;
  pendingPhone: string | null;
}

const tokenColumn = <T>(kind: SecurityTokenKind, pending: boolean, column: string): SQL<T> =>
  sql<T>`${sql.raw(
    `(select ${column} from security_tokens t where t.user_id = users.id and t.kind = '${kind}' and t.pending = ${pending})`,
  )}`;

/** To be selected from `users`, joined or not. */
export const userColumns = {
  ...getTableColumns(users),
  emailVerified: tokenColumn<boolean | null>('email', false, 't.verified_at is not null'),
  phoneVerified: tokenColumn<boolean | null>('phone', false, 't.verified_at is not null'),
  pendingEmail: tokenColumn<string | null>('email', true, 't.address'),
  pendingPhone: tokenColumn<string | null>('phone', true, 't.address'),
};

/** @throws the violated constraint where an identifier is taken */
export async function insertUser(db: Database, values: NewUserRow): Promise<UserRow> {
  return onlyRow(await db.insert(users).values(values).returning());
}

/** Which of the identifiers somebody has, other than the user of `exceptId`. */
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

/** The user of that id, who is there: the caller has locked them. */
export async function getUser(tx: Database, id: string): Promise<User> {
  const user = await findUser(tx, id);
  if (user === undefined) throw new Error('There is no such user.');
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

/** An id that no user has. */
export const nilUuid = '00000000-0000-0000-0000-000000000000';

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
  const { lastLogin } = onlyRow(await prepared.execute({ id }));
  if (lastLogin === null) throw new Error('The statement set no last login.');
  return lastLogin;
}

export async function updatePasswordHash(tx: Database, id: string, passwordHash: string | null): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, id));
}

/** What is written to `users` for an address that is shown and signed in by, or by null for none. Its token is the business of who writes. */
export function addressColumns(
  kind: SecurityTokenKind,
  address: { value: string; key: string } | null,
): AddressColumns {
  return columnsByKind[kind]?.(address) ?? {};
}

type AddressColumns = Partial<Pick<UserRow, 'email' | 'emailKey' | 'phone'>>;

/** The addresses of other kinds are in `security_tokens` alone. */
const columnsByKind: Partial<
  Record<SecurityTokenKind, (address: { value: string; key: string } | null) => AddressColumns>
> = {
  email: (address) => ({ email: address?.value ?? null, emailKey: address?.key ?? null }),
  phone: (address) => ({ phone: address?.value ?? null }),
};

/** Sets columns of the user, all at once: in between an account might be left without an identifier. */
export async function updateUserRow(tx: Database, id: string, values: Partial<Omit<UserRow, 'id'>>): Promise<void> {
  if (Object.keys(values).length > 0) await tx.update(users).set(values).where(eq(users.id, id));
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

/** How a key of comparison begins. */
export interface IdentifierPrefix {
  kind: 'username' | 'email' | 'phone';
  key: string;
}

export const keyColumns = { username: users.usernameKey, email: users.emailKey, phone: users.phone };

/** A user, and whether they have signed in from the network of the caller lately. */
export interface UserMatch {
  user: User;
  knownNetwork: boolean;
}

/** The users that the keys name: nobody, one, or several who are not the same; and whether each has signed in from that network lately. */
export async function findUsersByKeys(
  db: Database,
  keys: IdentifierPrefix[],
  { network, withinSeconds }: { network: string; withinSeconds: number },
): Promise<UserMatch[]> {
  if (keys.length === 0) return [];
  const prepared = prepareCached(db, 'find_users_by_keys', (db) =>
    db
      .select({
        user: userColumns,
        knownNetwork: sql<boolean>`exists (select from sessions s where s.user_id = users.id and s.ip_address <<= ${sql.placeholder('network')}::inet and s.created_at > ${secondsAgo(sql.placeholder('withinSeconds'))})`,
      })
      .from(users)
      .where(
        or(...(['username', 'email', 'phone'] as const).map((kind) => eq(keyColumns[kind], sql.placeholder(kind)))),
      ),
  );
  const none = { username: null, email: null, phone: null };
  return prepared.execute({
    ...none,
    ...Object.fromEntries(keys.map(({ kind, key }) => [kind, key])),
    network,
    withinSeconds,
  });
}
