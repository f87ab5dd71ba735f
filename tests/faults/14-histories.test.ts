/** Fault 14: ten clients at one token, over two processes, in whatever order; each history of it is to have a sequential explanation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { operations } from '../support/client.js';
import { experiment, full } from '../support/experiment.js';
import { explain } from '../support/linearizability.js';
import { type CheckAnswer, stepsOfToken, type TokenOperation, untouched } from '../support/one-time-password-model.js';
import { caller, password, signUp } from '../support/people.js';
import { startReplicas } from '../support/replicas.js';

const histories = full ? 500 : 20;
const clients = 10;
const neverMade = 'BCDF2345';

type Plan =
  | { do: 'generate' | 'send' }
  | { do: 'advance'; seconds: number }
  | { do: 'check'; guess: 'newest' | 'earlier' | 'wrong' };

const plan: fc.Arbitrary<Plan> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Plan>({ do: 'generate' }) },
  { weight: 1, arbitrary: fc.constant<Plan>({ do: 'send' }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), seconds: fc.constantFrom(1, 2, 8, 60, 700) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('check' as const),
      guess: fc.oneof(
        { weight: 6, arbitrary: fc.constant('newest' as const) },
        { weight: 2, arbitrary: fc.constantFrom('earlier' as const, 'wrong' as const) },
      ),
    }),
  },
);
/** For each client what it does, one after another. */
const plans = fc.array(fc.array(plan, { minLength: 2, maxLength: 4 }), { minLength: clients, maxLength: clients });

const explained = (history: readonly TokenOperation[]) => explain(history, untouched, stepsOfToken);

