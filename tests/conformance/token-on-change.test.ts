import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { makeSuperuser, type Person, signUp } from '../support/people.js';
import { startService } from '../support/service.js';
import { readVectors, TraceClock } from './replay.js';
import { type PasswordSymbol, type TraceState, traceLifetimeSeconds, typedPassword } from './trace-model.js';

type Kind = 'email' | 'phone';

interface Identifiers {
  username?: string | null;
  email?: string | null;
  phone?: string | null;
}

type Change =
  | { op: 'generate'; token: Kind }
  | { op: 'check'; token: Kind; password: Exclude<PasswordSymbol, null> }
  | { op: 'advance'; seconds: number }
  | { op: 'set'; values: Identifiers; how: string }
  | { op: 'delete' };

interface Input {
  user: Identifiers;
  ops: Change[];
  about: string;
}

interface Step {
  result: unknown;
  user: Identifiers | null;
  email_token?: TraceState | null;
  phone_token?: TraceState | null;
}

const vectors = readVectors<Input, Step[]>('token_on_change');
const service = await startService({ OTP_TTL_SECONDS: String(traceLifetimeSeconds) });

interface Replay {
  superuser: Person;
  owner: Person;
  made: Record<Kind, string[]>;
  clock: TraceClock;
  now: number;
  /** as recorded for the last step */
  timeouts: Record<Kind, number | null>;
  /** what `me` said last */
  // biome-ignore lint/suspicious/noExplicitAny: what is asserted on it is what types it
  seen: any;
}

const results: Record<string, unknown> = {
  CheckOneTimePasswordSuccess: true,
  InvalidOneTimePasswordError: false,
  TimeoutError: 'TimeoutError',
};

/**
 * How each operation of the original is done here, with the result in the recorded form.
 * A trace is followed as far as its operations are found here: none of the original's ways to change a user has its counterpart yet.
 */
const ways: { [Op in Change['op']]?: (replay: Replay, change: Extract<Change, { op: Op }>) => Promise<unknown> } = {
  async advance(replay, { seconds }) {
    replay.now += seconds;
    return null;
  },
  async generate({ owner, superuser, made, clock, now }, { token }) {
    const id = owner[`${token}Token`];
    const answer = await clock.at(now, () => superuser.generateOneTimePassword(id, 'VERIFICATION'));
    assert.equal(answer.__typename, 'GenerateOneTimePasswordSuccess');
    made[token].push(answer.oneTimePassword);
    return null;
  },
  async check(replay, { token, password }) {
    const { owner, made, clock, now, timeouts } = replay;
    const typed = typedPassword(password, token, made[token]);
    const check = () => owner.checkOneTimePassword(owner[`${token}Token`], typed, 'VERIFICATION');
    const answer = await clock.at(now, check, timeouts[token] === now ? tokenOf(replay, token).retryAt : null);
    return results[answer.__typename];
  },
};

function tokenOf({ seen }: Replay, kind: Kind) {
  const type = kind === 'email' ? 'EmailToken' : 'PhoneToken';
  return seen.securityTokens.find(({ __typename }: { __typename: string }) => __typename === type) ?? null;
}

/** How many of its operations are found in {@link ways} before the first that is not. */
function reach({ ops }: Input): number {
  const beyond = ops.findIndex(({ op }) => ways[op] === undefined);
  return beyond < 0 ? ops.length : beyond;
}

let superuser: Person;
before(async () => {
  superuser = await makeSuperuser(service);
});

async function begin(user: Identifiers): Promise<Replay> {
  await service.app.db.execute(sql`delete from users where not is_superuser`);
  await service.app.db.execute(sql`delete from one_time_passwords`);
  return {
    superuser,
    owner: await signUp(service, { ...user }),
    made: { email: [], phone: [] },
    clock: new TraceClock(service),
    now: 0,
    timeouts: { email: null, phone: null },
    seen: null,
  };
}

async function assertIs(replay: Replay, due: Step, about: string): Promise<void> {
  replay.seen = await replay.owner.me();
  const { username, email, phone, emailVerified, phoneVerified } = replay.seen;
  assert.deepEqual({ username, email, phone }, due.user, about);
  for (const [kind, verified] of [
    ['email', emailVerified],
    ['phone', phoneVerified],
  ] as const) {
    const recorded = due[`${kind}_token`] ?? null;
    const token = tokenOf(replay, kind);
    replay.timeouts[kind] = recorded?.timeout ?? null;
    assert.equal(token === null, recorded === null, `${about}: whether there is a token of the ${kind}`);
    assert.equal(verified, recorded?.verified ?? null, `${about}: whether the ${kind} is verified`);
    if (recorded === null) continue;
    assert.equal(token.verified, recorded.verified, `${about}: verified of the ${kind}`);
    assert.equal(token.failureCount, recorded.failure_count, `${about}: failureCount of the ${kind}`);
    replay.clock.assertNear(token.retryAt, recorded.timeout, `${about}: retryAt of the ${kind}`);
    replay.clock.assertNear(token.expiresAt, recorded.expiration, `${about}: expiresAt of the ${kind}`);
  }
}

describe('the tokens of a user', () => {
  const steps = vectors.reduce((sum, { expected }) => sum + expected.length, 0);
  const reached = vectors.reduce((sum, { input }) => sum + 1 + reach(input), 0);

  test(`are as recorded after each of the ${reached} steps of ${steps} that the service reaches`, async (t) => {
    let replayed = 0;
    for (const { input, expected } of vectors) {
      const replay = await begin(input.user);
      await assertIs(replay, expected[0]!, `${input.about}: signed up`);
      replayed += 1;
      for (const [index, change] of input.ops.slice(0, reach(input)).entries()) {
        const about = `${input.about}, step ${index + 1} (${JSON.stringify(change)})`;
        const way = ways[change.op] as (replay: Replay, change: Change) => Promise<unknown>;
        const due = expected[index + 1]!;
        assert.deepEqual(await way(replay, change), due.result, about);
        await assertIs(replay, due, about);
        replayed += 1;
      }
    }
    t.diagnostic(`${replayed} of ${steps} steps replayed`);
    assert.equal(replayed, reached);
    assert.ok(replayed > vectors.length, 'no trace was followed further than the sign-up');
  });
});
