/** Import of JSON Lines from any system. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { scryptSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { type App, createApp } from '../../src/app/app.js';
import { readConfig } from '../../src/config/load.js';
import { users } from '../../src/database/schema.js';
import { subscribers } from '../../src/domain/events/subscribers.js';
import { importUsers } from '../../src/domain/import/import.js';
import { readLine } from '../../src/domain/import/lines.js';
import { withClient } from '../support/django.js';
import { cli, signsIn, startImporter } from '../support/import.js';
import { root } from '../support/root.js';
import { createDatabase, sharedSecrets, temporaryFolder } from '../support/service.js';
import { anyCharacters } from '../support/text.js';

const importer = await startImporter();
const jsonl = ['import', '--format', 'jsonl'];
const lines = (...users: unknown[]) => users.map((user) => `${JSON.stringify(user)}\n`).join('');

describe('import --format jsonl', () => {
  test('reads standard input, and a repeated import changes nothing', async () => {
    const input = lines(...Array.from({ length: 1200 }, (_, n) => ({ id: n, email: `piped${n}@example.com` })));
    const first = await importer.answerOfProcess([...jsonl, '-', '--source', 'pipe'], `\uFEFF${input}\n\n`);
    assert.deepEqual([first.created, first.problemCount], [1200, 0], JSON.stringify(first.problems[0]));
    const before = await importer.everything();
    const second = await importer.answer([...jsonl, '-', '--source', 'pipe'], input.trimEnd());
    assert.deepEqual([second.created, second.updated, second.unchanged], [0, 0, 1200]);
    assert.equal(await importer.everything(), before);
  });

  test('reports malformed lines by number and imports the others', async () => {
    const bad: [line: string | Buffer, field: string | null, expectedMessage: RegExp][] = [
      ['{', null, /not valid JSON/],
      ['null', null, /expected object/i],
      ['[]', null, /expected object/i],
      ['{"username":"x"}', 'id', /./],
      ['{"id":"a b"}', 'id', /printable ASCII/],
      ['{"id":"\\u0000"}', 'id', /printable ASCII/],
      ['{"id":1.5}', 'id', /./],
      ['{"id":1,"name":"x"}', null, /name/],
      ['{"id":1,"__proto__":{"isSuperuser":true}}', null, /./],
      ['{"id":1,"isSuperuser":"true"}', 'isSuperuser', /boolean/],
      ['{"id":1,"passwordHash":"\\u0000"}', 'passwordHash', /printable ASCII/],
      ['{"id":1,"dateJoined":"0000-01-01T00:00:00Z"}', 'dateJoined', /./],
      ['{"id":1,"lastLogin":"yesterday"}', 'lastLogin', /./],
      ['{"id":1,"emailThrottle":{"failureCount":-1}}', 'emailThrottle.failureCount', /./],
      [`{"id":1,"username":"${'x'.repeat(70_000)}"}`, null, /more than 65536 bytes/],
      [Buffer.from([0x22, 0xff, 0x22]), null, /not valid UTF-8/],
      ['{"id":"nobody"}', null, /no username, email/],
      ['{"id":"lone","username":"\\ud800"}', 'username', /not a valid username/],
      ['{"id":"nul","email":"a\\u0000@example.com"}', 'email', /not a valid email/],
    ];
    const parts = bad.flatMap(([line], index) => [
      Buffer.from(line),
      Buffer.from(`\n${JSON.stringify({ id: `good${index}`, username: `good${index}` })}\n`),
    ]);
    const answer = await importer.answer([...jsonl, '-', '--source', 'bad'], Buffer.concat(parts));
    assert.deepEqual(
      [answer.rows, answer.created, answer.notTaken, answer.problemCount],
      [2 * bad.length, bad.length, bad.length, bad.length],
    );
    for (const [index, [, field, expectedMessage]] of bad.entries()) {
      const problem = answer.problems[index];
      assert.equal(problem.field, field, JSON.stringify(problem));
      assert.match(problem.message, expectedMessage);
      if (problem.code === 'MALFORMED') assert.equal(problem.line, 2 * index + 1);
    }
    const steering = await importer.run([...jsonl, '-', '--dry-run'], '{"id":1,"\\u001b[2J\\u009b":1}');
    assert.match(steering.stdout, /Unrecognized key/);
    assert.doesNotMatch(steering.stdout, /[\x1b\x9b]/);
    const { stdout } = await importer.run([...jsonl, '-', '--dry-run', '--source', 'bad'], '{\n');
    assert.match(stdout, /^1 problem:\n {2}line 1: record: The line is not valid JSON\.$/m);
  });

  test('applies the later of two lines with one id, and keeps an identifier with the first user', async () => {
    const input = lines(
      { id: 1, username: 'first' },
      { id: 1, username: 'second' },
      { id: 2, username: 'SECOND', email: 'second@example.com' },
    );
    const answer = await importer.answer([...jsonl, '-', '--source', 'twice'], input);
    assert.deepEqual([answer.created, answer.updated, answer.problemCount], [2, 1, 1]);
    const rows = await importer.rows(
      `select username, email from users where imported_id like 'twice:%' order by imported_id`,
    );
    assert.deepEqual(rows, [
      { username: 'second', email: null },
      { username: null, email: 'second@example.com' },
    ]);
  });

  test('rejects a missing file or an unsupported format with a short message', async () => {
    for (const [args, code, expectedMessage] of [
      [['import', '--format', 'jsonl', join(temporaryFolder(), 'none')], 65, /no such file/],
      [['import', '--format', 'csv', '-'], 1, /Only jsonl/],
      [['import', '-'], 1, /--format/],
    ] as const) {
      const ended = await importer.run([...args]);
      assert.deepEqual([ended.code, ended.stdout], [code, '']);
      assert.match(ended.stderr, expectedMessage);
    }
  });
});

test('shows progress at a terminal only', {
  skip: spawnSync('script', ['--version']).status !== 0 && 'needs script of util-linux',
}, async () => {
  const file = join(temporaryFolder(), 'users.jsonl');
  writeFileSync(file, lines(...Array.from({ length: 1000 }, (_, n) => ({ id: n, username: `typist${n}` }))));
  const command = `'${process.execPath}' '${cli}' import --format jsonl --dry-run '${file}'`;
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...importer.environment },
  });
  assert.match(stdout, /\[#+ *\] \d+ % 500 users, \d+ per second/);
  assert.match(stdout, /1000 created/);
  assert.equal((await importer.run([...jsonl, '--dry-run', file])).stderr, '');
});

describe('docs/migrating.md', () => {
  const guide = readFileSync(join(root, 'docs/migrating.md'), 'utf8');
  const blocksOf = (language: string) =>
    [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, block]) => block!);
  const command = blocksOf('sh').at(-1)!;

  test('shows importable lines with every field, and explains each field', async () => {
    const [example] = blocksOf('jsonl');
    const answer = await importer.answer([...jsonl, '-', '--source', 'guide'], example);
    assert.deepEqual([answer.created, answer.problemCount], [2, 0]);
    const [whole] = example!.split('\n');
    const fields = Object.keys(readLine('{"id":1}', 1)).sort();
    assert.deepEqual(Object.keys(JSON.parse(whole!)).sort(), fields);
    const table = /^\| field \| type .*?\n\n/ms.exec(guide)![0];
    const explained = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, names]) => names!.match(/\w+/g)!);
    assert.deepEqual(explained.sort(), fields);
  });

  describe('imports the users of better-auth with their passwords', () => {
    const folder = temporaryFolder();
    const query = blocksOf('sql').at(-1)!;
    const [script] = blocksOf('js');
    writeFileSync(join(folder, 'better-auth.sql'), query);
    writeFileSync(join(folder, 'better-auth.mjs'), script!);
    const hasPsql = spawnSync('psql', ['--version']).status === 0;
    const salt = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
    const key = scryptSync('violin under the stairs', salt, 64, { N: 16384, r: 16, p: 1, maxmem: 2 ** 26 });

    test('with a script of ten lines', () => assert.ok(script!.trim().split('\n').length <= 10));

    // The type depends on the version of better-auth.
    for (const instant of ['timestamp', 'timestamptz'] as const)
      test(`whose date joined is a ${instant}`, async () => {
        const url = await makeTables(instant);
        const source = `better-auth-${instant}`;
        const own = command
          .replace('postgres://reader@old-host/shop', `'${url}'`)
          .replace('npx flex-identity', `'${process.execPath}' '${cli}'`)
          .replace('--source better-auth', `--source ${source} --json`);
        const { stdout, stderr } = spawnSync('sh', ['-c', hasPsql ? own : own.replace(/^.*\|\n/, '')], {
          cwd: folder,
          encoding: 'utf8',
          env: { PATH: process.env.PATH, ...importer.environment },
          input: hasPsql ? '' : await askWithoutPsql(url),
        });
        assert.equal(stderr, '');
        const answer = JSON.parse(stdout);
        assert.deepEqual([answer.rows, answer.created, answer.problemCount], [3, 3, 0], stdout);
        const rows = await importer.rows(
          `select imported_id, email, verified_at is not null as verified, date_joined from users u join security_tokens t on t.user_id = u.id
           where imported_id like '${source}:%' order by imported_id`,
        );
        assert.deepEqual(
          rows.map((row) => Object.values(row)),
          [
            [`${source}:both`, `both.${instant}@example.com`, true, new Date('2025-01-01T00:00:00.123Z')],
            [`${source}:google`, `google.${instant}@example.com`, false, new Date('2025-07-01T00:00:00Z')],
            [`${source}:password`, `password.${instant}@example.com`, true, new Date('2025-07-01T00:00:01Z')],
          ],
        );
        for (const [name, outcome] of [
          ['both', 'AuthenticateSuccess'],
          ['google', 'InvalidCredentialsError'],
          ['password', 'AuthenticateSuccess'],
        ]) {
          const email = `${name}.${instant}@example.com`;
          assert.equal(await signsIn(importer.service, email, 'violin under the stairs'), outcome);
        }
      });

    /** Creates the tables of better-auth in a database with its own time zone. */
    async function makeTables(instant: 'timestamp' | 'timestamptz'): Promise<string> {
      const url = await createDatabase();
      await withClient(url, async (client) => {
        await client.query(`
          set timezone to 'UTC';
          create table "user" (id text primary key, name text not null, email text not null unique, "emailVerified" boolean not null,
            image text, "createdAt" ${instant} not null, "updatedAt" ${instant} not null);
          create table account (id text primary key, "accountId" text not null, "providerId" text not null,
            "userId" text not null references "user" (id) on delete cascade, password text);
          insert into "user" values
            ('both', E'Bo\\n"th"', 'both.${instant}@example.com', true, null, '2025-01-01T00:00:00.123456Z', now()),
            ('google', '', 'google.${instant}@example.com', false, null, '2025-07-01T00:00:00Z', now()),
            ('password', '', 'password.${instant}@example.com', true, null, '2025-07-01T00:00:01Z', now());
          insert into account values
            (1, 'g1', 'google', 'both', null),
            (2, 'both', 'credential', 'both', '${salt}:${key.toString('hex')}'),
            (3, 'g2', 'google', 'google', null),
            (4, 'password', 'credential', 'password', '${salt}:${key.toString('hex')}');`);
        await client.query(`alter database ${new URL(url).pathname.slice(1)} set timezone to 'Asia/Tokyo'`);
      });
      return url;
    }

    /** Returns the output of psql where it is not installed. */
    async function askWithoutPsql(url: string): Promise<string> {
      return withClient(url, async (client) => {
        await client.query(`set timezone to '${/PGTZ=(\S+)/.exec(command)![1]}'`);
        return lines(...(await client.query(query)).rows.flatMap((row) => Object.values(row)));
      });
    }
  });
});

