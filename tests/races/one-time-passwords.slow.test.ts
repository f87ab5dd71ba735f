/** Concurrent guesses, uses and sends of one-time passwords over two processes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { expectMember, operations, outbox } from '../support/client.js';
import { atOnce, type Replicas, startReplicas, tally } from '../support/replicas.js';

const [replicas, unforgiving] = await Promise.all([
  startReplicas(),
  // Rate-limited for a day after the first failure, so no second attempt is permitted during a
  // hundred requests.
  startReplicas({ OTP_MAX_FAILURES: '1' }),
]);
const [first, second] = replicas.both;
const wrong = 'WRONG234';

/** A user with an address and the ID of its security token. */
async function signUp({ both }: Replicas, email = `${randomUUID()}@example.com`) {
  const { user, tokens } = expectMember(await operations(both[0]).createUser({ email }), 'CreateUserSuccess');
  return { email, tokenId: user.securityTokens[0]!.id as string, userId: user.id as string, tokens };
}

/** A user like that of {@link signUp}, who has verified the address. */
async function signUpVerified(of: Replicas) {
  const somebody = await signUp(of);
  await of.query('update security_tokens set verified_at = created_at where id = $1', [somebody.tokenId]);
  await of.query('update users set first_verified_at = date_joined where id = $1', [somebody.userId]);
  return somebody;
}

/** The security token of an address without an account. */
async function inventAddress({ both }: Replicas) {
  const { id } = (await operations(both[0]).securityTokens(`${randomUUID()}@example.com`))[0]!;
  return { tokenId: id as string };
}

async function sendAndRead({ both }: Replicas, { email, tokenId }: { email: string; tokenId: string }) {
  assert.equal((await operations(both[0]).sendOneTimePassword(tokenId)).__typename, 'SendOneTimePasswordSuccess');
  return (await outbox(both[0])).find(({ to }) => to === email)!.oneTimePassword;
}

async function failureCount({ query }: Replicas, tokenId: string): Promise<number> {
  const [row] = await query('select failure_count from one_time_passwords where token_id = $1', [tokenId]);
  return row?.failure_count ?? 0;
}

/** Makes `count` wrong attempts, each as soon as it is permitted. */
async function failInARow({ both, advance }: Replicas, tokenId: string, times: number): Promise<void> {
  for (let failure = 0; failure < times; failure += 1) {
    const answer = await operations(both[failure % 2]!).checkOneTimePassword(tokenId, wrong);
    assert.equal(answer.__typename, 'InvalidOneTimePasswordError');
    await advance(2 ** failure);
  }
}

function assertOneEvaluated(answers: { __typename: string }[], failures: number): void {
  assert.deepEqual(tally(answers), { InvalidOneTimePasswordError: 1, TimeoutError: 99 });
  const refusals = answers.filter(({ __typename }) => __typename === 'TimeoutError') as unknown as {
    failureCount: number;
    retryAt: string;
  }[];
  assert.deepEqual([...new Set(refusals.map(({ failureCount }) => failureCount))], [failures]);
  assert.equal(new Set(refusals.map(({ retryAt }) => retryAt)).size, 1, 'both processes name the same instant');
}

