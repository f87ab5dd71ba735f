/** Statements that import users in batches. The rows of a batch are one JSON parameter. */
import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { oneTimePasswordPurposes, pgArray } from './schema.js';

/** A new user with all imported data. The caller generates `id`. */
export interface ImportedRow {
  id: string;
  importedId: string;
  digests: Buffer;
  username: string | null;
  usernameKey: string | null;
  /** null if the address is pending, like `phone` */
  email: string | null;
  emailKey: string | null;
  phone: string | null;
  passwordHash: string | null;
  isActive: boolean;
  isStaff: boolean;
  isSuperuser: boolean;
  /** null: now */
  dateJoined: Date | null;
  lastLogin: Date | null;
  addresses: ImportedAddress[];
}

export interface ImportedAddress {
  tokenId: string;
  kind: 'email' | 'phone';
  address: string;
  state: AddressState;
  failures: ImportedFailures | null;
}

/** A reserved address is taken for other unverified claims. A pending one is free. */
export type AddressState = 'verified' | 'reserved' | 'pending';

/** Failed attempts on an address in the source system. */
export interface ImportedFailures {
  count: number;
  retryAt: Date | null;
  /** maximum wait before the next attempt */
  waitSeconds: number;
}

/** A user who was imported before. */
interface ImportedAccount {
  userId: string;
  digests: Buffer;
  /** whether unverified addresses of the account can be reserved */
  reserves: boolean;
}

/** Returns users imported before, by their source id. */
export async function findImported(db: Database, importedIds: string[]): Promise<Map<string, ImportedAccount>> {
  const rows = await queryRows<{ id: string; imported_id: string; digests: string; reserves: boolean }>(
    db,
    sql`select id, imported_id, encode(imported_digests, 'hex') as digests,
        first_verified_at is null and is_active and not is_staff and not is_superuser as reserves from users
      where imported_id in (select json_array_elements_text(${JSON.stringify(importedIds)}::json))`,
  );
  return new Map(
    rows.map(({ id, imported_id, digests, reserves }) => [
      imported_id,
      { userId: id, digests: Buffer.from(digests ?? '', 'hex'), reserves },
    ]),
  );
}

/**
 * Inserts the rows whose identifiers and addresses are all free. Inserts nothing of other rows.
 * The caller passes no two rows with the same identifier.
 * @returns ids of the inserted rows
 */
export async function insertImportedWherePossible(tx: Database, rows: ImportedRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const inserted = await queryRows<{ id: string }>(tx, sql`${insertUsers(rows)} on conflict do nothing returning id`);
  const ids = new Set(inserted.map(({ id }) => id));
  const insertedRows = rows.filter(({ id }) => ids.has(id));
  const addresses = insertedRows.reduce((sum, row) => sum + row.addresses.length, 0);
  const tokens =
    addresses === 0
      ? []
      : await queryRows<{ id: string }>(tx, insertAddresses(insertedRows, sql`on conflict do nothing`));
  if (tokens.length < addresses) {
    const insertedTokens = new Set(tokens.map(({ id }) => id));
    const without = insertedRows.filter((row) => row.addresses.some(({ tokenId }) => !insertedTokens.has(tokenId)));
    for (const { id } of without) ids.delete(id);
    await tx.execute(
      sql`delete from users where id in (select json_array_elements_text(${JSON.stringify(without.map(({ id }) => id))}::json)::uuid)`,
    );
  }
  await addFailures(tx, insertedRows.filter(({ id }) => ids.has(id)).flatMap(toCounters));
  return ids;
}

/**
 * Inserts a row. The caller has checked that its pending addresses are free.
 * @throws a constraint violation if another identifier is taken
 */
export async function insertImported(tx: Database, row: ImportedRow): Promise<void> {
  await tx.execute(insertUsers([row]));
  if (row.addresses.length > 0) await tx.execute(insertAddresses([row], sql``));
  await addFailures(tx, toCounters(row));
}

/** Returns which of these addresses an account holds pending. */
export async function findPendingTokenIds(tx: Database, tokenIds: string[]): Promise<Set<string>> {
  if (tokenIds.length === 0) return new Set();
  const rows = await queryRows<{ token_id: string }>(
    tx,
    sql`select distinct token_id from pending_addresses
      where token_id in (select json_array_elements_text(${JSON.stringify(tokenIds)}::json))`,
  );
  return new Set(rows.map(({ token_id }) => token_id));
}

