import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'drizzle-orm';
import { expectMember } from '../support/client.js';
import { lastMessage, makeSuperuser, type Person, password, signUp } from '../support/people.js';
import { startService } from '../support/service.js';
import { type Change, type ChangeStep, type Changes, type Kind, kinds, modelChanges } from './account-model.js';
import { codeOf } from './accounts.js';
import { tokenOnChange as departures, type Identifiers } from './departures.js';
import { issuesOf, TraceClock } from './replay.js';
import { type TraceState, traceLifetimeSeconds, typedPassword } from './trace-model.js';
import { readVectors } from './vectors.js';

type RecordedToken = TraceState & { row: number; has_password: boolean; email?: string; phone?: string };

interface Recorded {
  result: { errors?: Record<string, string[]> } | unknown;
  user: Required<Identifiers> | null;
  email_token?: RecordedToken | null;
  phone_token?: RecordedToken | null;
}

const vectors = readVectors<Changes, Recorded[]>('token_on_change');
const names = departures.map(({ name }) => name);
const here = new Set(names);

function asModelled({ result, user, email_token, phone_token }: Recorded): ChangeStep {
  const errors = (result as { errors?: Record<string, string[]> } | null)?.errors;
  const token = (recorded: RecordedToken | null | undefined) =>
    recorded
      ? {
          failure_count: recorded.failure_count,
          timeout: recorded.timeout,
          verified: recorded.verified,
          expiration: recorded.expiration,
        }
      : null;
  return {
    result: errors
      ? { issues: Object.fromEntries(Object.entries(errors).map(([field, said]) => [field, said.map(codeOf)])) }
      : result,
    user,
    pending: { email: null, phone: null },
    tokens: { email: token(email_token), phone: token(phone_token) },
  };
}

test('changes without departures match the recording', () => {
  for (const { input, expected } of vectors)
    assert.deepEqual(modelChanges(input, new Set()), expected.map(asModelled), input.about);
});

for (const { name, rule } of departures) {
  test(`changes depart: ${rule}`, () => {
    const others = new Set(names.filter((other) => other !== name));
    const departing = vectors.filter(
      ({ input }) => !isDeepStrictEqual(modelChanges(input, here), modelChanges(input, others)),
    );
    assert.ok(departing.length > 0, `${name} applies to no vector`);
  });
}

const service = await startService({
  OTP_TTL_SECONDS: String(traceLifetimeSeconds),
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
  SMS_PREFIX_SENDS_PER_HOUR: '0',
});
let superuser: Person;
before(async () => {
  superuser = await makeSuperuser(service);
});

interface Replay {
  owner: Person;
  made: Record<Kind, string[]>;
  clock: TraceClock;
  now: number;
  /** the expected state after the previous step */
  last: ChangeStep;
  /** the last response of `me`; null for a deleted user */
  // biome-ignore lint/suspicious/noExplicitAny: what is asserted on it is what types it
  seen: any;
}

const results: Record<string, unknown> = {
  CheckOneTimePasswordSuccess: true,
  InvalidOneTimePasswordError: false,
  TimeoutError: 'TimeoutError',
};

/** Returns the verification of the most recent address. A pending address follows the current one. */
function tokenOf({ seen }: Pick<Replay, 'seen'>, kind: Kind) {
  const type = kind === 'email' ? 'EmailToken' : 'PhoneToken';
  const ofKind = seen.securityTokens.filter(({ __typename }: { __typename: string }) => __typename === type);
  return ofKind.at(-1) ?? null;
}

