/** Migrations of a database with data. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { Database, OpenDatabase } from '../../src/database/database.js';
import { violatedConstraint } from '../../src/database/postgres-errors.js';
import { pendingAddresses } from '../../src/database/schema.js';
import { prune } from '../../src/domain/accounts/administration.js';
import { expectMember } from '../support/client.js';
import { openTestDatabase } from '../support/database.js';
import {
  createOlderDatabase,
  createOlderPackage,
  migrationsThatStopOlderProcesses,
  migrationTags,
} from '../support/migrations.js';
import { idOfAddress, signUp } from '../support/people.js';
import { root } from '../support/root.js';
import { startService, temporaryFolder } from '../support/service.js';

const migrationOfEnums = migrationTags.indexOf('0003_text_enums');

const rows = [
  `insert into users (id, username, username_key, email, email_key) values ('${'1'.repeat(8)}-0000-4000-8000-000000000000', 'alice', 'alice', 'a@a.test', 'a@a.test')`,
  `insert into security_tokens (id, user_id, kind, address, given_at_sign_up) select 'e1', id, 'email', 'a@a.test', true from users`,
  `insert into security_tokens (id, user_id, kind, address, given_at_sign_up) select 'p1', id, 'phone', '+12025550123', true from users`,
  `insert into one_time_passwords (token_id, purpose, failure_count) values ('e1', 'PASSWORD_RESET', 3)`,
  `insert into sessions (user_id, refresh_token_hash, idle_expires_at, expires_at, authentication_methods)
    select id, '\\x00', now(), now(), '{PASSWORD,EMAIL_ONE_TIME_PASSWORD}' from users`,
];

async function openOlder(): Promise<OpenDatabase> {
  const dataDir = temporaryFolder();
  const packageFolder = createOlderPackage(migrationOfEnums);
  const older = await openTestDatabase({ url: undefined, dataDir, packageFolder });
  await older.migrate();
  await older.close();
  return openTestDatabase({ url: undefined, dataDir });
}

for (const [name, open] of [
  ['PostgreSQL', async () => openTestDatabase({ url: await createOlderDatabase(migrationOfEnums) })],
  ['the embedded database', openOlder],
] as const)
  test(`${name} keeps its rows when enums become text, and rejects other values`, async () => {
    const database = await open();
    const { db } = database;
    const read = async (query: string) => ((await db.execute(sql.raw(query))) as unknown as { rows: unknown[] }).rows;
    try {
      for (const row of rows) await db.execute(sql.raw(row));
      await database.migrate();
      assert.deepEqual(await read('select kind, pg_typeof(kind)::text as type from security_tokens order by kind'), [
        { kind: 'email', type: 'text' },
        { kind: 'phone', type: 'text' },
      ]);
      assert.deepEqual(await read('select purpose, failure_count from one_time_passwords'), [
        { purpose: 'PASSWORD_RESET', failure_count: 3 },
      ]);
      assert.deepEqual(await read('select authentication_methods as methods from sessions'), [
        { methods: ['PASSWORD', 'EMAIL_ONE_TIME_PASSWORD'] },
      ]);
      assert.deepEqual(await read("select typname from pg_type where typtype = 'e'"), []);
      for (const [constraint, statement] of [
        ['security_tokens_kind_known', "update security_tokens set kind = 'fax'"],
        ['one_time_passwords_purpose_known', "update one_time_passwords set purpose = 'OTHER'"],
        ['sessions_authentication_methods_known', "update sessions set authentication_methods = '{PASSKEY}'"],
      ] as const) {
        const failure = await db.execute(sql.raw(statement)).then(() => undefined, violatedConstraint);
        assert.equal(failure, constraint);
      }
    } finally {
      await database.close();
    }
  });

const migrationOfOwnership = migrationTags.indexOf('0004_ownership');

/**
 * Rows of the release before: accounts by name, with what each holds. The key of an address is the
 * address.
 */
