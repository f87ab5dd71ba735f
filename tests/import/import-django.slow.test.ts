/** Import of a real Django database: every user and every mode of the import. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { send } from '../support/client.js';
import { expected, withClient } from '../support/django.js';
import { assertLetIn, importDjango, schemeOf } from '../support/django-import.js';
import { type Importer, signsIn, startImporter } from '../support/import.js';
import { signIn, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { createDatabase, temporaryFolder } from '../support/service.js';

// Open before the tests: resources that a test opens are closed with it.
const imported = await importDjango();
const { source } = imported;
const [untouchedImporter, ofPlain, ofTable] = (await Promise.all([1, 2, 3].map(startImporter))) as [
  Importer,
  Importer,
  Importer,
];

describe('import of django-flex-user', () => {
  const { importer } = imported;

  test('reports with --dry-run what would happen, and writes nothing', async () => {
    const untouched = await untouchedImporter.everything();
    const report = join(temporaryFolder(), 'report');
    const map = join(temporaryFolder(), 'map');
    const files = ['--report', report, '--map-file', map];
    const { problems, ...counts } = await untouchedImporter.answer(['import-django', source, '--dry-run', ...files]);
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
    assert.match(message, /already in use by user 61/);
    assert.deepEqual(JSON.parse(readFileSync(report, 'utf8')), { problem: problems[0] });
    assert.equal(existsSync(map), false, 'no ids exist yet');

    const { code: status, stdout } = await untouchedImporter.run(['import-django', source, '--dry-run']);
    assert.equal(status, 0);
    assert.match(stdout, /user 62: email "twin@example\.com": .* user 61/);
    assert.match(
      stdout,
      /Dry run, nothing written\. Result of an import: 61 created, 0 updated, 0 unchanged, 1 skipped\.\n$/,
    );
    assert.equal(await untouchedImporter.everything(), untouched);
  });

  async function assertRepeatable(): Promise<void> {
    const before = await importer.everything();
    const { created, updated, unchanged, notTaken, problemCount } = await importer.answer(['import-django', source]);
    assert.deepEqual([created, updated, unchanged, notTaken, problemCount], [0, 0, 61, 1, 1]);
    assert.equal(await importer.everything(), before);
  }

  test('changes nothing when repeated', assertRepeatable);

  // One test per scheme, so that each is short.
  for (const scheme of new Set(expected.map(({ id }) => schemeOf(imported, id))))
    test(`lets users with ${scheme ?? 'no password'} sign in with the old password, and rejects others`, async () => {
      const users = expected.filter(({ id }) => schemeOf(imported, id) === scheme);
      const schemes = await assertLetIn(imported, users);
      assert.deepEqual(schemes, scheme === undefined ? [] : [scheme]);
    });

  test('changes nothing when repeated after users have signed in', async () => {
    const user = expected.find(({ id, is_active }) => is_active && schemeOf(imported, id) === 'pbkdf2_sha1')!;
    assert.equal(await signsIn(importer.service, user.email!, user.password!), 'AuthenticateSuccess');
    await assertRepeatable();
  });

  test('imports superusers and failure counts', async () => {
    const root = expected.find(({ is_superuser }) => is_superuser)!;
    const { username, password } = root;
    // The superuser has a username and a password in the source.
    const { tokens } = await signIn(importer.service, { username: username!, password: password! });
    const { data, errors } = await send(
      importer.service,
      '{ users(search: "plain13@example.org") { nodes { securityTokens { failureCount } } } }',
      {},
      { token: tokens.accessToken },
    );
    assert.equal(errors, undefined);
    assert.deepEqual(data.users.nodes[0].securityTokens, [{ failureCount: 1 }]);
  });
});

describe('import of plain Django', () => {
  const importer = ofPlain;
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

  test('imports valid data and reports the rest with its reason', async () => {
    const dry = await importer.answer(['import-django', plain, '--dry-run']);
    const answer = await importer.answer(['import-django', plain]);
    assert.deepEqual({ ...dry, dryRun: false }, answer, 'the dry run predicted the import');
    assert.deepEqual([answer.rows, answer.created, answer.notTaken], [6, 4, 2]);
    assert.deepEqual(answer.normalised, [
      { id: '1', field: 'username', from: 'ＷＩＤＥ', to: 'WIDE' },
      { id: '1', field: 'email', from: 'Wide@EXAMPLE.com', to: 'Wide@example.com' },
    ]);
    assert.deepEqual(
      answer.problems
        .map(({ id, field, code, holder }: Record<string, string>) => [id, field, code, holder].join(' ').trim())
        .sort(),
      [
        '1 passwordHash MALFORMED',
        '2 username INVALID',
        '3 passwordHash UNKNOWN_SCHEME',
        '4 email INVALID',
        '4 username INVALID',
        '5 username TAKEN',
        '6 username INVALID',
      ],
    );
    assert.equal(answer.problems.find(({ code }: { code: string }) => code === 'TAKEN').holder, null);
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

  test('reads a named table, and keeps equal ids of two sources apart', async () => {
    const importer = ofTable;
    await importer.rows("insert into users (username, username_key, imported_id) values ('bob', 'bob', 'django:3')");
    await withClient(plain, (client) =>
      client.query(
        `create schema shop; create table shop.customer as select * from auth_user where id = 3; update shop.customer set username = 'other.bob'`,
      ),
    );
    const answer = await importer.answer(['import-django', plain, '--table', 'shop.customer', '--source', 'shop']);
    assert.equal(answer.created, 1);
    const rows = await importer.rows(`select username, imported_id from users order by 1`);
    assert.deepEqual(rows, [
      { username: 'bob', imported_id: 'django:3' },
      { username: 'other.bob', imported_id: 'shop:3' },
    ]);
  });
});

test('reports with a short message why it cannot read the source', async () => {
  const importer = await startImporter();
  const empty = await createDatabase('template template0');
  const closed = new URL(source);
  const role = `stranger_${Date.now()}`;
  await withClient(source, (client) => client.query(`create role ${role} login password 'canary'`));
  Object.assign(closed, { username: role, password: 'canary' });
  const cases: [args: string[], code: number, message: RegExp][] = [
    [[empty], 65, /Neither of the tables django_flex_user_flexuser and auth_user/],
    [[empty, '--table', 'people'], 65, /table people does not exist/],
    [[source, '--table', 'django_session'], 65, /no columns id and password/],
    [[`postgres://flex:canary@127.0.0.1:${await freePort()}/none`], 1, /is unavailable/],
    [[source.replace('/test_', '/none_')], 65, /cannot be read: database "none_/],
    [[closed.href], 65, /cannot be read: permission denied/],
    [['mysql://localhost/shop'], 1, /begins with postgres/],
    [[source, '--source', 'a:b'], 1, /lower-case letters, digits and dashes/],
    [[source, '--map-file', join(temporaryFolder(), 'none', 'map')], 65, /no such file or directory/],
  ];
  for (const [args, code, message] of cases) {
    const ended = await importer.run(['import-django', ...args]);
    assert.deepEqual([ended.code, ended.stdout], [code, ''], args.join(' '));
    assert.match(ended.stderr, message);
    assert.doesNotMatch(ended.stderr, /canary/);
  }
  assert.equal((await importer.rows('select from users')).length, 0);
});
