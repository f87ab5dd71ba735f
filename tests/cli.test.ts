import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { outboxMessages } from '../src/database/schema.js';
import { caller, password, signUp } from './support/people.js';
import { freePort } from './support/postgres.js';
import { compiledFile, root } from './support/root.js';
import { advance, createDatabase, sharedSecrets, startService, temporaryFolder } from './support/service.js';

const cli = join(root, 'dist/cli.js');
const commands = [
  'serve',
  'migrate',
  'create-superuser',
  'set-password',
  'unlock',
  'prune',
  'print-schema',
  'import-django',
  'import',
];
const newPassword = 'another horse battery';

/** A service, and the environment by which the command line reaches the same PostgreSQL. */
const environment = { DATABASE_URL: await createDatabase(), DATA_DIR: temporaryFolder(), ...sharedSecrets() };
const service = await startService(environment);
const anonymous = caller(service);

const quick = { NODE_ENV: 'test', BCRYPT_COST: '4', PASSWORD_THREADS: '1', LOG_LEVEL: 'silent' };

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts a command, which does not outlive the tests of this file. */
function start(args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...quick, ...env },
    stdio: 'pipe',
  });
  after(() => child.kill('SIGKILL'));
  return child;
}

async function end(child: ChildProcess): Promise<Ended> {
  const ended = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream]!.on('data', (data) => (ended[stream] += data));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, ...ended };
}

/** Runs a command to its end, with nobody at a terminal. */
async function run(args: string[], env: Record<string, string> = environment, input = ''): Promise<Ended> {
  const child = start(args, env);
  child.stdin!.end(input);
  const ended = await end(child);
  assert.doesNotMatch(ended.stderr, /\n\s+at |node:internal/, 'a stack trace is nothing for people');
  return ended;
}

async function signsIn(identifier: string, typed: string): Promise<boolean> {
  const { __typename } = await anonymous.authenticate({ identifier, password: typed });
  return __typename === 'AuthenticateSuccess';
}

/** Whoever has no password signs in by one that is set here. */
async function signInAs(username: string) {
  const { code } = await run(['set-password', username, '--password-stdin'], environment, password);
  assert.equal(code, 0);
  return anonymous.authenticate({ username, password });
}