/** Failures of an address in the source, and the id of its counters here. */
interface ImportedCounter {
  counterId: string;
  failures: ImportedFailures | null;
}

function toCounters({ id, addresses }: ImportedRow): ImportedCounter[] {
  return addresses.map(({ tokenId, state, failures }) => ({
    counterId: state === 'pending' ? pendingCounterId(tokenId, id) : tokenId,
    failures,
  }));
}

/** The counters of a pending address belong to its user too, because others may hold it. */
export function pendingCounterId(tokenId: string, userId: string): string {
  return `${tokenId} ${userId}`;
}

/**
 * Merges failure counts of the source system. A count never decreases.
 * One counter of the source becomes three here, one per purpose.
 */
export async function addFailures(tx: Database, counters: ImportedCounter[]): Promise<void> {
  const failed = counters.flatMap(({ counterId, failures }) =>
    failures === null || failures.count === 0
      ? []
      : [
          {
            token_id: counterId,
            count: failures.count,
            retry_at: failures.retryAt,
            wait_seconds: failures.waitSeconds,
          },
        ],
  );
  if (failed.length === 0) return;
  await tx.execute(sql`
    insert into one_time_passwords as o (token_id, purpose, failure_count, retry_at)
    select token_id, purpose, count, least(retry_at, statement_timestamp() + make_interval(secs => wait_seconds))
    from json_to_recordset(${JSON.stringify(failed)}::json)
      as r (token_id text, count int, retry_at timestamptz, wait_seconds int),
      unnest(${pgArray(oneTimePasswordPurposes)}) as purpose
    on conflict (token_id, purpose) do update set
      failure_count = greatest(o.failure_count, excluded.failure_count),
      retry_at = greatest(o.retry_at, excluded.retry_at),
      updated_at = statement_timestamp()`);
}

/** Updates the last login if the source has a later one. For users without other changes. */
export async function updateImportedLastLogins(
  tx: Database,
  rows: { userId: string; user: { lastLogin: Date | null }; digests: Buffer }[],
): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map(({ userId, user, digests }) => ({
    id: userId,
    last_login: user.lastLogin,
    digests: digests.toString('hex'),
  }));
  await tx.execute(sql`
    update users set last_login = greatest(users.last_login, r.last_login), imported_digests = decode(r.digests, 'hex')
    from json_to_recordset(${JSON.stringify(values)}::json) as r (id uuid, last_login timestamptz, digests text)
    where users.id = r.id`);
}

/** An identifier to look up: a username by its comparison key, an address by its token id. */
export interface IdentifierClaim {
  kind: 'username' | 'email' | 'phone';
  key: string;
}

/** An account that holds an identifier. */
export interface Holder {
  /** null for a user whom a dry run would insert */
  userId: string | null;
  /** null if the account was not imported */
  importedId: string | null;
  /** `verified` for a username, which no proof takes away */
  state: AddressState;
}

/** Returns the accounts that hold the claims. Pending ones come last, oldest first. */
export async function findHolders(db: Database, claims: IdentifierClaim[]): Promise<(IdentifierClaim & Holder)[]> {
  if (claims.length === 0) return [];
  const rows = await queryRows<{
    kind: IdentifierClaim['kind'];
    key: string;
    user_id: string;
    imported_id: string | null;
    state: AddressState;
  }>(
    db,
    sql`
      with claims as (select kind, key from json_to_recordset(${JSON.stringify(claims)}::json) as r (kind text, key text))
      select kind, key, user_id, imported_id, state from (
        select claims.kind, claims.key, users.id as user_id, users.imported_id, 'verified' as state, null::timestamptz as since
          from claims join users on users.username_key = claims.key collate "C" where claims.kind = 'username'
        union all
        select claims.kind, claims.key, users.id, users.imported_id,
            case when verified_at is null then 'reserved' else 'verified' end, null
          from claims join security_tokens on security_tokens.id = claims.key collate "C"
          join users on users.id = security_tokens.user_id where claims.kind <> 'username'
        union all
        select claims.kind, claims.key, users.id, users.imported_id, 'pending', pending_addresses.created_at
          from claims join pending_addresses on pending_addresses.token_id = claims.key collate "C"
          join users on users.id = pending_addresses.user_id where claims.kind <> 'username'
      ) as holders order by since nulls first, user_id`,
  );
  return rows.map(({ kind, key, user_id, imported_id, state }) => ({
    kind,
    key,
    userId: user_id,
    importedId: imported_id,
    state,
  }));
}

