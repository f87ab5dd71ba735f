/** An address that somebody has and one that nobody has, asked about by a stranger in every way: the same answers, in the same order, at the same pace. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { caller } from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';
import { type Address, forgive, makePair, questions, states, withoutSendLimits } from '../support/strangers-view.js';
import { compare } from '../support/timing.js';

const service = await startService();
const unlimited = await startService(withoutSendLimits);
const anonymous = caller(service);

beforeEach(() => clear(service));

/** All of the answer but what is random or of the moment: ids, and instants, of which only the second counts. */
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
  // Between the one question and the other a second may pass.
  const seconds = [...text.matchAll(/"retryAfterSeconds":(\d+)/g)].map(([, each]) => Number(each) * 1000);
  const varying = ['x-request-id', 'date', 'content-length'];
  const told = [...headers].filter(([name]) => !varying.includes(name)).map((entry) => entry.join(': '));
  return {
    text: text.replaceAll(/\b\d+ seconds?\b|(?<="retryAfterSeconds":)\d+/g, 'some'),
    headers: told.join('\n'),
    at: [...instants, ...seconds],
  };
}

/** Lengthens every wait, so that none is over while the questions of one round are asked. */
async function hold(): Promise<void> {
  for (const table of ['one_time_passwords', 'sign_in_throttles'])
    await service.app.db.execute(sql.raw(`update ${table} set retry_at = retry_at + interval '1 hour'`));
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

for (const kind of ['email', 'phone'] as const)
  for (const state of Object.keys(states))
    describe(`a stranger is answered about ${kind === 'email' ? 'an email' : 'a phone'} ${state} like about one that nobody has`, () => {
      test('by every operation, again and again at once', async () => {
        const { known, unknown } = await makePair(service, state, kind, 1);
        await forgive(service);
        for (let time = 1; time <= 2; time += 1)
          for (const question of Object.keys(questions)) await assertAlike(question, known, unknown, `time ${time}`);
      });

      test('by every operation, from the first to the fifth time when the waits are over', async () => {
        const { known, unknown } = await makePair(service, state, kind, 1);
        await forgive(service);
        for (let time = 1; time <= 5; time += 1) {
          for (const question of Object.keys(questions)) await assertAlike(question, known, unknown, `time ${time}`);
          await advance(service, 100_000);
        }
      });
    });

test('after the right password a stranger to the account is told nothing that nobody’s address does not tell', async () => {
  const { known, unknown, person } = await makePair(service, 'that is verified', 'email', 1);
  await person.signOut();
  for (let time = 1; time <= 3; time += 1)
    for (const question of ['securityTokens', 'sendOneTimePassword for AUTHENTICATION'])
      await assertAlike(question, known, unknown, `time ${time}`);
});

/** So coarse that no load of the machine reaches it; a hash or a message that one of the two is spared would. The bench is finer. */
describe('the pace is the same', () => {
  const pairs = 40;
  for (const question of [
    'authenticate',
    'securityTokens',
    'sendOneTimePassword for AUTHENTICATION',
    'checkOneTimePassword for AUTHENTICATION',
    'resetPassword',
  ])
    test(`of ${question}, over ${pairs} pairs in turn`, async () => {
      await clear(unlimited);
      const { known, unknown } = await makePair(unlimited, 'that is verified', 'email', 1);
      const ask = (about: Address) => async () => {
        const { document, variables } = questions[question]!(about);
        await caller(unlimited).ask(document, variables);
      };
      const { medians, z } = await compare(pairs, ask(known), ask(unknown), () => forgive(unlimited));
      const ratio = Math.max(...medians) / Math.min(...medians);
      assert.ok(
        ratio < 2.5,
        `medians of ${medians.map((each) => each.toFixed(1)).join(' and ')} ms, z = ${z.toFixed(1)}`,
      );
    });
});