for (const [whose, makeToken] of [
  ['of a user', signUp],
  ['without an account', inventAddress],
] as const) {
  test(`of 100 concurrent wrong one-time passwords for an address ${whose}, one is evaluated and counted`, async () => {
    const { tokenId } = await makeToken(unforgiving);
    const answers = await atOnce(unforgiving, 100, (service) =>
      operations(service).checkOneTimePassword(tokenId, wrong),
    );
    assertOneEvaluated(answers, 1);
    assert.equal(await failureCount(unforgiving, tokenId), 1);
  });

  test(`both processes report the same wait for an address ${whose}`, async () => {
    const { tokenId } = await makeToken(replicas);
    await failInARow(replicas, tokenId, 3);
    await operations(second).checkOneTimePassword(tokenId, wrong);
    const asked = Date.now();
    const answers = [
      await operations(first).checkOneTimePassword(tokenId, wrong),
      await operations(second).checkOneTimePassword(tokenId, wrong),
    ];
    const answered = Date.now();
    const { retryAt } = expectMember(answers[0]!, 'TimeoutError');
    for (const result of answers) {
      const answer = expectMember(result, 'TimeoutError');
      assert.equal(answer.retryAt, retryAt);
      assert.equal(answer.failureCount, 4);
      const secondsFrom = (instant: number) => Math.ceil((Date.parse(retryAt) - instant) / 1000);
      assert.ok(answer.retryAfterSeconds <= secondsFrom(asked), `${answer.retryAfterSeconds} s until ${retryAt}`);
      assert.ok(answer.retryAfterSeconds >= secondsFrom(answered), `${answer.retryAfterSeconds} s until ${retryAt}`);
    }
  });
}

test('the right one-time password among 99 concurrent wrong ones is accepted at most once, and no wrong one ever', async () => {
  for (const position of [0, 1, 50, 99]) {
    const somebody = await signUp(replicas);
    const right = await sendAndRead(replicas, somebody);
    const answers = await atOnce(replicas, 100, (service, index) =>
      operations(service).checkOneTimePassword(somebody.tokenId, index === position ? right : wrong),
    );
    const [ofRight] = answers.splice(position, 1);
    assert.equal(tally(answers).CheckOneTimePasswordSuccess, undefined);
    await replicas.advance(60);
    // A used password stays used, regardless of concurrent counts.
    assert.equal(
      (await operations(second).checkOneTimePassword(somebody.tokenId, right)).__typename,
      ofRight!.__typename === 'CheckOneTimePasswordSuccess'
        ? 'InvalidOneTimePasswordError'
        : 'CheckOneTimePasswordSuccess',
    );
  }
});

test('of 50 concurrent sends for an address without an account, one is accepted and no message is created', async () => {
  const { tokenId } = await inventAddress(replicas);
  const before = await replicas.query('select from outbox_messages');
  const answers = await atOnce(replicas, 50, (service) => operations(service).sendOneTimePassword(tokenId));
  assert.deepEqual(tally(answers), { SendOneTimePasswordSuccess: 1, TimeoutError: 49 });
  await outbox(first);
  await outbox(second);
  assert.equal((await replicas.query('select from outbox_messages')).length, before.length);
});

test('sends of the owner and of strangers have separate limits: of 20 each, one each is sent', async () => {
  const { tokenId, email, tokens } = await signUp(replicas);
  const answers = await atOnce(replicas, 40, async (service, index) => {
    const owner = index < 20;
    const answer = await operations(service, owner ? { token: tokens!.accessToken } : {}).sendOneTimePassword(tokenId);
    return { ...answer, owner };
  });
  for (const by of [true, false])
    assert.deepEqual(tally(answers.filter(({ owner }) => owner === by)), {
      SendOneTimePasswordSuccess: 1,
      TimeoutError: 19,
    });
  await outbox(first);
  assert.equal((await outbox(second)).filter(({ to }) => to === email).length, 2);
});

test('sends between attempts never end the wait', async () => {
  const { tokenId } = await signUp(replicas);
  await failInARow(replicas, tokenId, 5);
  for (let round = 0; round < 20; round += 1) {
    const sent = await operations(replicas.both[round % 2]!).sendOneTimePassword(tokenId);
    assert.equal(sent.__typename, round === 0 ? 'SendOneTimePasswordSuccess' : 'TimeoutError');
    const guess = await operations(replicas.both[(round + 1) % 2]!).checkOneTimePassword(tokenId, wrong);
    assert.equal(guess.__typename, round === 0 ? 'InvalidOneTimePasswordError' : 'TimeoutError');
    assert.equal(await failureCount(replicas, tokenId), 6);
  }
});

