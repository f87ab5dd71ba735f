/** Repeated imports: while the source is in use, after a crash, and concurrently. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { expected, restoreDjango, withClient } from '../support/django.js';
import { readMap, signsIn, startImporter } from '../support/import.js';
import { advance, createDatabase, temporaryFolder } from '../support/service.js';

// Open before the tests: resources that a test opens are closed with it.
const [living, killed, doubled] = await Promise.all([1, 2, 3].map(startImporter));
const ours = /^bcrypt-hmac-sha384\$/;

describe('a source that is still in use', () => {
  const importer = living!;
  let live: string;
  const there = (sql: string) => withClient(live, (client) => client.query(sql));
  const one = async (id: number) =>
    (
      await importer.rows(
        `select u.*, (select json_agg(t order by kind) from security_tokens t where t.user_id = u.id) as tokens,
          (select json_agg(address) from pending_addresses p where p.user_id = u.id) as pending,
          (select count(*)::int from sessions s where s.user_id = u.id and revoked_at is null) as sessions
         from users u where imported_id = $1`,
        [`django:${id}`],
      )
    )[0];
  const again = async () => {
    const { created, updated, unchanged, notTaken } = await importer.answer(['import-django', live]);
    return { created, updated, unchanged, notTaken };
  };
  before(async () => {
    live = await restoreDjango();
    await again();
  });

  test('yields new users and changes', async () => {
    await there(`
      insert into public.django_flex_user_flexuser (id, password, is_superuser, username, is_staff, is_active, date_joined)
        values (63, '!x', false, 'newcomer', false, true, now());
      update public.django_flex_user_flexuser set last_login = '2030-01-01T00:00:00Z' where id in (1, 3, 5);
      update public.django_flex_user_flexuser set username = 'AMARA' where id = 1;
      update public.django_flex_user_flexuser set email = 'moved@example.org' where id = 2;
      update public.django_flex_user_emailtoken set email = 'moved@example.org' where user_id = 2;
      update public.django_flex_user_emailtoken set verified = true, failure_count = 5, timeout = now() + interval '1000 days' where user_id = 4;
      update public.django_flex_user_flexuser set is_staff = true, is_active = false where id = 7;
      update public.django_flex_user_flexuser set phone = null where id = 24;
      delete from public.django_flex_user_phonetoken where user_id = 24;
    `);
    assert.deepEqual(await again(), { created: 1, updated: 7, unchanged: 54, notTaken: 1 });
    assert.deepEqual([(await one(1)).username, (await one(1)).username_key], ['AMARA', 'amara']);
    for (const id of [1, 3, 5]) assert.deepEqual((await one(id)).last_login, new Date('2030-01-01T00:00:00Z'));
    const moved = await one(2);
    assert.deepEqual([moved.email, moved.email_key], ['moved@example.org', 'moved@example.org']);
    assert.equal(moved.tokens.length, 1);
    assert.equal(moved.tokens[0].address, 'moved@example.org');
    assert.ok(moved.tokens[0].verified_at);
    const verified = await one(4);
    assert.ok(verified.tokens[0].verified_at && verified.first_verified_at);
    const waits = await importer.rows(
      "select failure_count, retry_at < now() + interval '17 seconds' as soon from one_time_passwords where token_id = $1",
      [verified.tokens[0].id],
    );
    assert.deepEqual(waits, Array(3).fill({ failure_count: 5, soon: true }));
    const demoted = await one(7);
    assert.deepEqual([demoted.is_staff, demoted.is_active], [true, false]);
    const without = await one(24);
    assert.deepEqual([without.phone, without.tokens, without.pending], [null, null, ['idn23@xn--bcher-kva.example']]);
    assert.deepEqual(await again(), { created: 0, updated: 0, unchanged: 62, notTaken: 1 });
  });

  test('does not overwrite changes made here only', async () => {
    const { service } = importer;
    const [user] = expected.filter(({ id }) => id === 6);
    assert.equal(await signsIn(service, user!.email!, user!.password!), 'AuthenticateSuccess');
    await importer.rows(
      `update users set username = 'chosen.here', username_key = 'chosen.here' where imported_id = 'django:6'`,
    );
    await there(`update public.django_flex_user_flexuser set last_login = '2020-01-01T00:00:00Z' where id = 6`);
    const before = await one(6);
    assert.deepEqual(await again(), { created: 0, updated: 1, unchanged: 61, notTaken: 1 });
    const after = await one(6);
    assert.deepEqual({ ...after, imported_digests: null }, { ...before, imported_digests: null });
    assert.match(after.password_hash, ours);
    assert.equal(after.username, 'chosen.here');
    assert.equal(after.sessions, 1);
  });

  test('revokes the sessions of users whose password changed in the source', async () => {
    const { service } = importer;
    const [user, other] = [10, 12].map((id) => expected.find((one) => one.id === id)!);
    assert.equal(await signsIn(service, user!.email!, user!.password!), 'AuthenticateSuccess');
    await there(
      `update public.django_flex_user_flexuser set password = (select password from public.django_flex_user_flexuser where id = 12) where id = 10`,
    );
    assert.deepEqual(await again(), { created: 0, updated: 1, unchanged: 61, notTaken: 1 });
    assert.equal((await one(10)).sessions, 0);
    assert.equal(await signsIn(service, user!.email!, user!.password!), 'InvalidCredentialsError');
    await advance(service, 60);
    assert.equal(await signsIn(service, user!.email!, other!.password!), 'AuthenticateSuccess');
  });

  test('assigns a taken address as soon as it is free, and reports it until then', async () => {
    await there(`
      update public.django_flex_user_flexuser set email = 'MIXED.case9@example.com' where id = 11;
      insert into public.django_flex_user_emailtoken (id, verified, failure_count, email, user_id) values (33, false, 0, 'MIXED.case9@example.com', 11);
    `);
    for (const updated of [1, 0]) {
      const answer = await importer.answer(['import-django', live]);
      assert.deepEqual([answer.updated, answer.unchanged, answer.problemCount], [updated, 62 - updated, 2]);
      const problem = answer.problems.find(({ id }: { id: string }) => id === '11');
      assert.deepEqual([problem.field, problem.code, problem.holder], ['email', 'TAKEN', '10']);
    }
    assert.equal((await one(11)).email, null);
    await there(`update public.django_flex_user_flexuser set email = 'case9.new@example.org' where id = 10`);
    assert.deepEqual(await again(), { created: 0, updated: 2, unchanged: 60, notTaken: 1 });
    const freed = await one(11);
    assert.deepEqual([freed.email, freed.tokens[0].verified_at], ['MIXED.case9@example.com', null]);
  });

  test('takes an address from a user who holds it unverified, once another user has verified it', async () => {
    await there(`
      update public.django_flex_user_flexuser set email = 'CASE9.new@example.org' where id = 13;
      insert into public.django_flex_user_emailtoken (id, verified, failure_count, email, user_id) values (34, true, 0, 'CASE9.new@example.org', 13);
    `);
    const answer = await importer.answer(['import-django', live]);
    const problem = answer.problems.find(({ id }: { id: string }) => id === '13');
    assert.deepEqual([problem.field, problem.code, problem.holder], ['email', 'CLAIM_ENDED', '10']);
    assert.equal((await one(13)).email, 'CASE9.new@example.org');
    const loser = await one(10);
    assert.deepEqual([loser.email, loser.tokens], [null, null]);
    assert.match(loser.username, /^user-/);
    assert.deepEqual(await again(), { created: 0, updated: 0, unchanged: 62, notTaken: 1 });
  });

  test('frees an unverified address once the account of its first user has an owner', async () => {
    await there(`
      update public.django_flex_user_flexuser set phone = '+12025559061' where id = 61;
      insert into public.django_flex_user_phonetoken (id, verified, failure_count, phone, user_id) values (61, true, 0, '+12025559061', 61);
    `);
    assert.deepEqual(await again(), { created: 1, updated: 1, unchanged: 61, notTaken: 0 });
    const emails = await importer.rows(`select imported_id, email from users where email_key = 'twin@example.com'`);
    assert.deepEqual(emails, [{ imported_id: 'django:62', email: 'twin@example.com' }]);
    assert.deepEqual((await one(61)).pending, ['Twin@example.com']);
  });

  test('does not demote the last active superuser', async () => {
    await there('update public.django_flex_user_flexuser set is_superuser = false where id = 8');
    const answer = await importer.answer(['import-django', live]);
    const problem = answer.problems.find(({ id }: { id: string }) => id === '8');
    assert.deepEqual([problem.field, problem.code], ['isSuperuser', 'LAST_SUPERUSER']);
    assert.equal((await one(8)).is_superuser, true);
  });
});

describe('an import', () => {
  test('resumes after it was killed', async () => {
    const importer = killed!;
    const many = await createDatabase('template template0');
    const count = 8_000;
    await withClient(many, (client) =>
      client.query(`
        create table auth_user as select n as id, 'pbkdf2_sha256$1000$salt$mfZxy9nEWPuq4nlob1miOMvgkMhcIPdnL2Vuxr02B/k=' as password,
          'user' || n as username, 'user' || n || '@example.com' as email, now() as date_joined from generate_series(1, ${count}) n`),
    );
    const map = join(temporaryFolder(), 'map');
    const there = async () => (await importer.rows('select count(*)::int as count from users'))[0].count;
    const isWhole = async () => {
      const [{ without }] = await importer.rows(
        'select count(*)::int as without from users where (select count(*) from security_tokens t where t.user_id = users.id) <> 1',
      );
      return without === 0;
    };
    const kill = async (child: ChildProcess) => {
      const ended = new Promise((resolve) => child.on('close', resolve));
      child.kill('SIGKILL');
      await ended;
    };

    const first = importer.start(['import-django', many]);
    while ((await there()) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // Kill it between the users of a batch and their addresses, and end its connection.
    await withClient(importer.databaseUrl, async (client) => {
      await client.query('begin; lock table security_tokens in share mode');
      const waiting = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      while ((await importer.rows(waiting)).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await kill(first);
      await importer.rows(`select pg_terminate_backend(pid, 5000) from (${waiting}) waiting`);
    });
    const left = await there();
    assert.ok(left > 0 && left < count && left % 500 === 0, `${left} users exist`);
    assert.equal(await isWhole(), true);

    const second = importer.start(['import-django', many, '--map-file', map]);
    while ((await there()) <= left) await new Promise((resolve) => setTimeout(resolve, 5));
    await kill(second);
    assert.equal(await isWhole(), true);

    const before = await there();
    const answer = await importer.answer(['import-django', many, '--map-file', map]);
    assert.deepEqual([answer.created, answer.unchanged, answer.notTaken], [count - before, before, 0]);
    assert.equal(await there(), count);
    const ids = readMap(map);
    assert.equal(ids.size, count);
    assert.equal(new Set(ids.values()).size, count);
  });

  test('imports each user once when run twice concurrently', async () => {
    const importer = doubled!;
    const source = await restoreDjango();
    const answers = await Promise.all([1, 2].map(() => importer.answerOfProcess(['import-django', source])));
    assert.equal(answers[0].created + answers[1].created, 61);
    for (const answer of answers) assert.deepEqual([answer.rows, answer.notTaken], [62, 1]);
    assert.equal((await importer.rows('select from users')).length, 61);
  });
});