experiment(14, `${histories} histories of ten clients at one token`, [], async (found) => {
  const { both, environment, query } = await startReplicas({
    OTP_SEND_INTERVAL_SECONDS: '0',
    OTP_SENDS_PER_HOUR: '0',
    OTP_SENDS_PER_DAY: '0',
    ACCESS_TOKEN_TTL_SECONDS: '3600',
  });
  const bootstrap = operations(both[0], { headers: { 'x-bootstrap-secret': environment.BOOTSTRAP_SECRET! } });
  await bootstrap.createSuperuser({ username: 'root', password });
  const { tokens } = await operations(both[0]).authenticate({ username: 'root', password });
  const superusers = both.map((service) => caller(service, { token: tokens.accessToken }));
  const strangers = both.map((service) => caller(service));

  const { emailToken: tokenId } = await signUp(both[0], { email: 'alice@example.com' });
  // So that no check is the first proof of the address, which makes void whatever is live.
  const proof = await superusers[0]!.generateOneTimePassword(tokenId);
  const proven = await strangers[0]!.checkOneTimePassword(tokenId, proof.oneTimePassword);
  assert.equal(proven.__typename, 'CheckOneTimePasswordSuccess');

  /** Does what is planned, by the one or the other process. */
  async function perform(planned: Plan, client: number, made: string[]): Promise<TokenOperation> {
    const [superuser, stranger] = [superusers[client % 2]!, strangers[client % 2]!];
    const askedAt = Date.now();
    const answered = () => ({ askedAt, answeredAt: Date.now() });
    switch (planned.do) {
      case 'advance': {
        // This token's instants alone: to shift all would wait for those who wait for it.
        const [row] = await query(
          `update one_time_passwords set retry_at = retry_at - make_interval(secs => $2), expires_at = expires_at - make_interval(secs => $2)
            where token_id = $1 returning failure_count, retry_at, expires_at`,
          [tokenId, planned.seconds],
        );
        const [retryAt, expiresAt] = [row.retry_at, row.expires_at].map((at: Date | null) => at?.getTime() ?? null);
        return {
          ...answered(),
          do: 'advance',
          milliseconds: planned.seconds * 1_000,
          failureCount: row.failure_count,
          retryAt: retryAt!,
          expiresAt: expiresAt!,
        };
      }
      case 'generate': {
        const { oneTimePassword, expiresAt } = await superuser.generateOneTimePassword(tokenId);
        made.push(oneTimePassword);
        return { ...answered(), do: 'generate', oneTimePassword, expiresAt: Date.parse(expiresAt) };
      }
      case 'send': {
        const { expiresAt } = await stranger.sendOneTimePassword(tokenId);
        return { ...answered(), do: 'send', expiresAt: Date.parse(expiresAt) };
      }
      case 'check': {
        const known = { newest: made.at(-1), earlier: made.at(-2), wrong: undefined }[planned.guess];
        const guess = known ?? neverMade;
        const checked = await stranger.checkOneTimePassword(tokenId, guess);
        const answers: Record<string, () => CheckAnswer> = {
          CheckOneTimePasswordSuccess: () => 'right',
          InvalidOneTimePasswordError: () => 'wrong',
          TimeoutError: () => ({ retryAt: Date.parse(checked.retryAt), failureCount: checked.failureCount }),
        };
        return { ...answered(), do: 'check', guess, answer: answers[checked.__typename]!() };
      }
    }
  }

  const unexplained: TokenOperation[][] = [];
  const answers: Record<string, number> = {};
  let [acknowledged, wrongYes] = [0, 0];
  for (const planned of fc.sample(plans, histories)) {
    // The search for what is not there takes its time.
    if (unexplained.length === 3) break;
    await query('delete from one_time_passwords where token_id = $1', [tokenId]);
    const made: string[] = [];
    const history = [await perform({ do: 'generate' }, 0, made)];
    await Promise.all(
      planned.map(async (own, client) => {
        for (const each of own) history.push(await perform(each, client, made));
      }),
    );
    if (explained(history) === null) unexplained.push(history);
    acknowledged += history.length;
    const right: string[] = [];
    for (const operation of history) {
      const { do: done } = operation;
      const answer = done !== 'check' ? done : typeof operation.answer === 'object' ? 'too soon' : operation.answer;
      answers[answer] = (answers[answer] ?? 0) + 1;
      if (done === 'check' && operation.answer === 'right') right.push(operation.guess);
    }
    wrongYes += right.length - new Set(right).size;
  }
  found({
    acknowledged,
    lost: 0,
    wrongYes,
    recoveredAfterMilliseconds: [],
    also: { unexplained: unexplained.length, ...answers },
  });
  assert.deepEqual(
    unexplained[0]?.sort((a, b) => a.askedAt - b.askedAt),
    undefined,
  );
  assert.equal(wrongYes, 0);
  for (const answer of ['right', 'wrong', 'too soon']) assert.ok(answers[answer]! >= histories / 4, answer);
});

/** Histories by hand: each operation with when it was asked for and answered. */
const generate = (askedAt: number, answeredAt: number, oneTimePassword: string): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'generate',
  oneTimePassword,
  expiresAt: askedAt + 600_000,
});
/** @param stored count, `retryAt` and `expiresAt` after it */
const advance = (
  askedAt: number,
  answeredAt: number,
  seconds: number,
  [failureCount, retryAt, expiresAt]: [number, number | null, number | null],
): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'advance',
  milliseconds: seconds * 1_000,
  failureCount,
  retryAt,
  expiresAt,
});
const check = (askedAt: number, answeredAt: number, guess: string, answer: CheckAnswer): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'check',
  guess,
  answer,
});

