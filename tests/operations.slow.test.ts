/** Runs the steps of docs/operations.md as documented. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { expectMember, oneTimePasswordSentTo, operations } from './support/client.js';
import { programsOfDebian, startDatabaseServer } from './support/database-server.js';
import { isHere, section, table } from './support/operations-guide.js';
import { connect } from './support/replicas.js';
import { root } from './support/root.js';
import {
  createDatabase,
  runToExit,
  type Service,
  sharedSecrets,
  spawnService,
  startService,
  temporaryFolder,
} from './support/service.js';

const password = 'correct horse battery';
const folder = temporaryFolder();

/** A shell that runs the blocks of a section in order. */
function openShell(heading: string, given: Record<string, string>) {
  const blocks = [...section(heading).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  const state = join(mkdtempSync(join(folder, 'shell-')), 'environment');
  // Links the build of this project as an installed package.
  const installed = `npx() { shift; node '${join(root, 'dist/cli.js')}' "$@"; }`;
  let environment: Record<string, string> = { PATH: process.env.PATH!, NODE_ENV: 'test', ...given };
  const run = (block: string, cwd = folder) => {
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-c', `set -aeuo pipefail\n${installed}\n${block}\nenv -0 > '${state}'`],
      { cwd, env: environment, encoding: 'utf8' },
    );
    if (status === 0)
      environment = Object.fromEntries(
        readFileSync(state, 'utf8')
          .split('\0')
          .filter((pair) => /^\w+=/.test(pair))
          .map((pair) => {
            const end = pair.indexOf('=');
            return [pair.slice(0, end), pair.slice(end + 1)];
          }),
      );
    return { status, stdout, stderr };
  };
  return {
    blocks,
    variable: (name: string) => environment[name]!,
    /** Reads the output so far. */
    step(number: number, cwd?: string): string {
      const { status, stdout, stderr } = run(blocks[number]!, cwd);
      assert.equal(status, 0, `${blocks[number]}${stderr}`);
      return stdout;
    },
    /** Waits for the exit status. */
    attempt: (number: number) => run(blocks[number]!).status,
  };
}

const programs = programsOfDebian();
const withPostgres = {
  skip:
    !(
      programs &&
      ['postgres', 'pg_dump', 'pg_restore', 'psql', 'createdb'].every((name) => existsSync(join(programs, name)))
    ) && 'not on this machine: pg_dump and a server of its version',
};

/** Creates a database on a server of the same version as the programs. */
async function startServer(): Promise<{ DATABASE_URL: string; RESTORED_URL: string; PATH: string }> {
  const { url } = await startDatabaseServer({ programs: programs! });
  const path = `${programs}:${process.env.PATH}`;
  const { query } = await connect(url);
  await query('create database identity');
  const at = (name: string) => Object.assign(new URL(url), { pathname: name }).href;
  return { DATABASE_URL: at('identity'), RESTORED_URL: at('identity_restored'), PATH: path };
}

