/** Starts with other secrets than those of the database. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { expectMember, operations, outbox } from '../support/client.js';
import { connect } from '../support/replicas.js';
import { createDatabase, runToExit, sharedSecrets, startService } from '../support/service.js';

const password = 'correct horse battery';
const alice = { username: 'alice', email: 'alice@example.com' };
const secret = () => randomBytes(32).toString('base64');

test('the service does not start with another SECRET_KEY until the previous key is configured, too', async () => {
  const secrets: Record<string, string> = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
  const replacement = secret();
  const before = await startService(secrets);
  const { user, tokens } = expectMember(
    await operations(before).createUser({ ...alice, password }),
    'CreateUserSuccess',
  );
  const tokenId: string = user.securityTokens[0]!.id;
  const superuser = operations(before, { headers: { 'x-bootstrap-secret': secrets.BOOTSTRAP_SECRET! } });
  await superuser.createSuperuser({ username: 'root', password });
  const root = expectMember(
    await operations(before).authenticate({ username: 'root', password }),
    'AuthenticateSuccess',
  );
  await operations(before).sendOneTimePassword(tokenId);
  const messages = await outbox(before);
  assert.equal(messages.length, 1);
  const owner = operations(before, { token: tokens!.accessToken });
  const own = await owner.checkOneTimePassword(tokenId, messages[0]!.oneTimePassword);
  expectMember(own, 'CheckOneTimePasswordSuccess');
  const { oneTimePassword } = expectMember(
    await operations(before, { token: root.tokens.accessToken }).generateOneTimePassword(tokenId),
    'GenerateOneTimePasswordSuccess',
  );
  await operations(before).checkOneTimePassword(tokenId, 'WRONG234');
  const { query, advance } = await connect(secrets.DATABASE_URL!);
  await query('update one_time_passwords set failure_count = 7, retry_at = null');
  const published = await (await fetch(`${before.url}/.well-known/jwks.json`)).json();
  await before.stop();

  const keys = await query('select * from keys order by id');
  const refused = await runToExit({ ...secrets, SECRET_KEY: replacement });
  assert.equal(refused.code, 78);
  assert.match(refused.stdout + refused.stderr, /encrypted with SECRET_KEY [0-9a-f]{8}, which is not configured/);
  assert.deepEqual(await query('select * from keys order by id'), keys);

  const during = await startService({ ...secrets, SECRET_KEY: `${replacement},${secrets.SECRET_KEY}` });
  assert.equal((await operations(during, { token: tokens!.accessToken }).me()).username, 'alice');
  assert.deepEqual(await outbox(during), messages);
  await during.stop();

  const after = await startService({ ...secrets, SECRET_KEY: replacement });
  assert.deepEqual(await outbox(after), messages, 'a message outlives the SECRET_KEY of its time');
  assert.deepEqual(await (await fetch(`${after.url}/.well-known/jwks.json`)).json(), published);
  assert.equal((await operations(after, { token: tokens!.accessToken }).me()).username, 'alice');
  assert.equal((await operations(after).refreshSession(tokens!.refreshToken)).__typename, 'RefreshSessionSuccess');
  assert.equal(
    (await operations(after).authenticate({ username: 'alice', password })).__typename,
    'AuthenticateSuccess',
  );
  const { id } = (await operations(after).securityTokens(alice.email))[0]!;
  assert.equal(id, tokenId);
  await operations(after).checkOneTimePassword(tokenId, 'WRONG234');
  const early = await operations(after).checkOneTimePassword(tokenId, oneTimePassword);
  assert.deepEqual([early.__typename, early.failureCount], ['TimeoutError', 8]);
  await advance(128);
  assert.equal(
    (await operations(after).checkOneTimePassword(tokenId, oneTimePassword)).__typename,
    'CheckOneTimePasswordSuccess',
  );
  assert.deepEqual(await operations(after).signOut(root.tokens.refreshToken), { signedOut: true });
});

test('a sign-in rehashes the password with the new PASSWORD_PEPPER, and then the old pepper can be removed', async () => {
  const secrets: Record<string, string> = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
  const replacement = secret();
  const signIn = async (PASSWORD_PEPPER: string, usernames: string[]) => {
    const service = await startService({ ...secrets, PASSWORD_PEPPER });
    const answers: string[] = [];
    for (const username of usernames)
      answers.push((await operations(service).authenticate({ username, password })).__typename);
    await service.stop();
    return answers;
  };
  const before = await startService(secrets);
  for (const username of ['alice', 'bob']) await operations(before).createUser({ username, password });
  await before.stop();
  const { query } = await connect(secrets.DATABASE_URL!);
  const hashOf = async (username: string): Promise<string> =>
    (await query('select password_hash from users where username = $1', [username]))[0].password_hash;
  const [ofAlice, ofBob] = [await hashOf('alice'), await hashOf('bob')];

  assert.deepEqual(await signIn(`${replacement},${secrets.PASSWORD_PEPPER}`, ['alice', 'alice']), [
    'AuthenticateSuccess',
    'AuthenticateSuccess',
  ]);
  assert.notEqual(await hashOf('alice'), ofAlice);
  assert.equal(await hashOf('bob'), ofBob);
  assert.deepEqual(await signIn(replacement, ['alice', 'bob']), ['AuthenticateSuccess', 'InvalidCredentialsError']);
});
