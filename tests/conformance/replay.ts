/** What every replay of recorded vectors through the service needs: the vectors, the departures put to them, and the people they begin with. */
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
  /** What was recorded, in the form of our answers. */
  original(expected: Expected): Answer;
  /** What the service answers. */
  answer(input: Input): Promise<Answer>;
}

/** Puts every recorded vector to the service, and expects what was recorded, amended by each departure that applies to it. */
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
  test(`${vectors}: ${alike.length} of ${cases.length} vectors are answered like the original`, async () => {
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

/** The codes by field, as the vectors have them. */
export function issuesOf(issues: { field: string | null; code: string }[]): Issues {
  const byField: Issues['issues'] = {};
  for (const { field, code } of issues) {
    const name = field ?? '__all__';
    byField[name] = [...(byField[name] ?? []), code];
  }
  return { issues: byField };
}

/** The people whom the look-ups and the sign-ins were recorded with, by their label. */
export function readFixtures(): Map<string, Person> {
  const fixtures = readVectors<string, Person>('authenticate_fixtures');
  return new Map(fixtures.map(({ input, expected }) => [input, expected]));
}

/** Signs them up. @returns the label of each by user id */
export async function signUpFixtures(service: Service): Promise<Map<string, string>> {
  const labels = new Map<string, string>();
  const { db, passwords } = service.app;
  const anonymous = operations(service);
  for (const [label, { password, is_active: isActive = true, ...identifiers }] of readFixtures()) {
    let made = await anonymous.createUser({ ...identifiers, ...(password && { password }) });
    const tooWeak = made.issues?.every(({ field }) => field === 'password');
    if (tooWeak) made = await anonymous.createUser(identifiers);
    const { id } = expectMember(made, 'CreateUserSuccess', label).user;
    // As if brought along from elsewhere: sign-up would not take it.
    if (tooWeak || password === '')
      await db.execute(sql`update users set password_hash = ${await passwords.hash(password!)} where id = ${id}`);
    if (!isActive) await db.execute(sql`update users set is_active = false where id = ${id}`);
    labels.set(id, label);
  }
  return labels;
}

/**
 * The clock of a trace, which was recorded with a frozen one: it stands still but for the time that one request takes,
 * so that a slow machine changes no answer.
 */
export class TraceClock {
  readonly #service: Service;
  readonly #startedAt = Date.now();
  #shiftedMs = 0;
  /** Seconds by which an instant of the service may be later than the frozen clock would have it. */
  #tolerance = 0;

  constructor(service: Service) {
    this.#service = service;
  }

  /** Seconds since the start of the trace, as the service counts them. */
  get #now(): number {
    return (Date.now() - this.#startedAt + this.#shiftedMs) / 1000;
  }

  /**
   * Does something at that many seconds from the start.
   * @param notBefore an instant of the service's, where the trace stands exactly at it
   */
  async at<T>(seconds: number, work: () => Promise<T>, notBefore: string | null = null): Promise<T> {
    const target = Math.max(seconds, notBefore === null ? 0 : this.secondsOf(notBefore)! + 0.001);
    const ms = Math.round((target - this.#now) * 1000);
    // Set back only when it is worth while: the time that has gone by since is within the tolerance.
    if (ms > 0 || ms < -50) {
      await advance(this.#service, ms / 1000);
      this.#shiftedMs += ms;
    }
    const done = await work();
    this.#tolerance = Math.max(this.#tolerance, this.#now - seconds);
    return done;
  }

  /** The longest time by which a step ended later than the trace has it. */
  get maxDelaySeconds(): number {
    return this.#tolerance;
  }

  /** An instant of the service's in seconds from the start. */
  secondsOf(instant: string | null): number | null {
    return instant === null ? null : (Date.parse(instant) - this.#startedAt + this.#shiftedMs) / 1000;
  }

  /** @param recorded in seconds from the start, where the clock was frozen */
  assertNear(instant: string | null, recorded: number | null, about: string): void {
    const seconds = this.secondsOf(instant);
    if (recorded === null || seconds === null) {
      assert.equal(seconds, recorded, about);
      return;
    }
    const late = seconds - recorded;
    // Stored instants have whole milliseconds.
    const near = late >= -0.002 && late <= this.#tolerance + 0.002;
    assert.ok(near, `${about} is ${seconds} s from the start, not ${recorded}`);
  }
}