interface OldAccount {
  email?: string;
  phone?: string;
  owned?: boolean;
  inactive?: boolean;
  staff?: boolean;
  tokens: { address: string; givenAtSignUp?: boolean; verified?: boolean; pending?: boolean }[];
}

const reserved = { givenAtSignUp: true };
const verified = { givenAtSignUp: true, verified: true };

/** Each is named after what becomes of it. */
const oldAccounts: Record<string, OldAccount> = {
  'keeps its verified address, and its pending one waits': {
    email: 'current@a.test',
    owned: true,
    tokens: [
      { address: 'current@a.test', ...verified },
      { address: 'next@a.test', pending: true },
    ],
  },
  'keeps its verified phone, and its unverified email waits': {
    ...{ email: 'lapsed@a.test', phone: '+12025550101', owned: true },
    tokens: [
      { address: '+12025550101', ...verified },
      { address: 'lapsed@a.test', ...reserved },
    ],
  },
  'is unowned, and its changed address waits': {
    email: 'changed@a.test',
    tokens: [{ address: 'changed@a.test' }],
  },
  'is inactive, and its address waits': {
    ...{ phone: '+12025550102', inactive: true },
    tokens: [{ address: '+12025550102', ...reserved }],
  },
  'is staff, and its unverified address waits': {
    ...{ email: 'staff@a.test', staff: true },
    tokens: [{ address: 'staff@a.test', ...reserved }],
  },
  'keeps its reserved addresses': {
    ...{ email: 'reserved@a.test', phone: '+12025550103' },
    tokens: [
      { address: 'reserved@a.test', ...reserved },
      { address: '+12025550103', ...reserved },
    ],
  },
};

const expectedAccounts = {
  'keeps its verified address, and its pending one waits': { held: ['current@a.test'], pending: ['next@a.test'] },
  'keeps its verified phone, and its unverified email waits': { held: ['+12025550101'], pending: ['lapsed@a.test'] },
  'is unowned, and its changed address waits': { held: [], pending: ['changed@a.test'] },
  'is inactive, and its address waits': { held: [], pending: ['+12025550102'] },
  'is staff, and its unverified address waits': { held: [], pending: ['staff@a.test'] },
  'keeps its reserved addresses': { held: ['reserved@a.test', '+12025550103'], pending: [] },
};

/** Inserts accounts by statements of the release before. */
async function insertOldAccounts(db: Database, accounts = oldAccounts): Promise<void> {
  for (const [username, account] of Object.entries(accounts)) {
    const { email = null, phone = null, owned = false, inactive = false, staff = false } = account;
    await db.execute(
      sql`insert into users (username, username_key, email, email_key, phone, is_active, is_staff, first_verified_at)
        values (${username}, ${username}, ${email}, ${email}, ${phone}, ${!inactive}, ${staff}, case when ${owned}::boolean then now() end)`,
    );
    for (const token of account.tokens) {
      const { address, givenAtSignUp = false, verified = false, pending = false } = token;
      const kind = address.includes('@') ? 'email' : 'phone';
      await db.execute(
        sql`insert into security_tokens (id, user_id, kind, address, given_at_sign_up, pending, created_at, verified_at)
          select ${address}, id, ${kind}, ${address}, ${givenAtSignUp}, ${pending}, '2024-02-03', case when ${verified}::boolean then now() end
          from users where username = ${username}`,
      );
    }
  }
}

/** Returns what each account holds. Asserts that its columns and its tokens agree. */
async function readAccounts(db: Database): Promise<Record<string, { held: string[]; pending: string[] }>> {
  const { rows } = (await db.execute(sql`select username, email, email_key, phone,
    array(select address from security_tokens where user_id = users.id order by kind) as held,
    array(select address from pending_addresses where user_id = users.id and token_id = address order by kind) as pending
    from users order by date_joined, id`)) as unknown as {
    rows: {
      username: string;
      email: string | null;
      email_key: string | null;
      phone: string | null;
      held: string[];
      pending: string[];
    }[];
  };
  for (const { username, email, email_key, phone, held } of rows) {
    assert.deepEqual(
      held,
      [email, phone].filter((address) => address !== null),
      username,
    );
    assert.equal(email_key, email, username);
  }
  return Object.fromEntries(rows.map(({ username, held, pending }) => [username, { held, pending }]));
}

