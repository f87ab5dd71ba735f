/** Fault 14: ten clients use one token over two processes. Each history must be linearizable. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expectMember, oneTimePasswordSentTo, operations } from '../support/client.js';
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
/** The operations of each client in order. */
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
  const { tokens } = expectMember(
    await operations(both[0]).authenticate({ username: 'root', password }),
    'AuthenticateSuccess',
  );
  const superusers = both.map((service) => caller(service, { token: tokens.accessToken }));
  const strangers = both.map((service) => caller(service));

  const { emailToken: tokenId } = await signUp(both[0], { email: 'alice@example.com' });
  // Verifies the address first, because a superuser generates codes for verified addresses only.
  expectMember(await strangers[0]!.sendOneTimePassword(tokenId), 'SendOneTimePasswordSuccess');
  const proven = await strangers[0]!.checkOneTimePassword(
    tokenId,
    await oneTimePasswordSentTo(both[0], 'alice@example.com'),
  );
  assert.equal(proven.__typename, 'CheckOneTimePasswordSuccess');

  /** Runs the plan on one or the other process. */
  async function perform(planned: Plan, client: number, made: string[]): Promise<TokenOperation> {
    const [superuser, stranger] = [superusers[client % 2]!, strangers[client % 2]!];
    const askedAt = Date.now();
    const answered = () => ({ askedAt, answeredAt: Date.now() });
    switch (planned.do) {
      case 'advance': {
        // Shifts only the times of this token, because a global shift would wait for other tests.
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
        const { oneTimePassword, expiresAt } = expectMember(
          await superuser.generateOneTimePassword(tokenId),
          'GenerateOneTimePasswordSuccess',
        );
        made.push(oneTimePassword);
        return { ...answered(), do: 'generate', oneTimePassword, expiresAt: Date.parse(expiresAt) };
      }
      case 'send': {
        const { expiresAt } = expectMember(await stranger.sendOneTimePassword(tokenId), 'SendOneTimePasswordSuccess');
        return { ...answered(), do: 'send', expiresAt: Date.parse(expiresAt) };
      }
      case 'check': {
        const known = { newest: made.at(-1), earlier: made.at(-2), wrong: undefined }[planned.guess];
        const guess = known ?? neverMade;
        const checked = await stranger.checkOneTimePassword(tokenId, guess);
        const answers: Record<string, () => CheckAnswer> = {
          CheckOneTimePasswordSuccess: () => 'right',
          InvalidOneTimePasswordError: () => 'wrong',
          TimeoutError: () => ({ retryAt: Date.parse(checked.retryAt!), failureCount: checked.failureCount! }),
        };
        return { ...answered(), do: 'check', guess, answer: answers[checked.__typename]!() };
      }
    }
  }

  const unexplained: TokenOperation[][] = [];
  const answers: Record<string, number> = {};
  let [acknowledged, wrongYes] = [0, 0];
  for (const planned of fc.sample(plans, histories)) {
    // An unsuccessful search takes long.
    if (unexplained.length === 3) break;
    await query('delete from one_time_passwords where token_id = $1', [tokenId]);
    // All histories together take longer than an authentication counts as recent.
    await query('update sessions set authenticated_at = statement_timestamp()');
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
