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
  verified: boolean;
  failures: ImportedFailures | null;
}

/** Failed attempts on an address in the source system. */
export interface ImportedFailures {
  count: number;
  retryAt: Date | null;
  /** maximum wait before the next attempt */
  waitSeconds: number;
}

/** Returns users imported before, by their source id. */
export async function findImported(
  db: Database,
  importedIds: string[],
): Promise<Map<string, { userId: string; digests: Buffer }>> {
  const rows = await queryRows<{ id: string; imported_id: string; digests: string }>(
    db,
    sql`select id, imported_id, encode(imported_digests, 'hex') as digests from users
      where imported_id in (select json_array_elements_text(${JSON.stringify(importedIds)}::json))`,
  );
  return new Map(
    rows.map((row) => [row.imported_id, { userId: row.id, digests: Buffer.from(row.digests ?? '', 'hex') }]),
  );
}

/**
 * Inserts the rows whose identifiers and addresses are all free. Inserts nothing of other rows.
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
      : await queryRows<{ id: string }>(tx, sql`${insertTokens(insertedRows)} on conflict do nothing returning id`);
  if (tokens.length < addresses) {
    const insertedTokens = new Set(tokens.map(({ id }) => id));
    const without = insertedRows.filter((row) => row.addresses.some(({ tokenId }) => !insertedTokens.has(tokenId)));
    for (const { id } of without) ids.delete(id);
    await tx.execute(
      sql`delete from users where id in (select json_array_elements_text(${JSON.stringify(without.map(({ id }) => id))}::json)::uuid)`,
    );
  }
  await addFailures(
    tx,
    insertedRows.filter(({ id }) => ids.has(id)).flatMap((row) => row.addresses),
  );
  return ids;
}

/** @throws a constraint violation if an identifier or address is taken */
export async function insertImported(tx: Database, row: ImportedRow): Promise<void> {
  await tx.execute(insertUsers([row]));
  if (row.addresses.length > 0) await tx.execute(insertTokens([row]));
  await addFailures(tx, row.addresses);
}

/**
 * Merges failure counts of the source system. A count never decreases.
 * One counter of the source becomes three here, one per purpose.
 */
export async function addFailures(
  tx: Database,
  addresses: Pick<ImportedAddress, 'tokenId' | 'failures'>[],
): Promise<void> {
  const failed = addresses.flatMap(({ tokenId, failures }) =>
    failures === null || failures.count === 0
      ? []
      : [{ token_id: tokenId, count: failures.count, retry_at: failures.retryAt, wait_seconds: failures.waitSeconds }],
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

/** Returns the claims that accounts hold. `importedId` is null if the account was not imported. */
export async function findHolders(
  db: Database,
  claims: IdentifierClaim[],
): Promise<(IdentifierClaim & { userId: string; importedId: string | null })[]> {
  const rows = await queryRows<{
    kind: IdentifierClaim['kind'];
    key: string;
    user_id: string;
    imported_id: string | null;
  }>(
    db,
    sql`
      with claims as (select kind, key from json_to_recordset(${JSON.stringify(claims)}::json) as r (kind text, key text))
      select claims.kind, claims.key, users.id as user_id, users.imported_id from claims
        join users on users.username_key = claims.key collate "C" where claims.kind = 'username'
      union all
      select claims.kind, claims.key, users.id, users.imported_id from claims
        join security_tokens on security_tokens.id = claims.key collate "C"
        join users on users.id = security_tokens.user_id where claims.kind <> 'username'`,
  );
  return rows.map(({ kind, key, user_id, imported_id }) => ({ kind, key, userId: user_id, importedId: imported_id }));
}

/** Creates a temporary table of claims, visible to this transaction only. */
export async function prepareDryRun(tx: Database): Promise<void> {
  await tx.execute(sql`set local idle_in_transaction_session_timeout = 0`);
  await tx.execute(
    sql`create temporary table import_claims (kind text, key text collate "C", imported_id text, primary key (kind, key)) on commit drop`,
  );
}

/**
 * Records claims that no earlier row of the dry run made.
 * @returns the other claims, with the row that holds each
 */
export async function recordDryRunClaims(
  tx: Database,
  claims: (IdentifierClaim & { importedId: string })[],
): Promise<(IdentifierClaim & { importedId: string; holder: string })[]> {
  const json = JSON.stringify(claims.map(({ kind, key, importedId }) => ({ kind, key, imported_id: importedId })));
  const claimed = sql`json_to_recordset(${json}::json) as r (kind text, key text, imported_id text)`;
  await tx.execute(
    sql`insert into import_claims (kind, key, imported_id) select kind, key, imported_id from ${claimed} on conflict do nothing`,
  );
  const rows = await queryRows<{ kind: IdentifierClaim['kind']; key: string; imported_id: string; holder: string }>(
    tx,
    sql`select r.kind, r.key, r.imported_id, c.imported_id as holder from ${claimed}
      join import_claims c on c.kind = r.kind and c.key = r.key collate "C" where c.imported_id <> r.imported_id`,
  );
  return rows.map(({ imported_id, ...row }) => ({ ...row, importedId: imported_id }));
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
    verified: row.addresses.some(({ verified }) => verified),
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
 * Marks imported addresses as given at sign-up.
 * An unverified one must still let its user sign in by one-time password.
 */
function insertTokens(rows: ImportedRow[]): SQL {
  const values = rows.flatMap(({ id, addresses }) =>
    addresses.map(({ tokenId, kind, address, verified }) => ({ id: tokenId, user_id: id, kind, address, verified })),
  );
  return sql`
    insert into security_tokens (id, user_id, kind, address, given_at_sign_up, verified_at)
    select id, user_id, kind, address, true, case when verified then statement_timestamp() end
    from json_to_recordset(${JSON.stringify(values)}::json)
      as r (id text, user_id uuid, kind text, address text, verified boolean)`;
}

async function queryRows<T>(db: Database, query: SQL): Promise<T[]> {
  // Invariant: both drivers return `rows`, and the caller types the columns of its statement.
  return ((await db.execute(query)) as unknown as { rows: T[] }).rows;
}
