import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { consumeRateLimits, type RateLimit } from '../../src/database/rate-limits.queries.js';
import { openTestDatabase } from '../support/database.js';
import { connect } from '../support/replicas.js';
import { createDatabase } from '../support/service.js';

const url = await createDatabase();
/** Two pools, as two processes have them, with a connection for each of those who ask at once. */
const pools = await Promise.all([1, 2].map(() => openTestDatabase({ url, poolSize: 20 })));
after(() => Promise.all(pools.map((pool) => pool.close())));
const { query, advance } = await connect(url);
const [{ db }, { db: otherDb }] = pools as [(typeof pools)[0], (typeof pools)[0]];

const limitOf = (...windows: RateLimit['windows']): RateLimit => ({ key: randomBytes(32), windows });
const countOf = async ({ key }: RateLimit) =>
  (await query('select from rate_limit_events where key = $1', [key])).length;
const limitedIn = async (database: typeof db, ...limits: RateLimit[]) =>
  (await database.transaction((tx) => consumeRateLimits(tx, limits))).limited;
const limitedBy = (...limits: RateLimit[]) => limitedIn(db, ...limits);
const isTaken = async (...limits: RateLimit[]) => (await limitedBy(...limits)) === undefined;

test('so many are counted in a window, and the next one when the first has left it', async () => {
  const limit = limitOf({ count: 3, seconds: 3600 });
  for (const pause of [1200, 1200, 300]) {
    assert.equal(await isTaken(limit), true);
    await advance(pause);
  }
  // 2700 s after the first, 1500 s after the second, 300 s after the third.
  const refused = await limitedBy(limit);
  assert.ok(refused !== undefined && refused.retryAfterSeconds > 870 && refused.retryAfterSeconds <= 900);
  await advance(870);
  assert.equal(await isTaken(limit), false);
  await advance(30);
  assert.equal(await isTaken(limit), true);
  // A window that began anew would let two more in.
  assert.equal(await isTaken(limit), false);
  await advance(1200);
  assert.equal(await isTaken(limit), true);
  assert.equal(await isTaken(limit), false);
});

test('retryAt is when the next one is counted: not before, and then it is', async () => {
  const limit = limitOf({ count: 1, seconds: 3600 });
  await limitedBy(limit);
  const [{ instant }] = await query('select occurred_at as instant from rate_limit_events where key = $1', [limit.key]);
  const refused = await limitedBy(limit);
  assert.equal(refused!.retryAt.getTime(), instant.getTime() + 3_600_000);
  await advance(refused!.retryAfterSeconds - 30);
  assert.equal(await isTaken(limit), false);
  await advance(30);
  assert.equal(await isTaken(limit), true);
});

test('in every window of each length there are never more than may be, and never fewer than could be', async () => {
  const windows = [
    { count: 1, seconds: 200 },
    { count: 3, seconds: 1000 },
    { count: 5, seconds: 6040 },
  ];
  const limit = limitOf(...windows);
  const counted: number[] = [];
  let now = 0;
  // Sums of these pauses stay forty seconds away from the end of every window, so that no time that the test itself takes matters.
  const pauses = [80, 80, 160, 80, 400, 240, 80, 720];
  for (let step = 0; step < 100; step += 1) {
    const opens = Math.max(
      ...windows.map(({ count, seconds }) => {
        const within = counted.filter((instant) => instant > now - seconds);
        return within.length < count ? 0 : within.at(-count)! + seconds - now;
      }),
    );
    const refused = await limitedBy(limit);
    assert.equal(refused === undefined, opens === 0, `at ${now} s after ${counted}`);
    if (refused === undefined) counted.push(now);
    else {
      const early = opens - refused.retryAfterSeconds;
      assert.ok(early >= 0 && early < 40, `${refused.retryAfterSeconds} s, not ${opens} s`);
    }
    const pause = pauses[(step * 5) % pauses.length]!;
    now += pause;
    await advance(pause);
  }
  assert.ok(counted.length > 10 && counted.length < 60, `${counted}`);
});

test('what is refused is not counted, under none of the limits', async () => {
  const [narrow, wide] = [limitOf({ count: 1, seconds: 60 }), limitOf({ count: 100, seconds: 60 })];
  assert.equal(await isTaken(narrow, wide), true);
  for (let attempt = 0; attempt < 5; attempt += 1) assert.equal(await isTaken(wide, narrow), false);
  assert.deepEqual([await countOf(narrow), await countOf(wide)], [1, 1]);
  assert.equal(await isTaken(wide), true);
  await advance(60);
  assert.equal(await isTaken(narrow), true, 'what was refused has not put it off');
});

test('the refusal that lasts longest is told', async () => {
  const [short, long] = [
    limitOf({ count: 1, seconds: 60 }),
    limitOf({ count: 1, seconds: 30 }, { count: 1, seconds: 900 }),
  ];
  await limitedBy(short, long);
  for (const limits of [[short, long], [long, short], [long]]) {
    const refused = await limitedBy(...limits);
    assert.ok(refused!.retryAfterSeconds > 800 && refused!.retryAfterSeconds <= 900);
  }
});

test('a key without windows limits nothing and is not counted', async () => {
  const unlimited = limitOf();
  for (let attempt = 0; attempt < 3; attempt += 1) assert.equal(await isTaken(unlimited), true);
  const limited = limitOf({ count: 1, seconds: 60 });
  assert.equal(await isTaken(unlimited, limited), true);
  assert.equal(await isTaken(unlimited, limited), false);
  assert.equal(await countOf(unlimited), 0);
});

test('keys are counted apart', async () => {
  const [one, other] = [limitOf({ count: 1, seconds: 60 }), limitOf({ count: 1, seconds: 60 })];
  assert.equal(await isTaken(one), true);
  assert.equal(await isTaken(other), true);
  assert.equal(await isTaken(one), false);
});

test('of 40 at once over two pools as many are counted as may be', async () => {
  const limit = limitOf({ count: 7, seconds: 3600 });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => limitedIn(index % 2 === 0 ? db : otherDb, limit)),
  );
  assert.equal(answers.filter((refused) => refused === undefined).length, 7);
  assert.equal(await countOf(limit), 7);
  assert.equal(new Set(answers.map((refused) => refused?.retryAt.getTime())).size, 2, 'one instant for all others');
});

test('limits named in opposite orders at once do not wait for each other in a circle', async () => {
  const limits = Array.from({ length: 3 }, () => limitOf({ count: 10, seconds: 3600 }));
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      limitedIn(index % 2 === 0 ? db : otherDb, ...(index % 4 < 2 ? limits : limits.toReversed())),
    ),
  );
  assert.equal(answers.filter((refused) => refused === undefined).length, 10);
  assert.deepEqual(await Promise.all(limits.map(countOf)), [10, 10, 10]);
});