/** Opens the application in this process and closes it after the work. */
async function withApp(databaseUrl: string, work: (app: App) => Promise<void>): Promise<void> {
  const environment = { NODE_ENV: 'test', DATABASE_URL: databaseUrl, DATA_DIR: temporaryFolder(), ...sharedSecrets() };
  const config = readConfig({ ...environment, PASSWORD_HASH_THREADS: '1', LOG_LEVEL: 'silent' });
  const app = await createApp(config, subscribers);
  try {
    await work(app);
  } finally {
    await app.close();
  }
}

test('imports into the embedded database like into PostgreSQL', () =>
  withApp('memory:', async (app) => {
    const users = (name: string) => [
      { id: 1, username: 'one', lastLogin: '2026-01-01T00:00:00Z' },
      { id: 2, username: name, email: 'two@example.com', emailVerified: true, emailThrottle: { failureCount: 2 } },
      { id: 3, username: 'ONE', phone: '+12025550100' },
      { id: 4, username: 'One' },
    ];
    const run = async (name: string, dryRun: boolean) => {
      const problems: string[] = [];
      const texts = users(name).map((user) => JSON.stringify(user));
      const { created, updated, unchanged, notTaken } = await importUsers(app, readAll(texts), {
        source: 'test',
        dryRun,
        onProblem: ({ id, field, code }) => void problems.push(`${id} ${field} ${code}`),
        onNormalised: () => {},
        onBatch: async () => {},
      });
      assert.deepEqual([notTaken, problems], [1, ['3 username TAKEN', '4 username TAKEN']]);
      return { created, updated, unchanged };
    };
    for (const dryRun of [true, false])
      assert.deepEqual(await run('two', dryRun), { created: 3, updated: 0, unchanged: 0 });
    for (const dryRun of [true, false])
      assert.deepEqual(await run('zwei', dryRun), { created: 0, updated: 1, unchanged: 2 });
    assert.deepEqual(await run('zwei', false), { created: 0, updated: 0, unchanged: 3 });
  }));

