/** Statements that bring users along from another system, many at a time: rows travel as one JSON text, whatever their number. */
import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { oneTimePasswordPurposes, pgArray } from './schema.js';

/** A new user with everything that is kept; the id is made by who inserts. */
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

/** What an address has been guessed at elsewhere. */
export interface ImportedFailures {
  count: number;
  retryAt: Date | null;
  /** how long the next attempt stays closed at most */
  waitSeconds: number;
}

/** Who was imported before, by the id there. */
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
 * Inserts those of whom nobody has an identifier or an address, and nothing of the others.
 * @returns the ids of those that are there now
 */
export async function insertImportedWherePossible(tx: Database, rows: ImportedRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const inserted = await queryRows<{ id: string }>(tx, sql`${insertUsers(rows)} on conflict do nothing returning id`);
  const ids = new Set(inserted.map(({ id }) => id));
  const theirs = rows.filter(({ id }) => ids.has(id));
  const addresses = theirs.reduce((sum, row) => sum + row.addresses.length, 0);
  const tokens =
    addresses === 0
      ? []
      : await queryRows<{ id: string }>(tx, sql`${insertTokens(theirs)} on conflict do nothing returning id`);
  if (tokens.length < addresses) {
    const there = new Set(tokens.map(({ id }) => id));
    const without = theirs.filter((row) => row.addresses.some(({ tokenId }) => !there.has(tokenId)));
    for (const { id } of without) ids.delete(id);
    await tx.execute(
      sql`delete from users where id in (select json_array_elements_text(${JSON.stringify(without.map(({ id }) => id))}::json)::uuid)`,
    );
  }
  await addFailures(
    tx,
    theirs.filter(({ id }) => ids.has(id)).flatMap((row) => row.addresses),
  );
  return ids;
}

/** @throws the violated constraint where somebody has an identifier or an address */
export async function insertImported(tx: Database, row: ImportedRow): Promise<void> {
  await tx.execute(insertUsers([row]));
  if (row.addresses.length > 0) await tx.execute(insertTokens([row]));
  await addFailures(tx, row.addresses);
}

/** Counts what was guessed elsewhere too; never fewer than are counted here. One counter there is three here, one for each purpose. */
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

/** Moves the last sign-in on, where it was later there, of those of whom nothing else has changed. */
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

/** An identifier by what it is found: a username by its key, an address by its token. */
export interface IdentifierClaim {
  kind: 'username' | 'email' | 'phone';
  key: string;
}

/** The claims that somebody here has, and of whom that is, by the id there; null where they were not imported. */
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

/** Makes room, until the transaction ends, to note who would get what; nobody else sees it or waits for it. */
export async function prepareDryRun(tx: Database): Promise<void> {
  await tx.execute(sql`set local idle_in_transaction_session_timeout = 0`);
  await tx.execute(
    sql`create temporary table import_claims (kind text, key text collate "C", imported_id text, primary key (kind, key)) on commit drop`,
  );
}

/** Notes who would get the claims, of those that nobody would have got before. @returns the others, and who would have them */
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

/** As given at sign-up: who was not asked to verify an address there must be able to come by it here. */
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
  // Invariant: both drivers answer with `rows`, and the caller names the columns of its statement.
  return ((await db.execute(query)) as unknown as { rows: T[] }).rows;
}
