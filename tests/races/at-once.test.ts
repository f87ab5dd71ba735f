/** One race of each kind over two processes. The slow files of this folder contain the others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations, outbox, send } from '../support/client.js';
import { type Caller, caller, password, securityTokenOf, signUp } from '../support/people.js';
import { atOnce, startReplicas, tally } from '../support/replicas.js';

const replicas = await startReplicas();
const [first, second] = replicas.both;
const wrong = 'WRONG234';

/** Fails until the wait exceeds the duration of the following steps. */
async function failFiveTimes(fail: (service: Caller) => Promise<{ __typename: string }>, expected: string) {
  for (let failure = 0; failure < 5; failure += 1) {
    const answer = await fail(caller(replicas.both[failure % 2]!));
    assert.equal(answer.__typename, expected);
    await replicas.advance(2 ** failure);
  }
}

interface Attempt {
  __typename: string;
  failureCount?: number | null | undefined;
  retryAt?: string | undefined;
}

/** @param answers to 100 concurrent attempts, all wrong */
function assertOneEvaluated(answers: Attempt[], member: string) {
  assert.deepEqual(tally(answers), { [member]: 1, TimeoutError: 99 });
  const timeouts = answers.filter(({ __typename }) => __typename === 'TimeoutError');
  assert.deepEqual([...new Set(timeouts.map(({ failureCount }) => failureCount))], [6]);
  assert.equal(new Set(timeouts.map(({ retryAt }) => retryAt)).size, 1, 'both processes name the same instant');
}

for (const [whose, makeToken] of [
  ['of a user', async () => (await signUp(first, { email: 'guessed@example.com' })).emailToken],
  ['that no user has', () => securityTokenOf(first, 'unknown@example.com')],
] as const)
  test(`evaluates one of 100 concurrent wrong one-time passwords for an address ${whose}`, async () => {
    const tokenId = await makeToken();
    await failFiveTimes((service) => service.checkOneTimePassword(tokenId, wrong), 'InvalidOneTimePasswordError');
    const answers = await atOnce(replicas, 100, (service) => operations(service).checkOneTimePassword(tokenId, wrong));
    assertOneEvaluated(answers, 'InvalidOneTimePasswordError');
    const [{ failure_count: counted }] = await replicas.query(
      'select failure_count from one_time_passwords where token_id = $1',
      [tokenId],
    );
    assert.equal(counted, 6);
  });

test('opens one session for 100 concurrent uses of the right one-time password', async () => {
  const email = 'right@example.com';
  const owner = await signUp(first, { email });
  await operations(first).sendOneTimePassword(owner.emailToken);
  const { oneTimePassword } = (await outbox(first)).find(({ to }) => to === email)!;
  const answers = await atOnce(replicas, 100, (service) =>
    operations(service).checkOneTimePassword(owner.emailToken, oneTimePassword),
  );
  const { CheckOneTimePasswordSuccess: successes, ...others } = tally(answers);
  assert.equal(successes, 1);
  for (const member of Object.keys(others)) assert.match(member, /^(TimeoutError|InvalidOneTimePasswordError)$/);
  const sessions = await replicas.query(
    "select from sessions where user_id = $1 and authentication_methods = '{EMAIL_ONE_TIME_PASSWORD}'",
    [owner.id],
  );
  assert.equal(sessions.length, 1);
});

test('sends one message for 50 concurrent sends', async () => {
  const email = 'sent@example.com';
  const { emailToken } = await signUp(first, { email });
  const answers = await atOnce(replicas, 50, (service) => operations(service).sendOneTimePassword(emailToken));
  assert.deepEqual(tally(answers), { SendOneTimePasswordSuccess: 1, TimeoutError: 49 });
  for (const answer of answers.filter(({ __typename }) => __typename === 'TimeoutError')) {
    assert.equal(answer.failureCount, null);
    assert.ok(answer.retryAfterSeconds >= 1 && answer.retryAfterSeconds <= 30);
  }
  // Asks each process, so both have finished their work.
  await outbox(first);
  assert.equal((await outbox(second)).filter(({ to }) => to === email).length, 1);
});

test('evaluates one of 100 concurrent wrong passwords', async () => {
  const username = 'guessed';
  await signUp(first, { username, password });
  const guess = (service: Pick<Caller, 'authenticate'>) => service.authenticate({ username, password: 'wrong horse' });
  await failFiveTimes(guess, 'InvalidCredentialsError');
  assertOneEvaluated(await atOnce(replicas, 100, (service) => guess(operations(service))), 'InvalidCredentialsError');
});

test('gives a username to one of 50 concurrent sign-ups in several spellings', async () => {
  const spellings = ['Müller', 'MÜLLER', 'müller', 'Mu\u0308ller', 'Ｍüller'];
  const answers = await atOnce(replicas, 50, (service, index) =>
    operations(service).createUser({ username: spellings[index % spellings.length]! }),
  );
  assert.deepEqual(tally(answers), { CreateUserSuccess: 1, ValidationError: 49 });
  for (const { issues } of answers.filter(({ __typename }) => __typename === 'ValidationError'))
    assert.deepEqual(issues, [{ field: 'username', code: 'TAKEN' }]);
});

test('returns one successor for 50 concurrent uses of a refresh token', async () => {
  const { tokens, id } = await signUp(first, { username: 'refreshed' });
  const answers = await atOnce(replicas, 50, (service) => operations(service).refreshSession(tokens.refreshToken));
  const successors = answers.map(({ __typename, tokens: successor }) => {
    assert.equal(__typename, 'RefreshSessionSuccess');
    return successor;
  });
  assert.equal(new Set(successors.map(({ refreshToken }) => refreshToken)).size, 1);
  assert.equal((await operations(second, { token: successors[0]!.accessToken }).me()).id, id);
});

test('creates one superuser for 20 concurrent uses of the bootstrap secret', async () => {
  const answers = await atOnce(replicas, 20, (service, index) =>
    send(
      service,
      'mutation ($input: CreateSuperuserInput!) { createSuperuser(input: $input) { __typename ... on CreateSuperuserSuccess { user { isSuperuser } } } }',
      // Without a password, which a worker thread would score and hash sequentially.
      { input: { username: `root-${index}` } },
      { headers: { 'x-bootstrap-secret': replicas.environment.BOOTSTRAP_SECRET! } },
    ),
  );
  const [made, ...others] = answers.filter(({ errors }) => errors === undefined);
  assert.deepEqual(made?.data.createSuperuser, { __typename: 'CreateSuperuserSuccess', user: { isSuperuser: true } });
  assert.deepEqual(others, []);
  const codes = answers.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions.code) ?? []);
  assert.deepEqual(codes, Array(19).fill('FORBIDDEN'));
  assert.equal((await replicas.query("select from users where username like 'root-%'")).length, 1);
});

test('leaves one superuser active when two deactivate each other', async () => {
  const both = [
    await signUp(first, { username: 'deactivating' }),
    await signUp(second, { username: 'also-deactivating' }),
  ] as const;
  await replicas.query('update users set is_superuser = (id = any($1))', [both.map(({ id }) => id)]);
  const document =
    'mutation ($id: ID!) { updateUser(id: $id, input: { isActive: false }) { __typename ... on IdentityError { code } } }';
  const answers = await Promise.all([
    both[0].ask(document, { id: both[1].id }),
    both[1].ask(document, { id: both[0].id }),
  ]);
  const successes = answers.filter(({ data }) => data?.updateUser?.__typename === 'UpdateUserSuccess');
  assert.equal(successes.length, 1, JSON.stringify(answers));
  assert.equal((await replicas.query('select from users where is_superuser and is_active')).length, 1);
});