/** Creates a temporary table of holders, visible to this transaction only. */
export async function prepareDryRun(tx: Database): Promise<void> {
  await tx.execute(sql`set local idle_in_transaction_session_timeout = 0`);
  await tx.execute(
    sql`create temporary table import_holders (kind text, key text collate "C", holders json not null, primary key (kind, key)) on commit drop`,
  );
}

/** The accounts that would hold an identifier after the rows so far. */
export type DryRunHolders = IdentifierClaim & { holders: Holder[] };

/** Returns the holders of those claims that earlier batches of the dry run recorded. */
export async function findDryRunHolders(tx: Database, claims: IdentifierClaim[]): Promise<DryRunHolders[]> {
  return queryRows<DryRunHolders>(
    tx,
    sql`select kind, key, holders from import_holders join json_to_recordset(${JSON.stringify(claims)}::json)
      as r (kind text, key text) using (kind, key)`,
  );
}

/** Records the holders of claims for later batches of the dry run. */
export async function recordDryRunHolders(tx: Database, rows: DryRunHolders[]): Promise<void> {
  await tx.execute(
    sql`insert into import_holders (kind, key, holders)
      select kind, key, holders from json_to_recordset(${JSON.stringify(rows)}::json) as r (kind text, key text, holders json)
      on conflict (kind, key) do update set holders = excluded.holders`,
  );
}

function insertUsers(rows: ImportedRow[]): SQL {
  const values = rows.map((row) => ({
    id: row.id,
    username: row.username,
    username_key: row.usernameKey,
    email: row.email,
    email_key: row.emailKey,
    phone: row.phone,
    password_hash: row.passwordHash,
    is_active: row.isActive,
    is_staff: row.isStaff,
    is_superuser: row.isSuperuser,
    date_joined: row.dateJoined,
    last_login: row.lastLogin,
    verified: row.addresses.some(({ state }) => state === 'verified'),
    imported_id: row.importedId,
    digests: row.digests.toString('hex'),
  }));
  return sql`
    insert into users (id, username, username_key, email, email_key, phone, password_hash, is_active, is_staff, is_superuser,
      date_joined, last_login, first_verified_at, imported_id, imported_digests)
    select id, username, username_key, email, email_key, phone, password_hash, is_active, is_staff, is_superuser,
      coalesce(date_joined, statement_timestamp()), last_login, case when verified then statement_timestamp() end,
      imported_id, decode(digests, 'hex')
    from json_to_recordset(${JSON.stringify(values)}::json) as r (id uuid, username text, username_key text, email text,
      email_key text, phone text, password_hash text, is_active boolean, is_staff boolean, is_superuser boolean,
      date_joined timestamptz, last_login timestamptz, verified boolean, imported_id text, digests text)`;
}

/**
 * Inserts the addresses, and returns the token ids of those it inserted. A pending address that
 * another account has verified or reserved is left out.
 * @param onConflict what to do if another account holds one that is not pending
 */
function insertAddresses(rows: ImportedRow[], onConflict: SQL): SQL {
  const values = rows.flatMap(({ id, addresses }) =>
    addresses.map(({ tokenId, kind, address, state }) => ({ id: tokenId, user_id: id, kind, address, state })),
  );
  // `given_at_sign_up`: an unverified address must still let its user sign in by one-time password.
  return sql`
    with addresses as materialized (
      select * from json_to_recordset(${JSON.stringify(values)}::json)
        as r (id text, user_id uuid, kind text, address text, state text)
    ), held as (
      insert into security_tokens (id, user_id, kind, address, given_at_sign_up, verified_at)
      select id, user_id, kind, address, true, case when state = 'verified' then statement_timestamp() end
      from addresses where state <> 'pending' ${onConflict} returning id
    ), pending as (
      insert into pending_addresses (user_id, kind, token_id, address)
      select user_id, kind, id, address from addresses
      where state = 'pending' and not exists (select from security_tokens t where t.id = addresses.id)
      returning token_id
    )
    select id from held union all select token_id from pending`;
}

async function queryRows<T>(db: Database, query: SQL): Promise<T[]> {
  // Invariant: both drivers return `rows`, and the caller types the columns of its statement.
  return ((await db.execute(query)) as unknown as { rows: T[] }).rows;
}
