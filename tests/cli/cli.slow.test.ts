/** Every argument of every command, with and without a terminal. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { acquireProcessLock } from '../../src/database/process-lock.js';
import { outboxMessages } from '../../src/database/schema.js';
import { expectMember } from '../support/client.js';
import { cli, commands, quick, startCommands } from '../support/commands.js';
import { caller, password, signsIn, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { compiledFile } from '../support/root.js';
import { advance, createDatabase, sharedSecrets, startService, temporaryFolder } from '../support/service.js';

const { environment, service, run, runHere } = await startCommands();
const anonymous = caller(service);
const newPassword = 'another horse battery';

/** A user without a password signs in with the password that a test sets. */
async function signInAs(username: string) {
  const { code } = await runHere(['set-password', username, '--password-stdin'], environment, password);
  assert.equal(code, 0);
  return anonymous.authenticate({ username, password });
}

describe('flex-identity', () => {
  describe('explains itself', () => {
    for (const command of commands)
      test(`by ${command} --help`, async () => {
        const { code, stdout } = await runHere([command, '--help'], {});
        assert.equal(code, 0);
        assert.match(stdout, new RegExp(`^Usage: flex-identity ${command}`));
        assert.match(stdout, /^[a-z].{10,}/m, 'it says what it does');
        const options = stdout.match(/^ {2}-.*$/gm) ?? [];
        for (const option of options) assert.match(option, /^ {2}-.* {2}\S/, `${option} is not explained`);
      });

    test('by its help without arguments, and by a message for an unknown command', async () => {
      const nothing = await runHere([], {});
      assert.deepEqual([nothing.code, nothing.stdout], [1, '']);
      assert.match(nothing.stderr, /Usage: flex-identity/);
      const unknown = await runHere(['create-user'], {});
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /unknown command 'create-user'/);
      const option = await runHere(['migrate', '--force'], {});
      assert.equal(option.code, 1);
      assert.match(option.stderr, /unknown option '--force'/);
      const missing = await runHere(['set-password'], {});
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /missing required argument 'identifier'/);
    });
  });

  describe('exits with', () => {
    for (const args of [
      ['serve'],
      ['migrate'],
      ['create-superuser'],
      ['set-password', 'x'],
      ['unlock', 'x'],
      ['prune'],
    ])
      test(`78 for an invalid configuration, with every fault: ${args[0]}`, async () => {
        const folder = join(temporaryFolder(), 'data');
        // `serve` is the whole service, which a process loads once.
        const start = args[0] === 'serve' ? run : runHere;
        const { code, stdout, stderr } = await start(args, { PORT: 'none', BCRYPT_COST: '99', DATA_DIR: folder });
        assert.deepEqual([code, stdout], [78, '']);
        assert.match(stderr, /PORT must be a whole number/);
        assert.match(stderr, /BCRYPT_COST must be from 4 to 15/);
        assert.equal(existsSync(folder), false, 'nothing is written');
      });

    test('1 for an unreachable database, with the failure in JSON', async () => {
      const url = `postgres://flex:canary@127.0.0.1:${await freePort()}/none`;
      const { code, stdout, stderr } = await runHere(['prune', '--json'], { ...environment, DATABASE_URL: url });
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /"SERVICE_UNAVAILABLE"/);
      assert.doesNotMatch(stderr, /canary/);
    });
  });

  test('migrate does not change a migrated database', async () => {
    const { code, stdout, stderr } = await runHere(['migrate']);
    assert.deepEqual([code, stdout, stderr], [0, 'The database is up to date.\n', '']);
  });

  describe('create-superuser', () => {
    test('creates a second superuser, without a password if none is given', async () => {
      const { code, stdout, stderr } = await runHere(['create-superuser', '--username', 'second']);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^Created superuser [0-9a-f-]{36}\.\n$/);
      const { user } = expectMember(await signInAs('second'), 'AuthenticateSuccess');
      assert.equal(user.isSuperuser, true);
    });

    const refusals: Record<string, { args: string[]; input?: string; told: RegExp }> = {
      'a name that somebody has': { args: ['--username', 'taken'], told: /already in use/ },
      'a common password': { args: ['--username', 'a', '--password-stdin'], input: 'password1', told: /too easy/ },
      'no identifier': { args: [], told: /Enter a username, an email address or a phone number/ },
    };
    for (const [what, { args, input, told }] of Object.entries(refusals))
      test(`exits with 65 for ${what}`, async () => {
        if (args.includes('taken')) await signUp(service, { username: 'taken' });
        const { code, stdout, stderr } = await runHere(['create-superuser', ...args], environment, input);
        assert.deepEqual([code, stdout], [65, '']);
        assert.match(stderr, told);
        if (input) assert.ok(!stderr.includes(input));
      });

    test('prints an expected error and its issues in JSON', async () => {
      const { code, stdout, stderr } = await runHere(['create-superuser', '--email', 'nowhere', '--json']);
      assert.deepEqual([code, stdout], [65, '']);
      const { error } = JSON.parse(stderr);
      assert.equal(error.code, 'VALIDATION');
      assert.match(error.message, /not a valid email/);
    });
  });

  describe('set-password', () => {
    for (const [field, identifier, typed] of [
      ['username', 'setter', 'SETTER'],
      ['phone', '+12025550121', '202-555-0121'],
    ] as const)
      test(`sets the password of the user of a ${field} and revokes the sessions`, async () => {
        const person = await signUp(service, { [field]: identifier, password });
        const spacious = `  ${newPassword} é "$x" `;
        const ended = await runHere(['set-password', typed, '--password-stdin'], environment, `${spacious}\r\n`);
        assert.deepEqual(ended, { code: 0, stdout: `Changed the password of user ${person.id}.\n`, stderr: '' });
        assert.equal((await person.ask('{ me { id } }')).errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
        // Keeps the spaces of the password, and removes only the final line feed.
        assert.equal(await signsIn(service, identifier, spacious), true);
        assert.equal(await signsIn(service, identifier, password), false);
      });

    test('exits with 65 for an invalid or missing password', async () => {
      await signUp(service, { username: 'refused', password });
      for (const [identifier, input, told] of [['refused', 'password1', /too easy/]] as const) {
        const { code, stdout, stderr } = await runHere(
          ['set-password', identifier, '--password-stdin'],
          environment,
          input,
        );
        assert.deepEqual([code, stdout], [65, ''], identifier);
        assert.match(stderr, told);
      }
      const withoutOne = await runHere(['set-password', 'refused']);
      assert.equal(withoutOne.code, 65);
      assert.equal(await signsIn(service, 'refused', password), true);
    });
  });

  test('unlock clears the failed attempts of an address, or of all addresses of a user', async () => {
    const person = await signUp(service, { username: 'locked', email: 'locked@a.test', phone: '+12025550131' });
    const lock = async () => {
      for (const tokenId of [person.emailToken, person.phoneToken])
        await anonymous.checkOneTimePassword(tokenId, 'WRONG');
    };
    const failureCounts = async () => (await person.me()).securityTokens.map(({ failureCount }) => failureCount);
    await lock();
    assert.deepEqual(await failureCounts(), [1, 1]);
    const one = await runHere(['unlock', 'LOCKED@a.test']);
    assert.deepEqual([one.code, one.stdout.startsWith('Cleared failed attempts for ')], [0, true]);
    assert.doesNotMatch(one.stdout, /locked@a\.test/i, 'the address is obscured');
    assert.deepEqual(await failureCounts(), [0, 1]);
    const all = await runHere(['unlock', 'locked', '--json']);
    assert.deepEqual(
      JSON.parse(all.stdout).unlocked.map(({ id }: { id: string }) => id),
      [person.emailToken, person.phoneToken],
    );
    assert.deepEqual(await failureCounts(), [0, 0]);
    for (const identifier of ['nobody@a.test', 'no identifier!']) {
      const { code, stderr } = await runHere(['unlock', identifier]);
      assert.deepEqual([code, stderr], [65, 'Not found.\n']);
    }
  });

  test('prune deletes expired rows and prints their number', async () => {
    const own = { ...environment, DATABASE_URL: await createDatabase(), ...sharedSecrets() };
    const there = await startService(own);
    const person = await signUp(there, { email: 'old@a.test' });
    await caller(there).sendOneTimePassword(person.emailToken);
    await advance(there, 8 * 86_400);
    const first = await runHere(['prune', '--json'], own);
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
    const second = await runHere(['prune'], own);
    assert.deepEqual([second.code, second.stderr], [0, '']);
    assert.match(second.stdout, /^sessions: 0\n/);
    assert.match(second.stdout, /^rateLimitEvents: 0$/m);
  });
});

