/** What real failures of real databases are told apart as. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import type { Database } from '../../src/database/database.js';
import { ping } from '../../src/database/health.queries.js';
import { isDatabaseUnavailable, violatedConstraint } from '../../src/database/postgres-errors.js';
import { openTestDatabase } from '../support/database.js';
import { freePort } from '../support/postgres.js';
import { startProxy } from '../support/proxy.js';
import { connect } from '../support/replicas.js';
import { createDatabase } from '../support/service.js';

async function open(url: string, poolSize = 1) {
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

const assertUnavailable = async (work: Promise<unknown>) => {
  const error = await failureOf(work);
  assert.equal(isDatabaseUnavailable(error), true, `${error}`);
  assert.equal(violatedConstraint(error), undefined);
};

// Opened before any test is: making the embedded one holds up everything else in this process.
const embedded = await open('memory:');
await embedded.migrate();
const url = await createDatabase();
const postgres = await open(url);
const { query } = await connect(url);

for (const [name, db] of [
  ['PostgreSQL', postgres.db],
  ['the embedded database', embedded.db],
] as [string, Database][]) {
  const insert = (identifiers: string) => db.execute(sql.raw(`insert into users ${identifiers}`));

  test(`${name}: a violated constraint is named, whatever its kind, and is no failure of the database`, async () => {
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

  test(`${name}: a violated constraint is named from within a transaction too`, async () => {
    const error = await failureOf(
      db.transaction(async (tx) => {
        await tx.execute(sql`insert into users (username, username_key) values ('bob', 'bob')`);
        await tx.execute(sql`insert into users (username, username_key) values ('BOB', 'bob')`);
      }),
    );
    assert.equal(violatedConstraint(error), 'users_username_key_unique');
  });

  test(`${name}: a statement that is wrong is neither`, async () => {
    for (const statement of ['select * from nowhere', 'select 1 / 0', 'selec']) {
      const error = await failureOf(db.execute(sql.raw(statement)));
      assert.equal(violatedConstraint(error), undefined);
      assert.equal(isDatabaseUnavailable(error), false, statement);
    }
  });
}

test('what is no failure of a database is neither', () => {
  for (const error of [new Error('the user is unavailable'), new TypeError('x'), undefined, null, 'ECONNREFUSED', {}]) {
    assert.equal(violatedConstraint(error), undefined);
    assert.equal(isDatabaseUnavailable(error), false);
  }
});

test('PostgreSQL: a refused connection is one of a database that is away', async () => {
  for (const host of ['127.0.0.1', 'localhost']) {
    const { db } = await open(`postgres://nobody:nothing@${host}:${await freePort()}/nowhere`);
    await assertUnavailable(ping(db));
    await assertUnavailable(db.transaction((tx) => ping(tx)));
  }
});

test('PostgreSQL: so is a host that does not exist', async () => {
  const { db } = await open('postgres://nobody:nothing@database.invalid/nowhere');
  await assertUnavailable(ping(db));
});

test('PostgreSQL: so is a connection that is ended in the middle of a statement, and the next one is good again', async () => {
  const { db } = await open(url);
  await ping(db);
  for (const work of [
    () => db.execute(sql`select pg_sleep(30)`),
    () => db.transaction((tx) => tx.execute(sql`select pg_sleep(30)`)),
  ]) {
    const sleeping = assertUnavailable(work());
    const terminated = () =>
      query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'select pg_sleep%' and state = 'active' and pid <> pg_backend_pid()",
      );
    while ((await terminated()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await sleeping;
    await ping(db);
  }
});

test('PostgreSQL: so is one that is ended while it is idle within a transaction', async () => {
  const { db } = await open(url);
  await assertUnavailable(
    db.transaction(async (tx) => {
      const { rows } = (await tx.execute(sql`select pg_backend_pid() as pid`)) as unknown as {
        rows: { pid: number }[];
      };
      await query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      await ping(tx);
    }),
  );
  await ping(db);
});

test('PostgreSQL: so are a statement and a lock that take too long, and a deadlock', async () => {
  const { db } = await open(url);
  await assertUnavailable(
    db.transaction(async (tx) => {
      await tx.execute(sql`set local statement_timeout = '10ms'`);
      await tx.execute(sql`select pg_sleep(30)`);
    }),
  );
  const other = await open(url);
  await other.db.transaction(async (holder) => {
    await holder.execute(sql`lock table users`);
    await assertUnavailable(
      db.transaction(async (tx) => {
        await tx.execute(sql`set local lock_timeout = '10ms'`);
        await tx.execute(sql`select from users`);
      }),
    );
  });
  const lock = (tx: Database, number: number) => tx.execute(sql`select pg_advisory_xact_lock(${number})`);
  const outcomes = await Promise.allSettled(
    [
      [db, 1, 2],
      [other.db, 2, 1],
    ].map(([database, first, second]) =>
      (database as Database).transaction(async (tx) => {
        await lock(tx, first as number);
        await new Promise((resolve) => setTimeout(resolve, 100));
        await lock(tx, second as number);
      }),
    ),
  );
  const rejected = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(rejected.length, 1);
  assert.equal(isDatabaseUnavailable(rejected[0]!.reason), true);
});

test('PostgreSQL: so is a pool whose connections are all taken for too long', async () => {
  const { db } = await open(url);
  await db.transaction(() => assertUnavailable(ping(db)));
});

test('PostgreSQL: so is a network that swallows everything, in seven seconds at most, and no connection is lost by it', async () => {
  const proxy = await startProxy(url);
  const { db, connections } = await open(proxy.url, 3);
  const held = () => connections()?.total;
  const both = () => Promise.all([ping(db), db.transaction((tx) => ping(tx))]);
  let waitedMilliseconds = 0;
  await assertUnavailable(
    db.transaction(async (tx) => {
      await both();
      proxy.stall();
      const stalledAt = performance.now();
      // One is about to begin, one is idle, one is in the middle.
      await Promise.all([
        assertUnavailable(ping(db)),
        assertUnavailable(db.transaction((tx) => ping(tx))),
        assertUnavailable(ping(tx)),
      ]);
      await assertUnavailable(ping(db));
      waitedMilliseconds = performance.now() - stalledAt;
    }),
  );
  assert.ok(waitedMilliseconds > 0 && waitedMilliseconds < 9_000, `${waitedMilliseconds}`);
  assert.equal(held(), 0);
  await proxy.heal();
  await Promise.all([both(), ping(db)]);
});

test('PostgreSQL: a transaction that does something else for as long is none of these', async () => {
  const { db } = await open(url);
  await db.transaction(async (tx) => {
    await tx.execute('set local idle_in_transaction_session_timeout = 0');
    await delay(6_500);
    await ping(tx);
  });
});

test('PostgreSQL: so is a server that has no connection left', async () => {
  // A superuser is never refused by the limit of a database.
  await query('create role visitor login password $$visitor$$');
  await query(`alter database ${new URL(url).pathname.slice(1)} connection limit 0`);
  const visitor = Object.assign(new URL(url), { username: 'visitor', password: 'visitor' });
  const { db } = await open(visitor.href);
  await assertUnavailable(ping(db));
});

test('the embedded database: so is one that is closed', async () => {
  await embedded.close();
  await assertUnavailable(ping(embedded.db));
  await assertUnavailable(embedded.db.transaction((tx) => ping(tx)));
});