async function replayChange(replay: Replay, change: Change): Promise<unknown> {
  const { owner, made, clock, now, last } = replay;
  switch (change.op) {
    case 'advance':
      replay.now += change.seconds;
      return null;
    case 'generate': {
      const id = tokenOf(replay, change.token)?.id ?? owner[`${change.token}Token`];
      const answer = await clock.at(now, () =>
        owner.ask('mutation ($id: ID!) { sendOneTimePassword(tokenId: $id, purpose: VERIFICATION) { __typename } }', {
          id,
        }),
      );
      if (answer.errors?.[0]?.extensions.code === 'FORBIDDEN') return 'no token';
      assert.equal(answer.data?.sendOneTimePassword.__typename, 'SendOneTimePasswordSuccess');
      made[change.token].push((await lastMessage(service)).oneTimePassword);
      return null;
    }
    case 'check': {
      if (replay.seen === null) {
        const { errors } = await owner.ask('{ me { id } }');
        return errors?.[0]?.extensions.code === 'UNAUTHENTICATED' ? 'no token' : errors;
      }
      const { id, retryAt } = tokenOf(replay, change.token);
      const typed = typedPassword(change.password, change.token, made[change.token]);
      const check = () => owner.checkOneTimePassword(id, typed, 'VERIFICATION');
      const answer = await clock.at(now, check, last.tokens[change.token]?.timeout === now ? retryAt : null);
      return results[answer.__typename];
    }
    case 'set': {
      const { values, how, update_fields: saved } = change;
      const given = Object.entries(values).filter(
        ([field]) => how !== 'update_fields' || saved!.includes(field as keyof Identifiers),
      );
      const answer = await clock.at(now, () =>
        owner.updateUser(Object.fromEntries(given), { currentPassword: password }),
      );
      if (answer.__typename === 'UpdateUserSuccess') return { ok: null };
      return issuesOf(expectMember(answer, 'ValidationError').issues);
    }
    case 'delete':
      assert.equal((await owner.deleteUser({ currentPassword: password })).__typename, 'DeleteUserSuccess');
      return null;
  }
}

async function assertIs(replay: Replay, due: ChangeStep, about: string): Promise<void> {
  replay.last = due;
  if (due.user === null) {
    assert.equal(
      (await superuser.ask('query ($id: ID!) { user(id: $id) { id } }', { id: replay.owner.id })).data.user,
      null,
    );
    replay.seen = null;
    return;
  }
  replay.seen = await replay.owner.me();
  const { username, email, phone, pendingEmail, pendingPhone } = replay.seen;
  assert.deepEqual({ username, email, phone }, due.user, about);
  assert.deepEqual({ email: pendingEmail, phone: pendingPhone }, due.pending, `${about}: what waits`);
  for (const kind of kinds) {
    const token = tokenOf(replay, kind);
    const state = due.tokens[kind];
    assert.equal(token === null, state === null, `${about}: whether there is a token of the ${kind}`);
    if (state === null) continue;
    assert.equal(token.verified, state.verified, `${about}: verified of the ${kind}`);
    assert.equal(token.failureCount, state.failure_count, `${about}: failureCount of the ${kind}`);
    replay.clock.assertNear(token.retryAt, state.timeout, `${about}: retryAt of the ${kind}`);
    replay.clock.assertNear(token.expiresAt, state.expiration, `${about}: expiresAt of the ${kind}`);
  }
}

describe('the tokens of a user with changing addresses', () => {
  const steps = vectors.reduce((sum, { expected }) => sum + expected.length, 0);

  test(`are as expected after each of the ${steps} recorded steps`, async () => {
    for (const { input } of vectors) {
      await service.app.db.execute(sql`delete from users where not is_superuser`);
      await service.app.db.execute(sql`delete from one_time_passwords`);
      const due = modelChanges(input, here);
      const replay: Replay = {
        owner: await signUp(service, { ...input.user, password }),
        made: { email: [], phone: [] },
        clock: new TraceClock(service),
        now: 0,
        last: due[0]!,
        seen: null,
      };
      await assertIs(replay, due[0]!, `${input.about}: signed up`);
      for (const [index, change] of input.ops.entries()) {
        const about = `${input.about}, step ${index + 1} (${JSON.stringify(change)})`;
        assert.deepEqual(await replayChange(replay, change), due[index + 1]!.result, about);
        await assertIs(replay, due[index + 1]!, about);
      }
    }
  });
});