describe('at a terminal', { concurrency: 2, skip: !hasTerminals() && 'needs script of util-linux' }, () => {
  test('create-superuser prompts for username and password without echo', async () => {
    const { code, screen } = await atTerminal(
      ['create-superuser'],
      [
        [/Username/, 'typist\r'],
        [/Password/, `${password}\r`],
        [/Repeat password/, `${newPassword}\r`],
        [/The passwords differ/, `${'\b'.repeat(newPassword.length)}${password}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.match(screen, /Created superuser [0-9a-f-]{36}/);
    for (const part of [password, newPassword, 'horse', 'battery']) assert.ok(!screen.includes(part), screen);
    assert.equal(await signsIn(service, 'typist', password), true);
  });

  test('create-superuser does not prompt for given values', async () => {
    const { code, screen } = await atTerminal(
      ['create-superuser', '--email', 'typist@a.test'],
      [
        [/Password/, `${password}\r`],
        [/Repeat password/, `${password}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.doesNotMatch(screen, /Username/);
    assert.equal(await signsIn(service, 'typist@a.test', password), true);
  });

  test('set-password prompts for the password', async () => {
    await signUp(service, { username: 'forgetful', password });
    const { code, screen } = await atTerminal(
      ['set-password', 'forgetful'],
      [
        [/Password/, `${newPassword}\r`],
        [/Repeat password/, `${newPassword}\r`],
      ],
    );
    assert.equal(code, 0, screen);
    assert.ok(!screen.includes(newPassword));
    assert.equal(await signsIn(service, 'forgetful', newPassword), true);
  });

  test('aborting a prompt changes nothing', async () => {
    const { code, screen } = await atTerminal(['create-superuser', '--username', 'undecided'], [[/Password/, '\x03']]);
    assert.equal(code, 1, screen);
    assert.match(screen, /Nothing was changed/);
    assert.doesNotMatch(screen, /\n\s+at /);
    assert.deepEqual(await anonymous.securityTokens('undecided'), []);
    assert.equal((await anonymous.createUser({ username: 'undecided' })).__typename, 'CreateUserSuccess');
  });
});

test('a command uses the embedded database, and fails while another process has it open', async () => {
  const embedded = { DATA_DIR: temporaryFolder() };
  const release = await acquireProcessLock(embedded.DATA_DIR);
  const { code, stdout, stderr } = await run(['migrate', '--json'], embedded);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /is open in another process/);
  assert.match(stderr, /Stop that process, or set DATABASE_URL/);
  await release();
  const made = await run(['create-superuser', '--username', 'root', '--password-stdin'], embedded, password);
  assert.deepEqual([made.code, made.stderr], [0, '']);
});

test('of several processes that open a folder with a stale lock, one succeeds', async () => {
  const folder = temporaryFolder();
  const reach = `
    const { acquireProcessLock } = await import(${JSON.stringify(compiledFile('src/database/process-lock.ts'))});
    process.on('message', () => acquireProcessLock(process.argv[1]).then(
      () => process.send('taken'),
      (error) => process.send(error.name),
    ));
    process.send('ready');`;
  const spawnOne = () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', reach, folder], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    after(() => child.kill('SIGKILL'));
    return child;
  };
  const hear = (child: ChildProcess) => new Promise((resolve) => child.once('message', resolve));
  let many: ChildProcess[] = [];
  for (let round = 0; round < 8; round += 1) {
    const added = Array.from({ length: 4 - many.length }, spawnOne);
    await Promise.all(added.map(hear));
    many.push(...added);
    const heard = Promise.all(many.map(hear));
    for (const child of many) child.send('now');
    const outcomes = await heard;
    const refused = 'DatabaseInUseError';
    assert.deepEqual(outcomes.toSorted(), [refused, refused, refused, 'taken']);
    const holder = many[outcomes.indexOf('taken')]!;
    const exited = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await exited;
    // A rejected process tries again.
    many = many.filter((child) => child !== holder);
  }
});

function hasTerminals(): boolean {
  return /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');
}

/** Runs a command on a terminal of its own, and types each answer after its prompt. */
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
    // The prompt appears before it reads keys.
    setTimeout(() => child.stdin.write(next[1]), 200);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  assert.deepEqual(left, [], `not asked for: ${screen}`);
  return { code, screen };
}
