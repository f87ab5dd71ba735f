/** A real Django database, brought along as it is: nobody resets a password. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { send } from '../support/client.js';
import { type Expected, expected, restoreDjango, withClient } from '../support/django.js';
import { readMap, signsIn, startImporter } from '../support/import.js';
import { signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { advance, createDatabase, temporaryFolder } from '../support/service.js';

const source = await restoreDjango();
// Opened before any test is: what is opened in one ends with it.
const importers = await Promise.all([1, 2].map(startImporter));
const ours = /^bcrypt-hmac-sha384\$/;

const identifiersOf = ({ username, email, phone }: Expected) =>
  [username, email, phone].filter((identifier) => identifier != null);
/** The empty one, which Django lets in, is nobody's here. */
const hasPassword = ({ password }: Pick<Expected, 'password'>) => password !== null && password !== '';
/** All but the one whose email another has. */
const taken = expected.filter(({ note }) => note === undefined);

describe('a database of django-flex-user', () => {
  const importer = importers[0]!;

  test('is looked through by --dry-run, which says what would happen and writes nothing', async () => {
    const untouched = await importer.everything();
    const report = join(temporaryFolder(), 'report');
    const map = join(temporaryFolder(), 'map');
    const answer = await importer.answer(['import-django', source, '--dry-run', '--report', report, '--map-file', map]);
    const { problems, ...counts } = answer;
    assert.deepEqual(counts, {
      source: 'django',
      dryRun: true,
      rows: 62,
      created: 61,
      updated: 0,
      unchanged: 0,
      notTaken: 1,
      with: {
        username: 30,
        email: 32,
        phone: 30,
        verifiedEmail: 6,
        verifiedPhone: 5,
        failures: 3,
        inactive: 4,
        staff: 2,
        superuser: 1,
      },
      passwords: { pbkdf2_sha256: 13, pbkdf2_sha1: 11, argon2: 11, bcrypt_sha256: 11, bcrypt: 11, none: 5 },
      normalisedCount: 0,
      problemCount: 1,
      normalised: [],
    });
    assert.equal(problems.length, 1);
    const { id, field, code, value, holder, message } = problems[0];
    assert.deepEqual([id, field, code, value, holder], ['62', 'email', 'TAKEN', 'twin@example.com', '61']);
    assert.match(message, /same as that of user 61/);
    assert.deepEqual(JSON.parse(readFileSync(report, 'utf8')), { problem: problems[0] });
    assert.equal(existsSync(map), false, 'there are no new ids yet');

    const { code: status, stdout } = await importer.run(['import-django', source, '--dry-run']);
    assert.equal(status, 0);
    assert.match(stdout, /user 62: email "twin@example\.com": .* user 61/);
    assert.match(stdout, /Nothing is written\. It would be: 61 created, 0 updated, 0 unchanged, 1 not taken\.\n$/);
    assert.equal(await importer.everything(), untouched);
  });

  test('is imported by a role that may only read, and is not changed', async () => {
    const everythingThere = () =>
      withClient(source, async (client) => {
        const { rows } = await client.query(
          `select query_to_xml('select xmin, ctid, * from django_flex_user_' || t || ' order by id', true, false, '')::text from unnest(array['flexuser', 'emailtoken', 'phonetoken']) t`,
        );
        return JSON.stringify(rows);
      });
    const untouched = await everythingThere();
    const role = `reader_${Date.now()}`;
    await withClient(source, async (client) => {
      await client.query(`create role ${role} login password 'reader'`);
      await client.query(
        `grant select on django_flex_user_flexuser, django_flex_user_emailtoken, django_flex_user_phonetoken to ${role}`,
      );
    });
    const url = new URL(source);
    Object.assign(url, { username: role, password: 'reader' });
    const map = join(temporaryFolder(), 'map');
    const answer = await importer.answer(['import-django', url.href, '--map-file', map]);
    assert.deepEqual([answer.created, answer.notTaken, answer.problemCount], [61, 1, 1]);
    assert.equal(await everythingThere(), untouched);

    const rows = await importer.rows('select id, imported_id from users');
    assert.equal(rows.length, 61);
    assert.deepEqual(
      readMap(map),
      new Map(rows.map(({ id, imported_id }) => [imported_id.replace('django:', ''), id])),
    );
  });

  test('keeps everything of its users', async () => {
    const there = await withClient(source, async (client) => {
      const { rows } = await client.query(
        `select u.*, u.id::text as id, username::text as username, e.verified as email_verified, e.failure_count as email_failures,
          e.timeout as email_timeout, p.verified as phone_verified
         from django_flex_user_flexuser u left join django_flex_user_emailtoken e on e.user_id = u.id
         left join django_flex_user_phonetoken p on p.user_id = u.id where u.id <> 62 order by u.id`,
      );
      return rows;
    });
    const here = await importer.rows(
      `select u.*, (select verified_at is not null from security_tokens t where t.user_id = u.id and kind = 'email') as email_verified,
        (select verified_at is not null from security_tokens t where t.user_id = u.id and kind = 'phone') as phone_verified,
        (select json_agg(json_build_object('count', o.failure_count, 'retryAt', o.retry_at) order by purpose) from one_time_passwords o
          join security_tokens t on t.id = o.token_id where t.user_id = u.id and kind = 'email') as email_failures
       from users u order by split_part(imported_id, ':', 2)::int`,
    );
    assert.equal(here.length, there.length);
    let failed = 0;
    for (const [index, was] of there.entries()) {
      const is = here[index];
      for (const field of [
        'username',
        'email',
        'phone',
        'is_active',
        'is_staff',
        'is_superuser',
        'date_joined',
        'last_login',
        'email_verified',
        'phone_verified',
      ])
        assert.deepEqual(is[field], was[field], `${field} of ${was.id}`);
      assert.equal(is.password_hash, was.password.startsWith('!') ? null : was.password);
      assert.equal(is.first_verified_at !== null, was.email_verified === true || was.phone_verified === true);
      if (was.email_failures > 0) {
        failed += 1;
        // One count there, one for each purpose here.
        assert.equal(is.email_failures.length, 3);
        for (const { count, retryAt } of is.email_failures)
          assert.deepEqual([count, new Date(retryAt)], [was.email_failures, was.email_timeout]);
      } else assert.equal(is.email_failures, null);
    }
    assert.equal(failed, 3);
  });

  test('is imported again without a change', async () => {
    const before = await importer.everything();
    const answer = await importer.answer(['import-django', source]);
    assert.deepEqual(
      [answer.created, answer.updated, answer.unchanged, answer.notTaken, answer.problemCount],
      [0, 0, 61, 1, 1],
    );
    assert.equal(await importer.everything(), before);
  });

  test('lets each of its users in by the old password, twice, and by no other', async () => {
    const { service } = importer;
    for (const user of expected)
      for (const identifier of identifiersOf(user).slice(0, 1)) {
        const wrong = `${user.password}${user.password || 'x'}`;
        assert.equal(await signsIn(service, identifier, wrong), 'InvalidCredentialsError', identifier);
      }
    await advance(service, 3_600);
    const hashes = async () =>
      new Map(
        (await importer.rows('select imported_id, password_hash from users')).map(({ imported_id, password_hash }) => [
          imported_id,
          password_hash,
        ]),
      );
    const [before, schemes] = [await hashes(), new Set<string>()];
    for (const round of ['by the hash that Django made', 'by the hash that took its place'])
      for (const user of taken)
        for (const identifier of identifiersOf(user)) {
          const answer = await signsIn(service, identifier, user.password ?? 'anything');
          const mayEnter = hasPassword(user) && user.is_active;
          assert.equal(answer, mayEnter ? 'AuthenticateSuccess' : 'InvalidCredentialsError', `${identifier} ${round}`);
          if (!mayEnter) await advance(service, 3_600);
          else schemes.add(before.get(`django:${user.id}`).split('$')[0]);
        }
    assert.deepEqual([...schemes].sort(), ['argon2', 'bcrypt', 'bcrypt_sha256', 'pbkdf2_sha1', 'pbkdf2_sha256']);
    const after = await hashes();
    for (const { id, password, is_active } of taken) {
      if (hasPassword({ password }) && is_active) assert.match(after.get(`django:${id}`), ours);
      else assert.equal(after.get(`django:${id}`), before.get(`django:${id}`));
    }
    for (const { password } of taken)
      if (hasPassword({ password })) assert.ok(![...after.values()].some((hash) => hash?.includes(password!)));
  });

  test('stays as it is here once people have signed in, when it is imported again', async () => {
    const before = await importer.everything();
    const answer = await importer.answer(['import-django', source]);
    assert.deepEqual([answer.created, answer.updated, answer.unchanged], [0, 0, 61]);
    assert.equal(await importer.everything(), before);
  });

  test('shows the superuser of the old system as a superuser, with the failures of others', async () => {
    const root = taken.find(({ is_superuser }) => is_superuser)!;
    const answer = await send(
      importer.service,
      'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { ... on AuthenticateSuccess { tokens { accessToken } } ... on IdentityError { code } } }',
      { input: { identifier: root.username, password: root.password } },
    );
    const { data, errors } = await send(
      importer.service,
      '{ users(search: "plain13@example.org") { nodes { email emailVerified hasUsablePassword securityTokens { failureCount } } } }',
      {},
      { token: answer.data.authenticate.tokens.accessToken },
    );
    assert.equal(errors, undefined);
    assert.deepEqual(data.users.nodes[0].securityTokens, [{ failureCount: 1 }]);
  });
});

