/** Concurrent password attempts over two processes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { expectMember, operations } from '../support/client.js';
import { atOnce, startReplicas, tally } from '../support/replicas.js';

const replicas = await startReplicas();
const [first, second] = replicas.both;
const password = 'correct horse battery';
const wrong = 'wrong horse battery';

async function signUp(): Promise<string> {
  const username = `user-${randomUUID()}`;
  assert.equal((await operations(first).createUser({ username, password })).__typename, 'CreateUserSuccess');
  return username;
}

const inventName = async () => `nobody-${randomUUID()}`;

async function failInARow(username: string, times: number): Promise<void> {
  for (let failure = 0; failure < times; failure += 1) {
    const answer = await operations(replicas.both[failure % 2]!).authenticate({ username, password: wrong });
    assert.equal(answer.__typename, 'InvalidCredentialsError');
    await replicas.advance(2 ** failure);
  }
}

for (const [whose, makeName] of [
  ['a user', signUp],
  ['an unknown name', inventName],
] as const) {
  test(`of 100 concurrent wrong passwords for ${whose}, one is evaluated, and both processes reject the others alike`, async () => {
    const username = await makeName();
    await failInARow(username, 5);
    const answers = await atOnce(replicas, 100, (service) =>
      operations(service).authenticate({ username, password: wrong }),
    );
    assert.deepEqual(tally(answers), { InvalidCredentialsError: 1, TimeoutError: 99 });
    const refusals = answers.filter(({ __typename }) => __typename === 'TimeoutError');
    assert.deepEqual([...new Set(refusals.map(({ failureCount }) => failureCount))], [6]);
    assert.equal(new Set(refusals.map(({ retryAt }) => retryAt)).size, 1);
  });

  test(`the first 100 concurrent wrong passwords for ${whose} are evaluated only as often as the waits permit`, async () => {
    const username = await makeName();
    const began = Date.now();
    const answers = await atOnce(replicas, 100, (service) =>
      operations(service).authenticate({ username, password: wrong }),
    );
    const elapsedSeconds = (Date.now() - began) / 1000;
    const { InvalidCredentialsError: evaluated = 0, TimeoutError: refused = 0 } = tally(answers);
    assert.equal(evaluated + refused, 100);
    // Attempt n is permitted 2^(n-1) - 1 seconds after the first, so usually one is evaluated.
    assert.ok(evaluated >= 1 && 2 ** (evaluated - 1) - 1 <= elapsedSeconds, `${evaluated} in ${elapsedSeconds} s`);
    const last = await operations(second).authenticate({ username, password: wrong });
    if (last.__typename === 'TimeoutError') assert.equal(last.failureCount, evaluated);
  });

  test(`both processes report the same wait for ${whose}`, async () => {
    const username = await makeName();
    await failInARow(username, 3);
    await operations(second).authenticate({ username, password: wrong });
    const asked = Date.now();
    const answers = [
      await operations(first).authenticate({ username, password: wrong }),
      await operations(second).authenticate({ username, password }),
    ];
    const answered = Date.now();
    const { retryAt } = expectMember(answers[0]!, 'TimeoutError');
    const secondsFrom = (instant: number) => Math.ceil((Date.parse(retryAt) - instant) / 1000);
    for (const result of answers) {
      const answer = expectMember(result, 'TimeoutError');
      assert.deepEqual([answer.retryAt, answer.failureCount], [retryAt, 4]);
      assert.ok(answer.retryAfterSeconds <= secondsFrom(asked), `${answer.retryAfterSeconds} s until ${retryAt}`);
      assert.ok(answer.retryAfterSeconds >= secondsFrom(answered), `${answer.retryAfterSeconds} s until ${retryAt}`);
    }
  });
}

test('the right password among concurrent wrong ones signs in, and no wrong one does', async () => {
  const username = await signUp();
  let successes = 0;
  for (let round = 0; round < 6; round += 1) {
    const answers = await atOnce(replicas, 60, async (service, index) => {
      // In odd rounds, wrong passwords come first.
      const given = index < 30 === (round % 2 === 0) ? password : wrong;
      return { ...(await operations(service).authenticate({ username, password: given })), given };
    });
    const types = tally(answers.filter(({ given }) => given === wrong));
    assert.equal(types.AuthenticateSuccess, undefined);
    assert.equal((types.InvalidCredentialsError ?? 0) + (types.TimeoutError ?? 0), 30);
    successes += tally(answers).AuthenticateSuccess ?? 0;
    await replicas.advance(3600);
  }
  assert.equal((await operations(second).authenticate({ username, password })).__typename, 'AuthenticateSuccess');
  const sessions = await replicas.query('select from sessions join users on users.id = user_id where username = $1', [
    username,
  ]);
  assert.equal(sessions.length, 1 + successes + 1, 'one of the sign-up, one of each success');
});
