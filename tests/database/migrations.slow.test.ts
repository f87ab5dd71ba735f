/** Migrations of a database with data. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { OpenDatabase } from '../../src/database/database.js';
import { violatedConstraint } from '../../src/database/postgres-errors.js';
import { openTestDatabase } from '../support/database.js';
import {
  createOlderDatabase,
  createOlderPackage,
  migrationsThatStopOlderProcesses,
  migrationTags,
} from '../support/migrations.js';
import { root } from '../support/root.js';
import { temporaryFolder } from '../support/service.js';

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

test('the changelog announces each migration that stops older processes', () => {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  for (const tag of Object.keys(migrationsThatStopOlderProcesses)) {
    assert.ok(migrationTags.includes(tag), `${tag} is not a migration`);
    assert.match(changelog, new RegExp(`Stop every process.*\`${tag}\``), tag);
  }
});