describe('a database of plain Django', () => {
  const importer = importers[1]!;
  let plain: string;
  before(async () => {
    plain = await createDatabase('template template0');
    await withClient(plain, (client) =>
      client.query(`
        create table auth_user (id serial primary key, password varchar(128) not null, last_login timestamptz, is_superuser boolean not null,
          username varchar(150) not null unique, first_name varchar(150) not null default '', last_name varchar(150) not null default '',
          email varchar(254) not null default '', is_staff boolean not null default false, is_active boolean not null default true, date_joined timestamptz not null);
        insert into auth_user (password, is_superuser, username, email, date_joined) values
          ('pbkdf2_sha256$1000$salt$x', false, 'ＷＩＤＥ', 'Wide@EXAMPLE.com', '2020-01-01T12:00:00Z'),
          ('!', false, 'ann@example.com', 'ann@example.com', '2020-01-01'),
          ('md5$salt$0123456789abcdef', false, 'bob', '', '2020-01-01'),
          ('!', false, '1abc', 'not an address', '2020-01-01'),
          ('!', false, 'here', 'new@example.com', '2020-01-01'),
          ('', false, 'BOB ', '', '2020-01-01');
      `),
    );
    await signUp(importer.service, { username: 'Here' });
  });

  test('gives its users what our rules leave of them, and tells the rest with its reason', async () => {
    const dry = await importer.answer(['import-django', plain, '--dry-run']);
    const answer = await importer.answer(['import-django', plain]);
    assert.deepEqual({ ...dry, dryRun: false }, answer, 'what was foretold has happened');
    assert.deepEqual([answer.rows, answer.created, answer.notTaken], [6, 4, 2]);
    assert.deepEqual(answer.normalised, [
      { id: '1', field: 'username', from: 'ＷＩＤＥ', to: 'WIDE' },
      { id: '1', field: 'email', from: 'Wide@EXAMPLE.com', to: 'Wide@example.com' },
    ]);
    assert.deepEqual(
      answer.problems
        .map(({ id, field, code, holder }: Record<string, string>) => [
          id,
          field,
          code,
          ...(holder === undefined ? [] : [holder]),
        ])
        .sort(),
      [
        ['1', 'passwordHash', 'MALFORMED'],
        ['2', 'username', 'INVALID'],
        ['3', 'passwordHash', 'UNKNOWN_SCHEME'],
        ['4', 'email', 'INVALID'],
        ['4', 'username', 'INVALID'],
        ['5', 'username', 'TAKEN', null],
        ['6', 'username', 'INVALID'],
      ],
    );
    const rows = await importer.rows(
      `select imported_id, username, email, password_hash from users where imported_id is not null order by 1`,
    );
    assert.deepEqual(
      rows.map((row) => Object.values(row)),
      [
        ['django:1', 'WIDE', 'Wide@example.com', 'pbkdf2_sha256$1000$salt$x'],
        ['django:2', null, 'ann@example.com', null],
        ['django:3', 'bob', null, 'md5$salt$0123456789abcdef'],
        ['django:5', null, 'new@example.com', null],
      ],
    );
    for (const identifier of ['wide', 'bob'])
      assert.equal(await signsIn(importer.service, identifier, 'anything'), 'InvalidCredentialsError');
  });

  test('is found by the name of its table, beside another whose ids are the same', async () => {
    await withClient(plain, (client) =>
      client.query(
        `create schema shop; create table shop.customer as select * from auth_user where id = 3; update shop.customer set username = 'other.bob'`,
      ),
    );
    const answer = await importer.answer(['import-django', plain, '--table', 'shop.customer', '--source', 'shop']);
    assert.equal(answer.created, 1);
    const rows = await importer.rows(`select imported_id from users where username in ('bob', 'other.bob') order by 1`);
    assert.deepEqual(
      rows.map(({ imported_id }) => imported_id),
      ['django:3', 'shop:3'],
    );
  });
});

