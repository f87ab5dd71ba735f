/** Replays recorded vectors against the service: vectors, departures and initial users. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'drizzle-orm';
import { expectMember, operations } from '../support/client.js';
import { advance, type Service } from '../support/service.js';
import type { Amendment, Issues, Person } from './departures.js';
import { readVectors } from './vectors.js';

interface Replay<Input, Expected, Answer> {
  vectors: string;
  amendments: Amendment<Input, Answer>[];
  /** The recorded response in our format. */
  original(expected: Expected): Answer;
  /** The response of the service. */
  answer(input: Input): Promise<Answer>;
}

/**
 * Sends every recorded vector to the service, and expects the recorded response after all
 * departures.
 */
export function replay<Input, Expected, Answer>({
  vectors,
  amendments,
  original,
  answer,
}: Replay<Input, Expected, Answer>): void {
  const departing = new Map(amendments.map(({ name }) => [name, 0]));
  const cases = readVectors<Input, Expected>(vectors).map(({ input, expected }) => {
    let here = original(expected);
    const applied = amendments.filter(({ amend }) => {
      const before = here;
      here = amend(input, before);
      return !isDeepStrictEqual(here, before);
    });
    for (const { name } of applied) departing.set(name, departing.get(name)! + 1);
    return { input, here, applied };
  });

  async function hold(some: typeof cases): Promise<void> {
    const differing = [];
    for (const { input, here } of some) {
      const ours = await answer(input);
      if (!isDeepStrictEqual(ours, here)) differing.push({ input, answered: ours, expected: here });
    }
    assert.equal(differing.length, 0, `${differing.length} vectors differ:\n${JSON.stringify(differing, null, 1)}`);
  }

  const alike = cases.filter(({ applied }) => applied.length === 0);
  test(`${vectors}: ${alike.length} of ${cases.length} vectors match the original`, async () => {
    assert.ok(alike.length > 0);
    await hold(alike);
  });

  for (const departure of amendments) {
    test(`${vectors} departs: ${departure.rule}`, async () => {
      assert.notEqual(departing.get(departure.name), 0, `${departure.name} applies to no vector`);
      await hold(cases.filter(({ applied }) => applied.includes(departure)));
    });
  }
}

/** Codes by field, as in the vectors. */
export function issuesOf(issues: { field: string | null; code: string }[]): Issues {
  const byField: Issues['issues'] = {};
  for (const { field, code } of issues) {
    const name = field ?? '__all__';
    byField[name] = [...(byField[name] ?? []), code];
  }
  return { issues: byField };
}

/** The initial users of look-ups and sign-ins, by label. */
export function readFixtures(): Map<string, Person> {
  const fixtures = readVectors<string, Person>('authenticate_fixtures');
  return new Map(fixtures.map(({ input, expected }) => [input, expected]));
}

/** Signs the users up. @returns labels by user ID */
export async function signUpFixtures(service: Service): Promise<Map<string, string>> {
  const labels = new Map<string, string>();
  const { db, passwords } = service.app;
  const anonymous = operations(service);
  for (const [label, { password, is_active: isActive = true, ...identifiers }] of readFixtures()) {
    let made = await anonymous.createUser({ ...identifiers, ...(password && { password }) });
    const tooWeak = made.issues?.every(({ field }) => field === 'password');
    if (tooWeak) made = await anonymous.createUser(identifiers);
    const { id } = expectMember(made, 'CreateUserSuccess', label).user;
    // Models an imported value that sign-up would reject.
    if (tooWeak || password === '')
      await db.execute(sql`update users set password_hash = ${await passwords.hash(password!)} where id = ${id}`);
    if (!isActive) await db.execute(sql`update users set is_active = false where id = ${id}`);
    labels.set(id, label);
  }
  return labels;
}

/**
 * The clock of a trace. It is frozen between requests, like in the recording, so a slow machine
 * changes no response.
 */
export class TraceClock {
  readonly #service: Service;
  readonly #startedAt = Date.now();
  #shiftedMs = 0;
  /** The seconds by which a time of the service may exceed the frozen clock. */
  #tolerance = 0;

  constructor(service: Service) {
    this.#service = service;
  }

  /** Returns the seconds since the start of the trace by the clock of the service. */
  get #now(): number {
    return (Date.now() - this.#startedAt + this.#shiftedMs) / 1000;
  }

  /**
   * Does something at that many seconds from the start.
   * @param notBefore a time of the service, if the trace is exactly at it
   */
  async at<T>(seconds: number, work: () => Promise<T>, notBefore: string | null = null): Promise<T> {
    const target = Math.max(seconds, notBefore === null ? 0 : this.secondsOf(notBefore)! + 0.001);
    const ms = Math.round((target - this.#now) * 1000);
    // Resets the clock only after the tolerance, because a reset takes time.
    if (ms > 0 || ms < -50) {
      await advance(this.#service, ms / 1000);
      this.#shiftedMs += ms;
    }
    const done = await work();
    this.#tolerance = Math.max(this.#tolerance, this.#now - seconds);
    return done;
  }

  /** The maximum delay of a step. */
  get maxDelaySeconds(): number {
    return this.#tolerance;
  }

  /** Converts a time of the service to seconds from the start. */
  secondsOf(instant: string | null): number | null {
    return instant === null ? null : (Date.parse(instant) - this.#startedAt + this.#shiftedMs) / 1000;
  }

  /** @param recorded seconds from the start, with a frozen clock */
  assertNear(instant: string | null, recorded: number | null, about: string): void {
    const seconds = this.secondsOf(instant);
    if (recorded === null || seconds === null) {
      assert.equal(seconds, recorded, about);
      return;
    }
    const late = seconds - recorded;
    // Stored times have whole milliseconds.
    const near = late >= -0.002 && late <= this.#tolerance + 0.002;
    assert.ok(near, `${about} is ${seconds} s from the start, not ${recorded}`);
  }
}
