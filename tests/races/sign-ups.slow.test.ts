/**
 * Concurrent sign-ups for one identifier, the first superuser, and the first start, over two
 * processes.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { expectMember, operations, send } from '../support/client.js';
import { atOnce, connect, startReplicas, tally } from '../support/replicas.js';
import { createDatabase, spawnService, temporaryFolder } from '../support/service.js';

const replicas = await startReplicas();
const [first, second] = replicas.both;

/**
 * Fifty concurrent sign-ups with spellings of one identifier and distinct other values. One
 * succeeds.
 */
async function raceFor(
  field: 'username' | 'email' | 'phone',
  spellings: string[],
  beside: (index: number) => Record<string, string>,
) {
  const before = await replicas.query('select id from users');
  const answers = await atOnce(replicas, 50, (service, index) =>
    operations(service).createUser({ [field]: spellings[index % spellings.length], ...beside(index) }),
  );
  assert.deepEqual(tally(answers), { CreateUserSuccess: 1, ValidationError: 49 });
  for (const { issues } of answers.filter(({ __typename }) => __typename === 'ValidationError'))
    assert.deepEqual(issues, [{ field, code: 'TAKEN' }]);

  const added = await replicas.query('select id from users where not id = any($1)', [before.map(({ id }) => id)]);
  const user = answers.find(({ __typename }) => __typename === 'CreateUserSuccess')!.user!;
  assert.deepEqual(added, [{ id: user.id }]);
  return user;
}

async function assertNothingOrphaned() {
  const [counts] = await replicas.query(`select
    (select count(*) from users where email is not null)::int as emails,
    (select count(*) from users where phone is not null)::int as phones,
    (select count(*) from security_tokens where kind = 'email')::int as "emailTokens",
    (select count(*) from security_tokens where kind = 'phone')::int as "phoneTokens",
    (select count(*) from users)::int as users,
    (select count(*) from sessions)::int as sessions`);
  assert.equal(counts.emailTokens, counts.emails);
  assert.equal(counts.phoneTokens, counts.phones);
  assert.equal(counts.sessions, counts.users, 'each user has the session of the sign-up');
}

test('50 concurrent sign-ups for one username in any case, width and composition create one user', async () => {
  const user = await raceFor(
    'username',
    [
      'zoë-admin',
      'ZOË-ADMIN',
      'Zoë-Admin',
      'zoe\u0308-admin',
      'ZOE\u0308-ADMIN',
      'ｚｏë-ａｄｍｉｎ',
      'ＺＯＥ\u0308-ＡＤＭＩＮ',
      '𝔃𝓸ë-admin',
    ],
    (index) => ({ email: `${index}-${randomUUID()}@example.com`, password: 'correct horse battery' }),
  );
  assert.equal(user.securityTokens.length, 1);
  await assertNothingOrphaned();
});

test('50 concurrent sign-ups for one email in any case and domain form create one user with one security token', async () => {
  const user = await raceFor(
    'email',
    [
      'zoe@bücher.example',
      'ZOE@BÜCHER.EXAMPLE',
      'Zoe@bu\u0308cher.example',
      'zoe@xn--bcher-kva.example',
      'zoE@Ｂücher.example',
    ],
    () => ({}),
  );
  assert.equal(user.securityTokens.length, 1);
  await assertNothingOrphaned();
});

test('50 concurrent sign-ups for one phone number in any format create one user with one security token', async () => {
  const user = await raceFor(
    'phone',
    ['+12015550123', '(201) 555-0123', '201.555.0123', '+1 201-555-0123', '1 201 555 0123', '＋１２０１５５５０１２３'],
    (index) => ({ username: `phone-${index}` }),
  );
  assert.equal(user.phone, '+12015550123');
  assert.equal(user.securityTokens.length, 1);
  await assertNothingOrphaned();
});

test('50 concurrent sign-ups with the same username, email and phone report all three as taken', async () => {
  const everything = { username: 'carol', email: 'carol@example.com', phone: '+12015550124' };
  const answers = await atOnce(replicas, 50, (service) => operations(service).createUser(everything));
  assert.deepEqual(tally(answers), { CreateUserSuccess: 1, ValidationError: 49 });
  for (const { issues } of answers.filter(({ __typename }) => __typename === 'ValidationError'))
    assert.deepEqual(issues, [
      { field: 'username', code: 'TAKEN' },
      { field: 'email', code: 'TAKEN' },
      { field: 'phone', code: 'TAKEN' },
    ]);
  await assertNothingOrphaned();
});

test('concurrent sign-ups with each other’s identifiers all get a response', async () => {
  const wanted = (index: number) => ({
    username: `cross-${index % 3}`,
    email: `cross-${(index + 1) % 4}@example.com`,
    phone: `+1201555020${(index + 2) % 5}`,
  });
  const answers = await atOnce(replicas, 60, (service, index) => operations(service).createUser(wanted(index)));
  const { CreateUserSuccess: made = 0, ValidationError: refused = 0 } = tally(answers);
  assert.equal(made + refused, 60);
  assert.ok(made >= 1 && made <= 3);
  for (const { issues } of answers.filter(({ __typename }) => __typename === 'ValidationError'))
    assert.ok(issues!.every(({ code }) => code === 'TAKEN'));
  await assertNothingOrphaned();
});

test('two simultaneous first starts on one empty database without secrets become one service', async () => {
  const url = await createDatabase('template template0');
  // Each creates missing secrets, applies missing migrations, and creates the keys.
  const environment = { DATABASE_URL: url, DATA_DIR: temporaryFolder() };
  const both = await Promise.all([spawnService(environment), spawnService(environment)]);
  const { query } = await connect(url);
  assert.deepEqual(await query('select purpose, count(*)::int from keys group by purpose order by purpose'), [
    { purpose: 'access-token', count: 1 },
    { purpose: 'root', count: 1 },
  ]);

  const [one, other] = both;
  for (const [index, [maker, taker]] of [[one, other] as const, [other, one] as const].entries()) {
    const email = `user-${index}@example.com`;
    const { user, tokens } = expectMember(
      await operations(maker).createUser({ email, password: 'correct horse battery' }),
      'CreateUserSuccess',
    );
    assert.equal((await operations(taker, { token: tokens!.accessToken }).me()).id, user.id);
    const { id } = (await operations(taker).securityTokens(email))[0]!;
    assert.equal(id, user.securityTokens[0]!.id);
    const { __typename } = await operations(taker).authenticate({ email, password: 'correct horse battery' });
    assert.equal(__typename, 'AuthenticateSuccess');
    assert.deepEqual(await operations(taker).signOut(tokens!.refreshToken), { signedOut: true });
    const { errors } = await send(maker, '{ me { id } }', {}, { token: tokens!.accessToken });
    assert.equal(errors?.[0]?.extensions.code, 'UNAUTHENTICATED', 'ended by one, ended for both');
  }
  const keys = await Promise.all(
    both.map(async (service) => (await fetch(`${service.url}/.well-known/jwks.json`)).json()),
  );
  assert.deepEqual(keys[0], keys[1]);
});

test('a user created by one process is visible to the other immediately', async () => {
  for (const [maker, asker] of [
    [first, second],
    [second, first],
  ] as const) {
    const username = `user-${randomUUID()}`;
    await operations(maker).createUser({ username });
    const again = await operations(asker).createUser({ username: username.toUpperCase() });
    assert.deepEqual(again.issues, [{ field: 'username', code: 'TAKEN' }]);
  }
});