describe('flex-identity', { concurrency: 2 }, () => {
  describe('explains itself', { concurrency: 2 }, () => {
    test('by --help, with every command, the exit codes and where it is configured', async () => {
      const { code, stdout } = await run(['--help'], {});
      assert.equal(code, 0);
      for (const command of commands) assert.match(stdout, new RegExp(`^  ${command}\\b.* [a-z]`, 'm'));
      for (const told of ['environment variables', 'Exit codes', ' 1 ', ' 65 ', ' 78 '])
        assert.ok(stdout.includes(told));
    });

    for (const command of commands)
      test(`by ${command} --help`, async () => {
        const { code, stdout } = await run([command, '--help'], {});
        assert.equal(code, 0);
        assert.match(stdout, new RegExp(`^Usage: flex-identity ${command}`));
        assert.match(stdout, /^[a-z].{10,}/m, 'it says what it does');
        const options = stdout.match(/^ {2}-.*$/gm) ?? [];
        for (const option of options) assert.match(option, /^ {2}-.* {2}\S/, `${option} is not explained`);
      });

    test('by its help where nothing is asked for, and in a word where it does not know what is', async () => {
      const nothing = await run([], {});
      assert.deepEqual([nothing.code, nothing.stdout], [1, '']);
      assert.match(nothing.stderr, /Usage: flex-identity/);
      const unknown = await run(['create-user'], {});
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /unknown command 'create-user'/);
      const option = await run(['migrate', '--force'], {});
      assert.equal(option.code, 1);
      assert.match(option.stderr, /unknown option '--force'/);
      const missing = await run(['set-password'], {});
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /missing required argument 'identifier'/);
    });
  });

  test('print-schema writes schema.graphql, whatever the configuration', async () => {
    const { code, stdout } = await run(['print-schema'], { PORT: 'none' });
    assert.equal(code, 0);
    assert.equal(stdout, readFileSync(join(root, 'schema.graphql'), 'utf8'));
  });

  describe('exits with', { concurrency: 2 }, () => {
    for (const args of [
      ['serve'],
      ['migrate'],
      ['create-superuser'],
      ['set-password', 'x'],
      ['unlock', 'x'],
      ['prune'],
    ])
      test(`78 where the configuration is faulty, with every fault: ${args[0]}`, async () => {
        const folder = join(temporaryFolder(), 'data');
        const { code, stdout, stderr } = await run(args, { PORT: 'none', BCRYPT_COST: '99', DATA_DIR: folder });
        assert.deepEqual([code, stdout], [78, '']);
        assert.match(stderr, /PORT must be a whole number/);
        assert.match(stderr, /BCRYPT_COST must be from 4 to 15/);
        assert.equal(existsSync(folder), false, 'nothing is written');
      });

    test('78 and its faults in JSON', async () => {
      const { code, stdout, stderr } = await run(['prune', '--json'], { PORT: 'none' });
      assert.deepEqual([code, stdout], [78, '']);
      assert.deepEqual(JSON.parse(stderr), {
        error: { code: 'CONFIGURATION', faults: ['PORT must be a whole number'] },
      });
    });

    test('78 where the database was used with another SECRET_KEY', async () => {
      for (const args of [['migrate'], ['serve']]) {
        const { code, stdout, stderr } = await run(args, { ...environment, ...sharedSecrets(), PORT: '0' });
        assert.deepEqual([code, stdout], [78, ''], args[0]);
        assert.match(stderr, /SECRET_KEY/);
      }
    });

    test('1 where the database cannot be reached, without a word of its password', async () => {
      const url = `postgres://flex:canary@127.0.0.1:${await freePort()}/none`;
      for (const args of [
        ['unlock', 'alice'],
        ['prune', '--json'],
      ]) {
        const { code, stdout, stderr } = await run(args, { ...environment, DATABASE_URL: url });
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(stderr, args.includes('--json') ? /"SERVICE_UNAVAILABLE"/ : /^The database could not be used: /);
        assert.doesNotMatch(stderr, /canary/);
      }
    });
  });

  test('migrate makes an empty database ready, and leaves one that is ready as it is', async () => {
    const url = await createDatabase('template template0');
    for (const args of [['migrate'], ['migrate', '--json']]) {
      const { code, stdout, stderr } = await run(args, { ...environment, DATABASE_URL: url });
      assert.deepEqual([code, stderr], [0, '']);
      if (args.includes('--json')) assert.deepEqual(JSON.parse(stdout), { migrated: true });
      else assert.equal(stdout, 'The database is up to date.\n');
    }
    const client = new pg.Client(url);
    await client.connect();
    const { rows } = await client.query(
      'select (select count(*)::int from users) as users, (select count(*)::int from keys) as keys',
    );
    await client.end();
    assert.deepEqual(rows, [{ users: 0, keys: 2 }]);
  });

  describe('create-superuser', { concurrency: 2 }, () => {
    test('makes one of what it is given, with the password from standard input', async () => {
      const identifiers = ['--username', 'Root', '--email', 'Root@A.test', '--phone', '(202) 555-0111'];
      const ended = await run(
        ['create-superuser', ...identifiers, '--password-stdin', '--json'],
        environment,
        `${password}\n`,
      );
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      const { id, ...made } = JSON.parse(ended.stdout);
      assert.deepEqual(made, { username: 'Root', email: 'Root@a.test', phone: '+12025550111' });
      assert.ok(!ended.stdout.includes(password));
      const { user, tokens } = await anonymous.authenticate({ username: 'root', password });
      assert.deepEqual([user.id, user.isSuperuser, user.isStaff, user.isActive], [id, true, true, true]);
      assert.ok(tokens);
    });

    test('makes another beside the first, without a password where there is none to be had', async () => {
      const { code, stdout, stderr } = await run(['create-superuser', '--username', 'second']);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^Superuser [0-9a-f-]{36} is there\.\n$/);
      const { user } = await signInAs('second');
      assert.equal(user.isSuperuser, true);
    });

    const refusals: Record<string, { args: string[]; input?: string; told: RegExp }> = {
      'a name that somebody has': { args: ['--username', 'taken'], told: /exists already/ },
      'a common password': { args: ['--username', 'a', '--password-stdin'], input: 'password1', told: /too easy/ },
      'no identifier': { args: [], told: /Give a username, an email address or a phone number/ },
    };
    for (const [what, { args, input, told }] of Object.entries(refusals))
      test(`exits with 65 for ${what}`, async () => {
        if (args.includes('taken')) await signUp(service, { username: 'taken' });
        const { code, stdout, stderr } = await run(['create-superuser', ...args], environment, input);
        assert.deepEqual([code, stdout], [65, '']);
        assert.match(stderr, told);
        if (input) assert.ok(!stderr.includes(input));
      });

    test('tells a refusal in JSON, with what is wrong', async () => {
      const { code, stdout, stderr } = await run(['create-superuser', '--email', 'nowhere', '--json']);
      assert.deepEqual([code, stdout], [65, '']);
      const { error } = JSON.parse(stderr);
      assert.equal(error.code, 'VALIDATION');
      assert.match(error.message, /not a valid email/);
    });
  });

  describe('set-password', { concurrency: 2 }, () => {
    for (const [field, identifier, typed] of [
      ['username', 'setter', 'SETTER'],
      ['email', 'setter@a.test', 'Setter@A.test'],
      ['phone', '+12025550121', '202-555-0121'],
    ] as const)
      test(`sets the password of the user of a ${field}, and ends the sessions`, async () => {
        const person = await signUp(service, { [field]: identifier, password });
        const spacious = `  ${newPassword} é "$x" `;
        const ended = await run(['set-password', typed, '--password-stdin'], environment, `${spacious}\r\n`);
        assert.deepEqual(ended, { code: 0, stdout: `User ${person.id} has a new password.\n`, stderr: '' });
        assert.equal((await person.ask('{ me { id } }')).errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
        // With its spaces and all else that it holds, but for the line feed at its end.
        assert.equal(await signsIn(identifier, spacious), true);
        assert.equal(await signsIn(identifier, password), false);
      });

    test('exits with 65 where there is no such user, or the rules refuse the password', async () => {
      await signUp(service, { username: 'refused', password });
      for (const [identifier, input, told] of [
        ['nobody', newPassword, /no such/],
        ['refused', 'password1', /too easy/],
      ] as const) {
        const { code, stdout, stderr } = await run(
          ['set-password', identifier, '--password-stdin'],
          environment,
          input,
        );
        assert.deepEqual([code, stdout], [65, ''], identifier);
        assert.match(stderr, told);
      }
      const withoutOne = await run(['set-password', 'refused']);
      assert.equal(withoutOne.code, 65);
      assert.equal(await signsIn('refused', password), true);
    });
  });

  test('unlock frees the address, or every address of the user of a username', async () => {
    const person = await signUp(service, { username: 'locked', email: 'locked@a.test', phone: '+12025550131' });
    const lock = async () => {
      for (const tokenId of [person.emailToken, person.phoneToken])
        await anonymous.checkOneTimePassword(tokenId, 'WRONG');
    };
    const failureCounts = async () =>
      (await person.account()).securityTokens.map(({ failureCount }: { failureCount: number }) => failureCount);
    await lock();
    assert.deepEqual(await failureCounts(), [1, 1]);
    const one = await run(['unlock', 'LOCKED@a.test']);
    assert.deepEqual([one.code, one.stdout.endsWith(' is free.\n')], [0, true]);
    assert.doesNotMatch(one.stdout, /locked@a\.test/i, 'the address is obscured');
    assert.deepEqual(await failureCounts(), [0, 1]);
    const all = await run(['unlock', 'locked', '--json']);
    assert.deepEqual(
      JSON.parse(all.stdout).unlocked.map(({ id }: { id: string }) => id),
      [person.emailToken, person.phoneToken],
    );
    assert.deepEqual(await failureCounts(), [0, 0]);
    for (const identifier of ['nobody@a.test', 'no identifier!']) {
      const { code, stderr } = await run(['unlock', identifier]);
      assert.deepEqual([code, stderr], [65, 'There is no such thing.\n']);
    }
  });

  test('prune removes what has expired and says how much', async () => {
    const own = { ...environment, DATABASE_URL: await createDatabase(), ...sharedSecrets() };
    const there = await startService(own);
    const person = await signUp(there, { email: 'old@a.test' });
    await caller(there).sendOneTimePassword(person.emailToken);
    await advance(there, 8 * 86_400);
    const first = await run(['prune', '--json'], own);
    assert.equal(first.code, 0);
    assert.deepEqual(JSON.parse(first.stdout), {
      deleted: {
        sessions: 0,
        oneTimePasswords: 0,
        signInThrottles: 0,
        rateLimitEvents: 1,
        outboxMessages: 1,
        auditEvents: 0,
      },
    });
    assert.equal(await there.app.db.$count(outboxMessages), 0);
    const second = await run(['prune'], own);
    assert.deepEqual([second.code, second.stderr], [0, '']);
    assert.match(second.stdout, /^sessions: 0\n/);
    assert.match(second.stdout, /^rateLimitEvents: 0$/m);
  });

  test('serve starts the service, and a signal ends it', async () => {
    const port = await freePort();
    const child = start(['serve'], { ...environment, PORT: String(port) });
    const ended = end(child);
    await ready(port);
    const { __typename } = await caller({ url: `http://127.0.0.1:${port}` }).createUser({ username: 'served' });
    assert.equal(__typename, 'CreateUserSuccess');
    child.kill('SIGTERM');
    assert.equal((await ended).code, 0);
  });
});

