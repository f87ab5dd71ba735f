/** The constraints of the tables, independent of the application. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { type SQL, sql } from 'drizzle-orm';
import type { Database } from '../../src/database/database.js';
import { violatedConstraint } from '../../src/database/postgres-errors.js';

type Row = Record<string, unknown>;

async function rows(db: Database, query: SQL): Promise<Row[]> {
  return ((await db.execute(query)) as unknown as { rows: Row[] }).rows;
}

function insertInto(db: Database, table: string, row: Row): Promise<Row[]> {
  const columns = sql.join(
    Object.keys(row).map((name) => sql.identifier(name)),
    sql`, `,
  );
  const values = sql.join(
    Object.values(row).map((value) => sql`${value}`),
    sql`, `,
  );
  return rows(db, sql`insert into ${sql.identifier(table)} (${columns}) values (${values}) returning *`);
}

/** Checks the constraints in every kind of database. */
export function testConstraints(name: string, db: Database): void {
  const makeUser = async (row: Row = {}) => {
    const username = `user-${randomUUID()}`;
    const [user] = await insertInto(db, 'users', { username, username_key: username, ...row });
    return user!;
  };
  const makeToken = async (user: Row, row: Row = {}) => {
    const token = {
      id: randomUUID(),
      user_id: user.id,
      kind: 'email',
      address: 'a@example.com',
      given_at_sign_up: true,
    };
    return (await insertInto(db, 'security_tokens', { ...token, ...row }))[0]!;
  };
  const issueOneTimePassword = async (row: Row = {}) =>
    (await insertInto(db, 'one_time_passwords', { token_id: randomUUID(), purpose: 'AUTHENTICATION', ...row }))[0]!;
  const makeSession = async (user: Row) => {
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    const session = {
      user_id: user.id,
      refresh_token_hash: Buffer.alloc(32),
      idle_expires_at: tomorrow,
      expires_at: tomorrow,
      authentication_methods: '{PASSWORD}',
    };
    return (await insertInto(db, 'sessions', session))[0]!;
  };
  const assertViolates = (constraint: string, attempt: () => Promise<unknown>) =>
    assert.rejects(attempt, (error) => {
      assert.equal(violatedConstraint(error), constraint);
      return true;
    });

  test(`${name}: a user has at least one identifier`, async () => {
    for (const identifiers of [
      { username: 'only-a-name', username_key: 'only-a-name' },
      { username: null, username_key: null, email: 'only@example.com', email_key: 'only@example.com' },
      { username: null, username_key: null, phone: '+12015550100' },
    ])
      await makeUser(identifiers);
    await assertViolates('users_identifier_required', () => makeUser({ username: null, username_key: null }));
    const { id } = await makeUser();
    await assertViolates('users_identifier_required', () =>
      rows(db, sql`update users set username = null, username_key = null where id = ${id}`),
    );
  });

  test(`${name}: a user has one pending address of a kind, which others may hold too`, async () => {
    const [one, other] = [await makeUser(), await makeUser()];
    const hold = (user: Row, row: Row = {}) => {
      const claim = { user_id: user.id, kind: 'email', token_id: 'e1', address: 'a@example.com' };
      return insertInto(db, 'pending_addresses', { ...claim, ...row });
    };
    for (const user of [one, other]) await hold(user);
    await hold(one, { kind: 'phone', token_id: 'p1', address: '+12015550103' });
    await assertViolates('pending_addresses_user_id_kind_pk', () => hold(one, { token_id: 'e2' }));
    await assertViolates('pending_addresses_kind_known', () => hold(other, { kind: 'fax' }));
    await assertViolates('pending_addresses_user_id_users_id_fk', () => hold({ id: randomUUID() }));
    await rows(db, sql`delete from users where id = ${one.id}`);
    const left = await rows(db, sql`select user_id from pending_addresses where token_id in ('e1', 'p1')`);
    assert.deepEqual(left, [{ user_id: other.id }]);
  });

  test(`${name}: no identifier is empty`, async () => {
    for (const blank of [
      { username: '', username_key: '' },
      { username: null, username_key: null, email: '', email_key: '' },
      { email: '', email_key: '' },
      { phone: '' },
    ])
      await assertViolates('users_no_blank', () => makeUser(blank));
  });

  test(`${name}: an identifier and its canonical form are both present or both absent`, async () => {
    await assertViolates('users_username_has_key', () => makeUser({ username_key: null }));
    await assertViolates('users_username_has_key', () => makeUser({ username: null, phone: '+12015550101' }));
    await assertViolates('users_email_has_key', () => makeUser({ email: 'a@example.com' }));
    await assertViolates('users_email_has_key', () => makeUser({ email_key: 'a@example.com' }));
  });

  test(`${name}: a canonical form is unique, byte by byte`, async () => {
    await makeUser({ username: 'Zoë', username_key: 'zoë', email: 'Z@example.com', email_key: 'z@example.com' });
    await makeUser({ phone: '+12015550102' });
    await assertViolates('users_username_key_unique', () => makeUser({ username: 'ZOË', username_key: 'zoë' }));
    await assertViolates('users_email_key_unique', () =>
      makeUser({ email: 'z@example.com', email_key: 'z@example.com' }),
    );
    await assertViolates('users_phone_unique', () => makeUser({ phone: '+12015550102' }));
    // The application computes the canonical form, so collations must not matter.
    for (const other of ['Zoë', 'zoe\u0308', 'zoe', 'zoë '])
      await makeUser({ username: `other-${other}`, username_key: other });
  });

  test(`${name}: canonical forms compare in the collation C`, async () => {
    const collations = await rows(
      db,
      sql`select attname from pg_attribute join pg_collation on pg_collation.oid = attcollation
        where attrelid in ('users'::regclass, 'security_tokens'::regclass, 'pending_addresses'::regclass, 'one_time_passwords'::regclass) and collname = 'C' order by attname`,
    );
    assert.deepEqual(
      collations.map(({ attname }) => attname),
      ['email_key', 'id', 'imported_id', 'phone', 'token_id', 'token_id', 'username_key'],
    );
  });

  test(`${name}: an address has one user, and a user has one address of a kind`, async () => {
    const [one, other] = [await makeUser(), await makeUser()];
    const { id } = await makeToken(one);
    await makeToken(one, { kind: 'phone' });
    await assertViolates('security_tokens_pkey', () => makeToken(other, { id }));
    await assertViolates('security_tokens_user_kind_pending_unique', () => makeToken(one));
    await assertViolates('security_tokens_user_id_users_id_fk', () => makeToken({ id: randomUUID() }));
  });

  test(`${name}: a token and purpose has one count, which is never negative`, async () => {
    const { token_id } = await issueOneTimePassword();
    await issueOneTimePassword({ token_id, purpose: 'PASSWORD_RESET' });
    await assertViolates('one_time_passwords_token_id_purpose_pk', () => issueOneTimePassword({ token_id }));
    await assertViolates('one_time_passwords_count_not_negative', () => issueOneTimePassword({ failure_count: -1 }));
    await assertViolates('one_time_passwords_count_not_negative', () =>
      rows(db, sql`update one_time_passwords set failure_count = failure_count - 1 where token_id = ${token_id}`),
    );
    await assertViolates('sign_in_throttles_count_not_negative', () =>
      insertInto(db, 'sign_in_throttles', { key: Buffer.alloc(32), failure_count: -1 }),
    );
  });

  test(`${name}: a stored one-time password has an expiry`, async () => {
    const expires_at = new Date(Date.now() + 600_000).toISOString();
    await issueOneTimePassword({ code_digest: Buffer.alloc(32), expires_at });
    for (const half of [{ code_digest: Buffer.alloc(32) }, { expires_at }])
      await assertViolates('one_time_passwords_digest_expires', () => issueOneTimePassword(half));
  });

  test(`${name}: there is one root key`, async () => {
    const key = (purpose: string) =>
      insertInto(db, 'keys', { id: randomUUID(), purpose, sealed_key: Buffer.alloc(60) });
    await key('root');
    await key('access-token');
    await key('access-token');
    await assertViolates('keys_one_root', () => key('root'));
  });

  test(`${name}: a deletion of a user deletes its tokens and sessions, and keeps the counts of its addresses`, async () => {
    const [user, other] = [await makeUser(), await makeUser()];
    const [token, kept] = [await makeToken(user), await makeToken(other)];
    await makeSession(user);
    const keptSession = await makeSession(other);
    const count = { failure_count: 3, code_digest: Buffer.alloc(32), expires_at: new Date().toISOString() };
    await issueOneTimePassword({ token_id: token.id, user_id: user.id, ...count });
    await rows(db, sql`delete from users where id = ${user.id}`);

    const both = sql`(${user.id}, ${other.id})`;
    assert.deepEqual(await rows(db, sql`select id from security_tokens where user_id in ${both}`), [{ id: kept.id }]);
    assert.deepEqual(await rows(db, sql`select id from sessions where user_id in ${both}`), [{ id: keptSession.id }]);
    assert.deepEqual(
      await rows(db, sql`select user_id, failure_count from one_time_passwords where token_id = ${token.id}`),
      [{ user_id: null, failure_count: 3 }],
    );
  });
}