test(
  'a backup is restored by the steps of the document, and nothing that was ended since lives again',
  withPostgres,
  async () => {
    const secrets = sharedSecrets();
    const { DATABASE_URL, RESTORED_URL, PATH } = await startServer();
    const before = await spawnService({ ...secrets, DATABASE_URL, LOG_LEVEL: 'info' });
    const alice = expectMember(
      await operations(before).createUser({ email: 'alice@example.com', password }),
      'CreateUserSuccess',
    );
    const bob = expectMember(await operations(before).createUser({ username: 'bob', password }), 'CreateUserSuccess');
    const carol = expectMember(
      await operations(before).createUser({ username: 'carol', password }),
      'CreateUserSuccess',
    );
    const squatted = expectMember(
      await operations(before).createUser({ email: 'dora@example.com', password }),
      'CreateUserSuccess',
    );
    const tokenId: string = alice.user.securityTokens[0]!.id;
    const byAlice = operations(before, { token: alice.tokens!.accessToken });
    await byAlice.sendOneTimePassword(tokenId, 'VERIFICATION');
    const spent = await oneTimePasswordSentTo(before, 'alice@example.com');

    const backup = openShell('Backup', { DATABASE_URL, PATH });
    assert.equal(backup.blocks.length, 1);
    backup.step(0);

    const proved = await byAlice.checkOneTimePassword(tokenId, spent, 'VERIFICATION');
    assert.equal(proved.__typename, 'CheckOneTimePasswordSuccess');
    const changed = await byAlice.changePassword({ currentPassword: password, newPassword: 'nine drawers of buttons' });
    assert.equal(changed.__typename, 'ChangePasswordSuccess');
    const dorasTokenId: string = squatted.user.securityTokens[0]!.id;
    await operations(before).sendOneTimePassword(dorasTokenId, 'AUTHENTICATION');
    const doras = await oneTimePasswordSentTo(before, 'dora@example.com');
    const arrived = await operations(before).checkOneTimePassword(dorasTokenId, doras);
    assert.equal(arrived.__typename, 'CheckOneTimePasswordSuccess');
    await operations(before).signOut(carol.tokens!.refreshToken);
    await operations(before, { token: bob.tokens!.accessToken }).deleteUser();
    await before.kill('SIGTERM');
    const LOG = join(folder, 'service.log');
    writeFileSync(LOG, before.output());

    const restoring = openShell('Restoring', { DATABASE_URL, RESTORED_URL, LOG, PATH, DUMP: backup.variable('DUMP') });
    assert.equal(restoring.blocks.length, 4);
    const printed = restoring.blocks.map((_, number) => restoring.step(number));
    assert.match(printed[3]!, new RegExp(`"USER_DELETED".*"subjectId":"${bob.user.id}"`));

    const after = await startService({ ...secrets, DATABASE_URL: RESTORED_URL });
    for (const { tokens } of [alice, bob, carol])
      await assert.rejects(operations(after, { token: tokens!.accessToken }).me(), /UNAUTHENTICATED/);
    const refreshed = await operations(after).refreshSession(carol.tokens!.refreshToken);
    assert.equal(refreshed.__typename, 'InvalidSessionError');
    const signIn = async (username: Record<string, string>) =>
      (await operations(after).authenticate({ ...username, password })).__typename;
    assert.equal(await signIn({ username: 'carol' }), 'AuthenticateSuccess');
    // The password that the user has changed, perhaps because another person knew it.
    assert.equal(await signIn({ email: 'alice@example.com' }), 'InvalidCredentialsError');
    // The password of the person who had signed up with the address before its owner.
    assert.equal(await signIn({ email: 'dora@example.com' }), 'InvalidCredentialsError');
    const { id } = (await operations(after).securityTokens('alice@example.com'))[0]!;
    assert.equal(id, tokenId);
    for (const purpose of ['VERIFICATION', 'AUTHENTICATION'] as const)
      await operations(after)
        .checkOneTimePassword(tokenId, spent, purpose)
        .then(
          ({ __typename }) => assert.equal(__typename, 'InvalidOneTimePasswordError'),
          (error) => assert.match(String(error), /UNAUTHENTICATED/),
        );
    const { query } = await connect(RESTORED_URL);
    assert.deepEqual(await query('select code_digest from one_time_passwords where code_digest is not null'), []);
  },
);

test('the documented step deletes expired rows', async () => {
  const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
  const { query } = await connect(environment.DATABASE_URL);
  await query("insert into rate_limit_events (key, occurred_at) values ('x', now() - interval '2 days')");
  assert.match(openShell('Once a day', environment).step(0), /^rateLimitEvents: 1$/m);
  assert.deepEqual(await query('select key from rate_limit_events'), []);
});

test('the documented step sets the time limits of a role', withPostgres, async () => {
  const { DATABASE_URL, PATH } = await startServer();
  openShell('More than one process', { DATABASE_URL, PATH }).step(0);
  const { query } = await connect(DATABASE_URL);
  const limits = table(section('Time limits'))
    .slice(0, 3)
    .map(([, limit]) => limit!.replace(' ', ''));
  const [row] = await query(
    "select array[current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')] as set",
  );
  assert.deepEqual(row.set, limits);
});

/** Restarts two services in turn with the environment of the shell. Both answer meanwhile. */
async function startPair(environment: Record<string, string>, answers: (service: Service) => Promise<void>) {
  const pair = [await startService(environment), await startService(environment)];
  return {
    pair,
    async restart(changed: Record<string, string>) {
      for (const number of [0, 1]) {
        await pair[number]!.stop();
        pair[number] = await startService({ ...environment, ...changed });
        for (const service of pair) await answers(service);
      }
    },
  };
}