test('passwords that a superuser generates, without a rate limit, do not end it either', async () => {
  const { tokenId } = await signUpVerified(replicas);
  const superuser = await signInSuperuser();
  await failInARow(replicas, tokenId, 5);
  for (let round = 0; round < 20; round += 1) {
    const { oneTimePassword } = expectMember(
      await superuser.generateOneTimePassword(tokenId),
      'GenerateOneTimePasswordSuccess',
    );
    const answer = await operations(replicas.both[round % 2]!).checkOneTimePassword(
      tokenId,
      round === 0 ? wrong : oneTimePassword,
    );
    assert.equal(answer.__typename, round === 0 ? 'InvalidOneTimePasswordError' : 'TimeoutError');
    assert.equal(await failureCount(replicas, tokenId), 6);
  }
});

test('over 20 sends and attempts the count only rises, and the wait doubles up to an hour', async () => {
  const { tokenId } = await signUp(replicas);
  for (let round = 1; round <= 20; round += 1) {
    const service = operations(replicas.both[round % 2]!);
    assert.equal((await service.sendOneTimePassword(tokenId)).__typename, 'SendOneTimePasswordSuccess');
    assert.equal(await failureCount(replicas, tokenId), round - 1);
    assert.equal((await service.checkOneTimePassword(tokenId, wrong)).__typename, 'InvalidOneTimePasswordError');
    assert.equal(await failureCount(replicas, tokenId), round);
    const wait = Math.min(2 ** (round - 1), 3600);
    // On a loaded machine, the first waits end before the request.
    if (round > 4) {
      const early = expectMember(await service.checkOneTimePassword(tokenId, wrong), 'TimeoutError');
      assert.deepEqual([early.__typename, early.failureCount], ['TimeoutError', round]);
      assert.ok(early.retryAfterSeconds <= wait && early.retryAfterSeconds > wait - 10);
    }
    // Fewer than eleven sends a day.
    await replicas.advance(9000);
  }
});

test('a new one-time password voids the previous one', async () => {
  const somebody = await signUp(replicas);
  const old = await sendAndRead(replicas, somebody);
  await replicas.advance(31);
  const current = await sendAndRead(replicas, somebody);
  assert.equal(
    (await operations(second).checkOneTimePassword(somebody.tokenId, old)).__typename,
    'InvalidOneTimePasswordError',
  );
  await replicas.advance(1);
  assert.equal(
    (await operations(first).checkOneTimePassword(somebody.tokenId, current)).__typename,
    'CheckOneTimePasswordSuccess',
  );
});

test('of concurrently generated one-time passwords, only the last is valid', async () => {
  const superuser = await signInSuperuser();
  const { tokenId } = await signUpVerified(replicas);
  const made = await Promise.all(Array.from({ length: 10 }, () => superuser.generateOneTimePassword(tokenId)));
  const outcomes: string[] = [];
  for (const each of made) {
    const { oneTimePassword } = expectMember(each, 'GenerateOneTimePasswordSuccess');
    outcomes.push((await operations(second).checkOneTimePassword(tokenId, oneTimePassword)).__typename);
    if (outcomes.includes('CheckOneTimePasswordSuccess')) break;
    await replicas.query('update one_time_passwords set retry_at = null where token_id = $1', [tokenId]);
  }
  assert.equal(outcomes.pop(), 'CheckOneTimePasswordSuccess');
  assert.deepEqual(
    [...new Set(outcomes)].filter((type) => type !== 'InvalidOneTimePasswordError'),
    [],
  );
});

/**
 * The bootstrap secret creates one superuser only, so this superuser is promoted in the database.
 */
async function signInSuperuser() {
  const { user, tokens } = expectMember(
    await operations(first).createUser({ username: `root-${randomUUID()}` }),
    'CreateUserSuccess',
  );
  await replicas.query('update users set is_superuser = true where id = $1', [user.id]);
  return operations(second, { token: tokens!.accessToken });
}
