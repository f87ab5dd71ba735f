/** Recorded traces and their responses for each step. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectMember } from '../support/client.js';
import {
  type Caller,
  caller,
  lastMessage,
  makeSuperuser,
  type SignedIn,
  signUp,
  verifyUnsent,
} from '../support/people.js';
import { type Service, startService } from '../support/service.js';
import { oneTimePasswordTrace as departures, type TraceDeparture } from './departures.js';
import { TraceClock } from './replay.js';
import {
  boundaryDistanceSeconds,
  coarsen,
  modelTrace,
  type Trace,
  type TraceStep,
  traceLifetimeSeconds,
  typedPassword,
} from './trace-model.js';
import { readVectors } from './vectors.js';

export const vectors = readVectors<Trace, (TraceStep & { message?: string; has_password: boolean })[]>('otp_trace');
/** The names of all departures. */
export const here = new Set(departures.map(({ name }) => name));

const ofSentCodes = new Set([...here].filter((name) => name !== 'told-code-verifies-nothing'));

/** A variant of requests for a trace. */
interface Way {
  about: string;
  purpose: 'AUTHENTICATION' | 'VERIFICATION';
  generate(people: People, tokenId: string): Promise<string>;
  check: 'stranger' | 'owner';
  look: 'superuser' | 'owner';
  /** the departures that apply */
  departures: ReadonlySet<TraceDeparture['name']>;
}

interface People {
  superuser: SignedIn;
  owner: SignedIn;
  stranger: Caller;
}

const ways = {
  'made by a superuser': {
    about: 'made by a superuser and checked by a stranger',
    purpose: 'AUTHENTICATION',
    async generate({ superuser: { id, ...superuser } }, tokenId) {
      // The superuser authenticates again whenever it is due.
      await service.app.db.execute(
        sql`update sessions set authenticated_at = statement_timestamp() where user_id = ${id}`,
      );
      const made = await superuser.generateOneTimePassword(tokenId, 'AUTHENTICATION');
      assert.equal(made.__typename, 'GenerateOneTimePasswordSuccess');
      return made.oneTimePassword;
    },
    check: 'stranger',
    look: 'superuser',
    departures: here,
    takes: () => true,
  },
  'sent to a stranger': {
    about: 'sent to and checked by a stranger',
    purpose: 'AUTHENTICATION',
    generate: ({ stranger }, tokenId) => sentTo(stranger, tokenId, 'AUTHENTICATION'),
    check: 'stranger',
    look: 'superuser',
    departures: ofSentCodes,
    takes: ({ about }) => about !== 'random',
  },
  'sent to its owner': {
    about: 'sent to and checked by the signed-in owner',
    purpose: 'VERIFICATION',
    generate: ({ owner }, tokenId) => sentTo(owner, tokenId, 'VERIFICATION'),
    check: 'owner',
    look: 'owner',
    departures: ofSentCodes,
    takes: ({ about }) => about !== 'random',
  },
} satisfies Record<string, Way & { takes(trace: Trace): boolean }>;

// `replayTraces` sets it: each calling file has its own service.
let service: Service;
let superuser: SignedIn;

let signedUp = 0;
/** Returns an unused address. */
function identifiers(): Record<'username' | 'email' | 'phone', string> {
  signedUp += 1;
  const digits = String(1000 + signedUp);
  return { username: `user${digits}`, email: `user${digits}@example.com`, phone: `+1202555${digits}` };
}

async function sentTo(asking: Caller, tokenId: string, purpose: Way['purpose']): Promise<string> {
  const sent = await asking.sendOneTimePassword(tokenId, purpose);
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
  const { oneTimePassword } = await lastMessage(service);
  return oneTimePassword;
}

async function checkNull(asking: Caller, tokenId: string, purpose: Way['purpose']): Promise<string> {
  const { errors } = await asking.ask(
    'mutation ($tokenId: ID!, $oneTimePassword: String!, $purpose: OneTimePasswordPurpose!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: $purpose) { __typename } }',
    { tokenId, oneTimePassword: null, purpose },
  );
  return errors?.[0]?.extensions.code;
}

const results: Record<string, TraceStep['result']> = {
  CheckOneTimePasswordSuccess: true,
  InvalidOneTimePasswordError: false,
  TimeoutError: 'TimeoutError',
};