describe('at a terminal', { concurrency: 2, skip: !hasTerminals() && 'needs script of util-linux' }, () => {
  test('create-superuser asks for username and password, and shows no password', async () => {
    const { code, screen } = await atTerminal(
      ['create-superuser'],
      [
        [/Username/, 'typist\r'],
        [/Password/, `${password}\r`],
        [/Once more/, `${newPassword}\r`],
        [/Not the same/, `${'\b'.repeat(newPassword.length)}${password}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.match(screen, /Superuser [0-9a-f-]{36} is there/);
    for (const part of [password, newPassword, 'horse', 'battery']) assert.ok(!screen.includes(part), screen);
    assert.equal(await signsIn('typist', password), true);
  });

  test('create-superuser asks for nothing that it is given', async () => {
    const { code, screen } = await atTerminal(
      ['create-superuser', '--email', 'typist@a.test'],
      [
        [/Password/, `${password}\r`],
        [/Once more/, `${password}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.doesNotMatch(screen, /Username/);
    assert.equal(await signsIn('typist@a.test', password), true);
  });

  test('set-password asks for the password', async () => {
    await signUp(service, { username: 'forgetful', password });
    const { code, screen } = await atTerminal(
      ['set-password', 'forgetful'],
      [
        [/Password/, `${newPassword}\r`],
        [/Once more/, `${newPassword}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.ok(!screen.includes(newPassword));
    assert.equal(await signsIn('forgetful', newPassword), true);
  });

  test('whoever breaks it off has done nothing', async () => {
    const { code, screen } = await atTerminal(['create-superuser', '--username', 'undecided'], [[/Password/, '\x03']]);
    assert.equal(code, 1, screen);
    assert.match(screen, /Nothing was done/);
    assert.doesNotMatch(screen, /\n\s+at /);
    assert.deepEqual(await anonymous.securityTokens('undecided'), []);
    assert.equal((await anonymous.createUser({ username: 'undecided' })).__typename, 'CreateUserSuccess');
  });
});

test('the embedded database belongs to one process: another is told so, and the death of the first frees it', async () => {
  const embedded = { DATA_DIR: temporaryFolder() };
  const made = await run(['create-superuser', '--username', 'root', '--password-stdin'], embedded, password);
  assert.deepEqual([made.code, made.stderr], [0, '']);

  const port = await freePort();
  const child = start(['serve'], { ...embedded, PORT: String(port) });
  const ended = end(child);
  await ready(port);
  const served = caller({ url: `http://127.0.0.1:${port}` });
  assert.equal((await served.authenticate({ username: 'root', password })).__typename, 'AuthenticateSuccess');

  for (const args of [['serve'], ['migrate', '--json']]) {
    const { code, stdout, stderr } = await run(args, { ...embedded, PORT: '0' });
    assert.deepEqual([code, stdout], [1, ''], args[0]);
    assert.match(stderr, /is open in another process/);
    assert.match(stderr, /Stop that one first, or give DATABASE_URL/);
  }
  assert.equal((await served.createUser({ username: 'alice', password })).__typename, 'CreateUserSuccess');

  child.kill('SIGKILL');
  await ended;
  const freed = await run(['set-password', 'alice', '--password-stdin'], embedded, newPassword);
  assert.deepEqual([freed.code, freed.stderr], [0, '']);
});

test('of several that reach at once for a folder whose holder was killed, one gets it', async () => {
  const folder = temporaryFolder();
  const reach = `
    const { acquireProcessLock } = await import(${JSON.stringify(compiledFile('src/database/process-lock.ts'))});
    process.on('message', () => acquireProcessLock(process.argv[1]).then(
      () => process.send('taken'),
      (error) => process.send(error.name),
    ));
    process.send('ready');`;
  for (let round = 0; round < 15; round += 1) {
    const many = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', reach, folder], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      after(() => child.kill('SIGKILL'));
      return child;
    });
    const hear = (child: ChildProcess) => new Promise((resolve) => child.once('message', resolve));
    await Promise.all(many.map(hear));
    const outcomes = many.map(hear);
    for (const child of many) child.send('now');
    assert.deepEqual((await Promise.all(outcomes)).sort(), [
      'DatabaseInUseError',
      'DatabaseInUseError',
      'DatabaseInUseError',
      'taken',
    ]);
    await Promise.all(
      many.map((child) => {
        const exited = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        return exited;
      }),
    );
  }
});

async function ready(port: number): Promise<void> {
  for (;;) {
    try {
      if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function hasTerminals(): boolean {
  return /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');
}

/** Runs a command on a terminal of its own, where each answer is typed when what it answers has appeared. */
async function atTerminal(
  args: string[],
  answers: [asked: RegExp, typed: string][],
): Promise<{ code: number | null; screen: string }> {
  const child = spawn(
    'script',
    ['--quiet', '--return', '--command', `'${process.execPath}' '${cli}' ${args.join(' ')}`, '/dev/null'],
    {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, TERM: 'xterm', ...quick, ...environment },
      stdio: 'pipe',
    },
  );
  let screen = '';
  let seen = 0;
  const left = [...answers];
  child.stdout.on('data', (data) => {
    screen += data;
    const [next] = left;
    if (next === undefined) return;
    const found = next[0].exec(screen.slice(seen));
    if (found === null) return;
    seen += found.index + found[0].length;
    left.shift();
    // A prompt is drawn before its keys are read.
    setTimeout(() => child.stdin.write(next[1]), 200);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  assert.deepEqual(left, [], `not asked for: ${screen}`);
  return { code, screen };
}
