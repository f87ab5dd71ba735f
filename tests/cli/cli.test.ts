/** Every command and every exit code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { outboxMessages } from '../../src/database/schema.js';
import { expectMember } from '../support/client.js';
import { commands, end, ready, start, startCommands } from '../support/commands.js';
import { withClient } from '../support/django.js';
import { caller, password, signsIn, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { root } from '../support/root.js';
import { createDatabase } from '../support/service.js';

const { environment, service, run, runHere } = await startCommands();
const anonymous = caller(service);
const newPassword = 'another horse battery';

test('--help lists every command, the exit codes and the sources of configuration', async () => {
  const { code, stdout } = await run(['--help'], {});
  assert.equal(code, 0);
  for (const command of commands) assert.match(stdout, new RegExp(`^  ${command}\\b.* [a-z]`, 'm'));
  for (const told of ['environment variables', 'Exit codes', ' 1 ', ' 65 ', ' 78 ']) assert.ok(stdout.includes(told));
});

test('print-schema prints schema.graphql under any configuration', async () => {
  const { code, stdout } = await run(['print-schema'], { PORT: 'none' });
  assert.equal(code, 0);
  assert.equal(stdout, readFileSync(join(root, 'schema.graphql'), 'utf8'));
});

test('an invalid configuration exits with 78 and prints its faults in JSON', async () => {
  const { code, stdout, stderr } = await run(['prune', '--json'], { PORT: 'none' });
  assert.deepEqual([code, stdout], [78, '']);
  assert.deepEqual(JSON.parse(stderr), {
    error: { code: 'CONFIGURATION', faults: ['PORT must be a whole number'] },
  });
});

test('an unreachable database exits with 1 without printing its password', async () => {
  const url = `postgres://flex:canary@127.0.0.1:${await freePort()}/none`;
  const { code, stdout, stderr } = await run(['unlock', 'alice'], { ...environment, DATABASE_URL: url });
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^The database is unavailable: /);
  assert.doesNotMatch(stderr, /canary/);
});

test('a former variable name causes a warning, but none with --json', async () => {
  const DATABASE_URL = `postgres://flex@127.0.0.1:${await freePort()}/none`;
  const former = { ...environment, DATABASE_URL, AUDIT_DAYS: '7' };
  const { stderr } = await runHere(['prune'], former);
  assert.match(stderr, /^Warning: AUDIT_DAYS is now AUDIT_RETENTION_DAYS\. /);
  const inJson = await runHere(['prune', '--json'], former);
  assert.equal(JSON.parse(inJson.stderr).error.code, 'SERVICE_UNAVAILABLE');
});

test('an unknown user exits with 65', async () => {
  const { code, stdout, stderr } = await run(['set-password', 'nobody', '--password-stdin'], environment, newPassword);
  assert.deepEqual([code, stdout], [65, '']);
  assert.match(stderr, /Not found/);
});

test('migrate prepares an empty database', async () => {
  const url = await createDatabase('template template0');
  const { code, stdout, stderr } = await run(['migrate', '--json'], { ...environment, DATABASE_URL: url });
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), { migrated: true });
  await withClient(url, async (client) => {
    const { rows } = await client.query(
      'select (select count(*)::int from users) as users, (select count(*)::int from keys) as keys',
    );
    assert.deepEqual(rows, [{ users: 0, keys: 2 }]);
  });
});

test('create-superuser creates a superuser with the password from standard input', async () => {
  const identifiers = ['--username', 'Root', '--email', 'Root@A.test', '--phone', '(202) 555-0111'];
  const ended = await run(
    ['create-superuser', ...identifiers, '--password-stdin', '--json'],
    environment,
    `${password}\n`,
  );
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  const { id, ...made } = JSON.parse(ended.stdout);
  assert.deepEqual(made, { username: 'Root', pendingEmail: 'Root@a.test', pendingPhone: '+12025550111' });
  assert.ok(!ended.stdout.includes(password));
  const { user, tokens } = expectMember(
    await anonymous.authenticate({ username: 'root', password }),
    'AuthenticateSuccess',
  );
  assert.deepEqual([user.id, user.isSuperuser, user.isStaff, user.isActive], [id, true, true, true]);
  assert.ok(tokens);
});

test('set-password sets the password of the user of an email and revokes the sessions', async () => {
  const [identifier, typed] = ['setter@a.test', 'Setter@A.test'];
  const person = await signUp(service, { email: identifier, password });
  const spacious = `  ${newPassword} é "$x" `;
  const ended = await run(['set-password', typed, '--password-stdin'], environment, `${spacious}\r\n`);
  assert.deepEqual(ended, { code: 0, stdout: `Changed the password of user ${person.id}.\n`, stderr: '' });
  assert.equal((await person.ask('{ me { id } }')).errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
  // Keeps the spaces of the password, and removes only the final line feed.
  assert.equal(await signsIn(service, identifier, spacious), true);
  assert.equal(await signsIn(service, identifier, password), false);
});

test('unlock clears the failed attempts of every address of a user', async () => {
  const person = await signUp(service, { username: 'locked', email: 'locked@a.test', phone: '+12025550131' });
  const tokens = [person.emailToken, person.phoneToken];
  for (const tokenId of tokens) await anonymous.checkOneTimePassword(tokenId, 'WRONG');
  const { code, stdout } = await run(['unlock', 'locked', '--json']);
  assert.equal(code, 0);
  assert.deepEqual(
    JSON.parse(stdout).unlocked.map(({ id }: { id: string }) => id),
    tokens,
  );
  const { securityTokens } = await person.me();
  assert.deepEqual(
    securityTokens.map(({ failureCount }) => failureCount),
    [0, 0],
  );
});

test('prune deletes expired rows and prints their number', async () => {
  const person = await signUp(service, { email: 'old@a.test' });
  await anonymous.sendOneTimePassword(person.emailToken);
  // Waits for queued rows, because a later write would survive the pruning.
  await service.app.outbox();
  await service.app.db.execute("update outbox_messages set sent_at = sent_at - interval '8 days'");
  const { code, stdout } = await run(['prune', '--json']);
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).deleted.outboxMessages, 1);
  assert.equal(await service.app.db.$count(outboxMessages), 0);
});

test('serve starts the service, and a signal stops it', async () => {
  const port = await freePort();
  const child = start(['serve'], { ...environment, PORT: String(port) });
  const ended = end(child);
  await ready(port);
  const { __typename } = await caller({ url: `http://127.0.0.1:${port}` }).createUser({ username: 'served' });
  assert.equal(__typename, 'CreateUserSuccess');
  child.kill('SIGTERM');
  assert.equal((await ended).code, 0);
});
