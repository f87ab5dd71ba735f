/** Database failures and their classification. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { Database } from '../../src/database/database.js';
import { isDatabaseUnavailable, violatedConstraint } from '../../src/database/postgres-errors.js';
import { openTestDatabase } from './database.js';

export async function open(url: string, poolSize = 1) {
  const database = await openTestDatabase({ url, poolSize });
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= database.close());
  after(close);
  return { ...database, close };
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.fail('it did not fail'),
    (error) => error,
  );
}

export const assertUnavailable = async (work: Promise<unknown>) => {
  const error = await failureOf(work);
  assert.equal(isDatabaseUnavailable(error), true, `${error}`);
  assert.equal(violatedConstraint(error), undefined);
};

export function testFailures(name: string, db: Database): void {
  const insert = (identifiers: string) => db.execute(sql.raw(`insert into users ${identifiers}`));

  test(`${name}: a violated constraint of any kind is named, and is not an unavailable database`, async () => {
    await insert("(username, username_key) values ('alice', 'alice')");
    for (const [constraint, statement] of [
      ['users_username_key_unique', "(username, username_key) values ('ALICE', 'alice')"],
      ['users_identifier_required', '(is_active) values (true)'],
    ] as const) {
      const error = await failureOf(insert(statement));
      assert.equal(violatedConstraint(error), constraint);
      assert.equal(isDatabaseUnavailable(error), false);
    }
    const orphan = await failureOf(
      db.execute(
        sql`insert into security_tokens (id, user_id, kind, address, given_at_sign_up) values ('e', gen_random_uuid(), 'email', 'a@example.com', true)`,
      ),
    );
    assert.equal(violatedConstraint(orphan), 'security_tokens_user_id_users_id_fk');
  });

  test(`${name}: a violated constraint is named in a transaction, too`, async () => {
    const error = await failureOf(
      db.transaction(async (tx) => {
        await tx.execute(sql`insert into users (username, username_key) values ('bob', 'bob')`);
        await tx.execute(sql`insert into users (username, username_key) values ('BOB', 'bob')`);
      }),
    );
    assert.equal(violatedConstraint(error), 'users_username_key_unique');
  });

  test(`${name}: an invalid statement is neither`, async () => {
    for (const statement of ['select * from nowhere', 'select 1 / 0', 'selec']) {
      const error = await failureOf(db.execute(sql.raw(statement)));
      assert.equal(violatedConstraint(error), undefined);
      assert.equal(isDatabaseUnavailable(error), false, statement);
    }
  });
}