for (const [title, possible, ...history] of [
  ['a password that works', true, generate(0, 10, 'A'), check(20, 30, 'A', 'right')],
  ['one that works twice', false, generate(0, 10, 'A'), check(20, 30, 'A', 'right'), check(40, 50, 'A', 'right')],
  [
    'one that works twice at once',
    false,
    generate(0, 10, 'A'),
    check(20, 50, 'A', 'right'),
    check(20, 50, 'A', 'right'),
  ],
  [
    'one used twice at once that works once',
    true,
    generate(0, 10, 'A'),
    check(20, 50, 'A', 'right'),
    check(20, 50, 'A', 'wrong'),
  ],
  ['one that works before it is made', false, check(0, 10, 'A', 'right'), generate(20, 30, 'A')],
  ['one that works while it is made', true, check(0, 30, 'A', 'right'), generate(0, 30, 'A')],
  ['one that does not work', false, generate(0, 10, 'A'), check(20, 30, 'A', 'wrong')],
  ['the one before the newest', false, generate(0, 10, 'A'), generate(20, 30, 'B'), check(40, 50, 'A', 'right')],
  [
    'one that expires while it is checked',
    true,
    generate(0, 10, 'A'),
    advance(20, 50, 600, [0, null, 0]),
    check(20, 50, 'A', 'wrong'),
  ],
  [
    'one that has expired',
    false,
    generate(0, 10, 'A'),
    advance(20, 30, 600, [0, null, 0]),
    check(40, 50, 'A', 'right'),
  ],
  ['a guess too soon that is compared', false, check(0, 10, 'X', 'wrong'), check(20, 30, 'Y', 'wrong')],
  [
    'a guess when its time has come',
    true,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
  ],
  ['a failure that is not counted', false, check(0, 10, 'X', 'wrong'), advance(20, 30, 1, [0, null, null])],
  [
    'a password that stays when it is spent',
    false,
    generate(0, 10, 'A'),
    check(20, 30, 'A', 'right'),
    advance(40, 50, 1, [0, null, 599_000]),
  ],
  ['a guess when its time has come by itself', true, check(0, 10, 'X', 'wrong'), check(1_020, 1_030, 'Y', 'wrong')],
  [
    'a third guess after the second wait and no longer',
    false,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
    advance(60, 70, 1, [2, 1_045, null]),
    check(80, 90, 'Z', 'wrong'),
  ],
  [
    'a third guess after the second wait',
    true,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
    advance(60, 70, 2, [2, 45, null]),
    check(80, 90, 'Z', 'wrong'),
  ],
  ['two guesses at once that are both compared', false, check(0, 50, 'X', 'wrong'), check(0, 50, 'Y', 'wrong')],
  [
    'two guesses at once of which one is',
    true,
    check(0, 50, 'X', 'wrong'),
    check(0, 50, 'Y', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a wait that nobody has to make',
    false,
    generate(0, 10, 'A'),
    check(20, 30, 'X', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a wait for another failure',
    false,
    check(0, 10, 'X', 'wrong'),
    check(20, 30, 'X', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a wait that is over',
    false,
    check(0, 10, 'X', 'wrong'),
    check(1_020, 1_030, 'X', { retryAt: 1_005, failureCount: 1 }),
  ],
  [
    'a count that is not the one of failures',
    false,
    check(0, 10, 'X', 'wrong'),
    check(20, 30, 'X', { retryAt: 1_005, failureCount: 2 }),
  ],
  [
    'a count that a new password clears',
    false,
    check(0, 10, 'X', 'wrong'),
    generate(20, 30, 'A'),
    check(40, 50, 'A', 'right'),
  ],
  [
    'a count that a new password keeps',
    true,
    check(0, 10, 'X', 'wrong'),
    generate(20, 30, 'A'),
    check(40, 50, 'A', { retryAt: 1_005, failureCount: 1 }),
  ],
  [
    'a door shut while the right one is being spent',
    true,
    generate(0, 10, 'A'),
    check(20, 80, 'A', 'right'),
    check(30, 40, 'X', { retryAt: 1_025, failureCount: 1 }),
    check(90, 95, 'X', 'wrong'),
  ],
  [
    'a door shut after the right one was spent',
    false,
    generate(0, 10, 'A'),
    check(20, 40, 'A', 'right'),
    check(50, 60, 'X', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a right one that is replaced before it is spent',
    true,
    generate(0, 10, 'A'),
    check(20, 90, 'A', 'wrong'),
    check(30, 40, 'X', { retryAt: 1_025, failureCount: 1 }),
    generate(50, 60, 'B'),
  ],
] as [string, boolean, ...TokenOperation[]][])
  test(`a history with ${title} ${possible ? 'has an' : 'has no'} explanation`, () => {
    assert.equal(explained(history) !== null, possible);
    // Whatever order it was written down in.
    assert.equal(explained(history.toReversed()) !== null, possible);
  });