test('the documented steps replace SECRET_KEY, and sessions, IDs, one-time passwords and counts remain valid', async () => {
  const DATABASE_URL = await createDatabase();
  const secrets = sharedSecrets();
  const environment = { ...secrets, DATABASE_URL };
  let token = '';
  const { pair, restart } = await startPair(environment, async (service) => {
    assert.equal((await operations(service, { token }).me()).email, 'alice@example.com');
  });
  const { user, tokens } = expectMember(
    await operations(pair[0]!).createUser({ email: 'alice@example.com', password }),
    'CreateUserSuccess',
  );
  token = tokens!.accessToken;
  const tokenId: string = user.securityTokens[0]!.id;
  await operations(pair[0]!, { token }).sendOneTimePassword(tokenId, 'VERIFICATION');
  const oneTimePassword = await oneTimePasswordSentTo(pair[0]!, 'alice@example.com');
  await operations(pair[0]!, { token }).checkOneTimePassword(tokenId, 'WRONG234', 'VERIFICATION');

  const shell = openShell('Replacing SECRET_KEY', { ...environment, SECRET_KEY: secrets.SECRET_KEY! });
  const now = () => ({ SECRET_KEY: shell.variable('SECRET_KEY') });
  shell.step(0);
  await restart(now());
  // Too early: the old key still encrypts.
  assert.equal(shell.attempt(2), 78);
  shell.step(1);
  await restart(now());
  assert.match(shell.step(2), /up to date/);
  shell.step(3);
  assert.equal(shell.blocks.length, 5);
  assert.doesNotMatch(now().SECRET_KEY, /,/);
  assert.notEqual(now().SECRET_KEY, secrets.SECRET_KEY);
  await restart(now());

  const { id } = (await operations(pair[1]!).securityTokens('alice@example.com'))[0]!;
  assert.equal(id, tokenId);
  const byAlice = operations(pair[1]!, { token });
  const { query } = await connect(DATABASE_URL);
  assert.deepEqual(await query('select failure_count from one_time_passwords'), [{ failure_count: 1 }]);
  const proved = await byAlice.checkOneTimePassword(tokenId, oneTimePassword, 'VERIFICATION');
  assert.equal(proved.__typename, 'CheckOneTimePasswordSuccess');
  assert.equal((await operations(pair[1]!).refreshSession(tokens!.refreshToken)).__typename, 'RefreshSessionSuccess');
  assert.equal((await runToExit(environment)).code, 78);
});

test('the documented step replaces the signing keys: access tokens are rejected, refresh tokens remain valid', {
  skip: !isHere('psql') && 'not on this machine: psql',
}, async () => {
  const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
  const before = await startService(environment);
  const { tokens } = expectMember(
    await operations(before).createUser({ username: 'alice', password }),
    'CreateUserSuccess',
  );
  openShell('Replacing SECRET_KEY', environment).step(4);
  await before.stop();
  const after = await startService(environment);
  await assert.rejects(operations(after, { token: tokens!.accessToken }).me(), /UNAUTHENTICATED/);
  const refreshed = await operations(after).refreshSession(tokens!.refreshToken);
  assert.equal(refreshed.__typename, 'RefreshSessionSuccess');
  assert.equal((await operations(after, { token: refreshed.tokens.accessToken }).me()).username, 'alice');
});

test('the documented steps replace PASSWORD_PEPPER', {
  skip: !isHere('psql') && 'not on this machine: psql',
}, async () => {
  const DATABASE_URL = await createDatabase();
  const environment = { ...sharedSecrets(), DATABASE_URL };
  const signIn = async (service: Service, username: string) =>
    assert.equal((await operations(service).authenticate({ username, password })).__typename, 'AuthenticateSuccess');
  const { pair, restart } = await startPair(environment, (service) => signIn(service, 'alice'));
  for (const username of ['alice', 'bob']) await operations(pair[0]!).createUser({ username, password });

  const shell = openShell('Replacing PASSWORD_PEPPER', environment);
  const now = () => ({ PASSWORD_PEPPER: shell.variable('PASSWORD_PEPPER') });
  shell.step(0);
  await restart(now());
  shell.step(1);
  await restart(now());
  const lines = shell.step(2).trim().split('\n');
  const [newest, oldest] = lines.slice(-2) as [string, string];
  assert.deepEqual(lines.slice(0, -2).sort(), [`${newest}|1`, `${oldest}|1`].sort());
  await signIn(pair[1]!, 'bob');
  assert.deepEqual(shell.step(2).trim().split('\n'), [`${newest}|2`, newest, oldest]);
  assert.equal(shell.blocks.length, 3);
});

test('the documented steps start the previous version on a database of a newer version', {
  skip: !isHere('psql') && 'not on this machine: psql',
}, async () => {
  const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
  const { query } = await connect(environment.DATABASE_URL);
  await query("insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)");
  assert.equal((await runToExit(environment)).code, 1);
  const shell = openShell('Upgrade, and going back', environment);
  assert.equal(shell.blocks.length, 2);
  shell.step(0, root);
  const before = await startService(environment);
  await before.stop();
  shell.step(1);
  assert.equal((await runToExit(environment)).code, 1);
});

test('the documented steps back up and restore the embedded database', async () => {
  const DATA_DIR = join(mkdtempSync(join(folder, 'embedded-')), 'data');
  mkdirSync(DATA_DIR);
  const environment = { DATA_DIR, PUBLIC_URL: 'http://localhost:4000' };
  const [backup, restore] = [0, 1];
  const shell = openShell('The embedded database', environment);
  assert.equal(shell.blocks.length, 2);
  const first = await spawnService(environment);
  await operations(first).createUser({ username: 'alice', password });
  await first.kill('SIGTERM');
  shell.step(backup);
  writeFileSync(join(DATA_DIR, 'secret-key'), 'lost');
  assert.equal((await runToExit(environment)).code, 78);
  shell.step(restore);
  const second = await spawnService(environment);
  const { __typename } = await operations(second).authenticate({ username: 'alice', password });
  assert.equal(__typename, 'AuthenticateSuccess');
});