test('an import says in a word what is in its way', async () => {
  const importer = await startImporter();
  const empty = await createDatabase('template template0');
  const closed = new URL(source);
  const role = `stranger_${Date.now()}`;
  await withClient(source, (client) => client.query(`create role ${role} login password 'canary'`));
  Object.assign(closed, { username: role, password: 'canary' });
  const cases: [args: string[], code: number, told: RegExp][] = [
    [[empty], 65, /neither of the tables django_flex_user_flexuser and auth_user/],
    [[empty, '--table', 'people'], 65, /no table people/],
    [[source, '--table', 'django_session'], 65, /no columns id and password/],
    [[`postgres://flex:canary@127.0.0.1:${await freePort()}/none`], 1, /could not be used/],
    [[source.replace('/test_', '/none_')], 65, /cannot be read: database "none_/],
    [[closed.href], 65, /cannot be read: permission denied/],
    [['mysql://localhost/shop'], 1, /begins with postgres/],
    [[source, '--source', 'a:b'], 1, /small letters, digits and dashes/],
    [[source, '--map-file', join(temporaryFolder(), 'none', 'map')], 65, /no such file or directory/],
  ];
  for (const [args, code, told] of cases) {
    const ended = await importer.run(['import-django', ...args]);
    assert.deepEqual([ended.code, ended.stdout], [code, ''], args.join(' '));
    assert.match(ended.stderr, told);
    assert.doesNotMatch(ended.stderr, /canary/);
  }
  assert.equal((await importer.rows('select from users')).length, 0);
});