test('an import of arbitrary lines ends and imports the valid ones', async () => {
  const text = fc.oneof(
    anyCharacters(),
    fc.constantFrom('a', 'A', 'a@example.com', 'A@EXAMPLE.com', '+12025550100', '(202) 555-0100', ''),
  );
  const flag = fc.boolean();
  const instant = fc
    .date({ min: new Date('1901-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString());
  const throttle = fc.record({ failureCount: fc.nat(), retryAt: fc.option(instant) });
  const flags = { emailVerified: flag, phoneVerified: flag, isActive: flag, isStaff: flag, isSuperuser: flag };
  const fields = {
    ...flags,
    username: text,
    email: text,
    phone: text,
    emailThrottle: throttle,
    phoneThrottle: throttle,
    dateJoined: instant,
    lastLogin: instant,
    id: fc.oneof(fc.nat(20), fc.string({ minLength: 1 }), fc.anything()),
    passwordHash: fc.oneof(fc.string(), fc.constant('pbkdf2_sha256$1$a$b')),
  };
  const line = fc.oneof(
    { weight: 9, arbitrary: fc.record(fields, { requiredKeys: ['id'] }).map((one) => JSON.stringify(one) ?? '') },
    { weight: 1, arbitrary: anyCharacters() },
  );
  await withApp(await createDatabase(), async (app) => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 60 }), async (texts) => {
        for (const dryRun of [true, false]) {
          const summary = await importUsers(app, readAll(texts), {
            source: 'fuzz',
            dryRun,
            onProblem: (problem) => void assert.ok(problem.message),
            onNormalised: () => {},
            onBatch: async () => {},
          });
          assert.equal(summary.rows, texts.length);
          assert.equal(summary.created + summary.updated + summary.unchanged + summary.notTaken, texts.length);
        }
      }),
      { numRuns: 40 },
    );
    const wrong = sql`(select count(*) from security_tokens t where t.user_id = users.id) <> num_nonnulls(email, phone)`;
    assert.equal(await app.db.$count(users, wrong), 0);
  });
});

async function* readAll(texts: string[]) {
  for (const [index, text] of texts.entries()) yield readLine(text, index + 1);
}