describe('the migration to pending addresses', () => {
  test('keeps verified and reserved addresses, and moves the others with their age', async () => {
    const database = await openTestDatabase({ url: await createOlderDatabase(migrationOfOwnership) });
    const { db } = database;
    try {
      await insertOldAccounts(db);
      await database.migrate();
      assert.deepEqual(await readAccounts(db), expectedAccounts);
      const isAsOld = sql`created_at = '2024-02-03'`;
      assert.equal(await db.$count(pendingAddresses, isAsOld), await db.$count(pendingAddresses));
    } finally {
      await database.close();
    }
  });

  test('accepts rows of the release before, and prune moves them', async () => {
    const service = await startService();
    const { db } = service.app;
    await insertOldAccounts(db);
    // The release before replaces a verified address by its pending one in this way.
    await db.execute(sql`delete from security_tokens where id = 'current@a.test'`);
    await db.execute(sql`update security_tokens set pending = false, verified_at = now() where id = 'next@a.test'`);
    await db.execute(
      sql`update users set email = 'next@a.test', email_key = 'next@a.test' where email_key = 'current@a.test'`,
    );
    await prune(service.app);
    assert.deepEqual(await readAccounts(db), {
      ...expectedAccounts,
      'keeps its verified address, and its pending one waits': { held: ['next@a.test'], pending: [] },
    });
  });

  test('lets a claim move what the release before still held', async () => {
    const service = await startService();
    const { db } = service.app;
    const insert = async (username: string, account: OldAccount) => {
      await insertOldAccounts(db, { [username]: account });
      // The ids of tokens are those of the service, so that the claims meet them.
      for (const { address } of account.tokens)
        await db.execute(
          sql`update security_tokens set id = ${idOfAddress(service, address)} where address = ${address}`,
        );
    };
    await insert('loser', { email: 'changed@a.test', tokens: [{ address: 'changed@a.test' }] });
    await insert('inactive', {
      ...{ phone: '+12025550102', inactive: true },
      tokens: [{ address: '+12025550102', ...reserved }],
    });
    await insert('holder', { email: 'held@a.test', tokens: [{ address: 'held@a.test', ...reserved }] });

    const made = await signUp(service, { email: 'changed@a.test' });
    assert.equal(made.account.email, 'changed@a.test');
    const changed = expectMember(await made.updateUser({ phone: '+12025550102' }), 'UpdateUserSuccess');
    assert.equal(changed.user.pendingPhone, '+12025550102');
    const refused = expectMember(await made.updateUser({ email: 'held@a.test' }), 'ValidationError');
    assert.deepEqual(refused.issues, [{ field: 'email', code: 'TAKEN' }]);

    const { rows } = (await db.execute(
      sql`select username, users.email, users.phone, pending_addresses.address as pending from users
        left join pending_addresses on user_id = users.id where username is not null order by username`,
    )) as unknown as { rows: unknown[] };
    assert.deepEqual(rows, [
      { username: 'holder', email: 'held@a.test', phone: null, pending: null },
      { username: 'inactive', email: null, phone: null, pending: '+12025550102' },
      { username: 'loser', email: null, phone: null, pending: 'changed@a.test' },
    ]);
  });
});

test('the changelog announces each migration that stops older processes', () => {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  for (const tag of Object.keys(migrationsThatStopOlderProcesses)) {
    assert.ok(migrationTags.includes(tag), `${tag} is not a migration`);
    assert.match(changelog, new RegExp(`Stop every process.*\`${tag}\``), tag);
  }
});
