/** Compares the responses to a stranger about addresses with and without an account. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { caller } from './people.js';
import { advance, clear, startService } from './service.js';
import { type Address, forgive, makePair, questions, states, withoutSendLimits } from './strangers-view.js';
import { type Work, watchWork } from './work.js';

/** All kinds of addresses in all states. */
const cases = (['email', 'phone'] as const).flatMap((kind) => Object.keys(states).map((state) => ({ kind, state })));

/**
 * @param options.every runs every n-th case
 * @param options.times repetitions of each request after the waits
 */
export async function testEnumeration({ every, times }: { every: number; times: number }): Promise<void> {
  const service = await startService();
  const unlimited = await startService(withoutSendLimits);
  const anonymous = caller(service);
  const workOf = watchWork();

  beforeEach(() => Promise.all([clear(service), clear(unlimited)]));

  /** The response without random and time-dependent parts. Times are compared by second. */
  async function answerTo(question: string, about: Address): Promise<{ text: string; headers: string; at: number[] }> {
    const { document, variables } = questions[question]!(about);
    const { headers, ...answer } = await anonymous.ask(document, variables);
    const instants: number[] = [];
    const text = JSON.stringify(answer)
      .replaceAll(about.tokenId, 'the id')
      .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, (instant) => {
        instants.push(Date.parse(JSON.parse(instant)));
        return 'an instant';
      });
    // A second may pass between both requests.
    const seconds = [...text.matchAll(/"retryAfterSeconds":(\d+)/g)].map(([, each]) => Number(each) * 1000);
    const varying = ['x-request-id', 'date', 'content-length'];
    const told = [...headers].filter(([name]) => !varying.includes(name)).map((entry) => entry.join(': '));
    return {
      text: text.replaceAll(/\b\d+ seconds?\b|(?<="retryAfterSeconds":)\d+/g, 'some'),
      headers: told.join('\n'),
      at: [...instants, ...seconds],
    };
  }

  /** Extends every wait beyond a round of requests. */
  async function hold(): Promise<void> {
    const lengthen = (table: string) => `update ${table} set retry_at = retry_at + interval '1 hour'`;
    await service.app.db.execute(
      sql.raw(`with codes as (${lengthen('one_time_passwords')}) ${lengthen('sign_in_throttles')}`),
    );
  }

  async function assertAlike(question: string, known: Address, unknown: Address, about: string): Promise<void> {
    const [one, other] = [await answerTo(question, known), await answerTo(question, unknown)];
    assert.equal(one.text, other.text, `${question}, ${about}`);
    assert.equal(one.headers, other.headers, `${question}, ${about}`);
    for (const [index, instant] of one.at.entries())
      assert.ok(
        Math.abs(instant - other.at[index]!) < 10_000,
        `${question}, ${about}: ${instant} and ${other.at[index]}`,
      );
    await hold();
  }

  /** The work of the service for a stranger from an unknown network. */
  async function workFor(question: string, about: Address): Promise<Work> {
    await unlimited.app.db.execute(sql`delete from sessions`);
    const { document, variables } = questions[question]!(about);
    const { work } = await workOf(() => caller(unlimited).ask(document, variables));
    await forgive(unlimited);
    return work;
  }

  for (const { kind, state } of cases.filter((_, index) => index % every === 0))
    describe(`responds to a stranger alike for ${kind === 'email' ? 'an email' : 'a phone'} ${state} and one without an account`, () => {
      test(`by every operation, twice concurrently, and up to ${times} times after the waits`, async () => {
        const { known, unknown } = await makePair(service, state, kind, 1);
        await forgive(service);
        const askEverything = async (about: string) => {
          for (const question of Object.keys(questions)) await assertAlike(question, known, unknown, about);
        };
        await askEverything('time 1');
        await askEverything('time 1, again');
        for (let time = 2; time <= times; time += 1) {
          await advance(service, 100_000);
          await askEverything(`time ${time}`);
        }
      });

      test('by every operation, after the same statements, hashes and scores', async () => {
        const { known, unknown } = await makePair(unlimited, state, kind, 1);
        await forgive(unlimited);
        let counted = 0;
        for (const question of Object.keys(questions)) {
          const [one, other] = [await workFor(question, known), await workFor(question, unknown)];
          assert.deepEqual(one.hashes, other.hashes, question);
          assert.equal(one.scores.length, other.scores.length, question);
          const length = other.statements.length;
          counted += length;
          assert.deepEqual(one.statements.slice(0, length), other.statements, question);
          // Only the message is additional work, and the response does not wait for it.
          const more = one.statements.slice(length);
          assert.ok(more.length === 0 || question.startsWith('sendOneTimePassword'), `${question}: ${more}`);
          for (const statement of more)
            assert.match(statement, /^(begin|commit|lock_rate_limits|.*rate_limit.*|insert into "outbox_messages".*)$/);
        }
        assert.ok(counted > 20, `${counted} statements`);
      });
    });

  test('responds to a stranger before the message to the owner is stored', async () => {
    const { known } = await makePair(unlimited, 'that is verified', 'email', 1);
    await forgive(unlimited);
    const count = (await unlimited.app.outbox()).length;
    const locker = new pg.Client(unlimited.app.config.databaseUrl);
    await locker.connect();
    await locker.query('begin; lock table outbox_messages in exclusive mode');
    const { document, variables } = questions['sendOneTimePassword for AUTHENTICATION']!(known);
    const { data } = await caller(unlimited).ask(document, variables);
    assert.equal(data.sendOneTimePassword.__typename, 'SendOneTimePasswordSuccess');
    await locker.query('commit');
    await locker.end();
    assert.equal((await unlimited.app.outbox()).length, count + 1);
  });

  test('reveals no more to a stranger with the right password than an address without an account', async () => {
    const { known, unknown, person } = await makePair(service, 'that is verified', 'email', 1);
    await person.signOut();
    for (let time = 1; time <= 3; time += 1)
      for (const question of ['securityTokens', 'sendOneTimePassword for AUTHENTICATION'])
        await assertAlike(question, known, unknown, `time ${time}`);
  });
}