/** The number of repetitions of a delayed trace. */
const maxRepetitions = 10;

async function replayTrace(trace: Trace, way: Way): Promise<void> {
  for (let repetition = 0; ; repetition += 1) {
    const clock = new TraceClock(service);
    try {
      return await replaySteps(trace, way, clock);
    } catch (error) {
      // A busy machine may delay a step past its boundary.
      if (clock.maxDelaySeconds < boundaryDistanceSeconds || repetition === maxRepetitions) throw error;
    }
  }
}

async function replaySteps(trace: Trace, way: Way, clock: TraceClock): Promise<void> {
  const owner = await signUp(service, identifiers());
  const people: People = { superuser, owner, stranger: caller(service) };
  const tokenId = trace.token === 'email' ? owner.emailToken : owner.phoneToken;
  if (way.departures.has('told-code-verifies-nothing')) await verifyUnsent(service, owner, tokenId);
  const look = async () => (await people[way.look].securityTokens(owner.account[trace.token]!))[0];

  const made: string[] = [];
  let now = 0;
  let seen = await look();
  const steps = modelTrace(trace, way.departures);
  for (const [index, operation] of trace.ops.entries()) {
    const due = steps[index]!;
    const about = `${trace.about}, step ${index + 1} (${JSON.stringify(operation)})`;
    if (operation.op === 'advance') {
      // No request reaches the service until the next step.
      now += operation.seconds;
      continue;
    }
    if (operation.op === 'generate') made.push(await clock.at(now, () => way.generate(people, tokenId)));
    else if (operation.password === null) {
      const code = await clock.at(now, () => checkNull(people[way.check], tokenId, way.purpose));
      assert.equal(code, due.result, about);
    } else {
      const typed = typedPassword(operation.password, trace.token, made);
      const boundary = steps[index - 1]?.timeout === now ? seen!.retryAt : null;
      const check = () => people[way.check].checkOneTimePassword(tokenId, typed, way.purpose);
      const checked = await clock.at(now, check, boundary);
      assert.equal(results[checked.__typename], due.result, `${about}: ${JSON.stringify(checked)}`);
      if (due.result === 'TimeoutError') {
        const { failureCount, retryAt } = expectMember(checked, 'TimeoutError');
        assert.equal(failureCount, due.error_failure_count, about);
        clock.assertNear(retryAt, due.error_timeout!, `${about}: retryAt of the error`);
      }
    }
    seen = await look();
    assert.equal(seen!.failureCount, due.failure_count, `${about}: failureCount`);
    assert.equal(seen!.verified, due.verified, `${about}: verified`);
    clock.assertNear(seen!.retryAt, due.timeout, `${about}: retryAt`);
    clock.assertNear(seen!.expiresAt, due.expiration, `${about}: expiresAt`);
  }
}

/** Tests that the service reproduces the recorded traces in these variants. */
export async function replayTraces(names: readonly (keyof typeof ways)[]): Promise<void> {
  service = await startService({
    OTP_TTL_SECONDS: String(traceLifetimeSeconds),
    // The original doubles without limit, so the service must exceed the longest trace.
    OTP_MAX_RETRY_DELAY_SECONDS: '86400',
    OTP_MAX_FAILURES: '1000',
    OTP_SEND_INTERVAL_SECONDS: '0',
    OTP_SENDS_PER_HOUR: '0',
    OTP_SENDS_PER_DAY: '0',
    SMS_PREFIX_SENDS_PER_HOUR: '0',
    // The superuser stays signed in for all traces.
    SESSION_IDLE_TTL_SECONDS: '31536000',
    SESSION_TTL_SECONDS: '31536000',
  });
  before(async () => {
    superuser = await makeSuperuser(service);
  });
  for (const name of names) {
    const way: Way & { takes(trace: Trace): boolean } = ways[name];
    describe(`a one-time password ${way.about}`, () => {
      const traces = vectors.map(({ input }) => coarsen(input)).filter(way.takes);
      before(() => assert.ok(traces.length > 0));
      for (const kind of ['email', 'phone'] as const)
        test(`reproduces the recorded traces of the ${kind} token`, async () => {
          for (const trace of traces.filter(({ token }) => token === kind)) await replayTrace(trace, way);
        });
    });
  }
}
