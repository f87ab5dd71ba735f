import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { consumeRateLimits, type RateLimit } from '../../src/database/rate-limits.queries.js';
import { openTestDatabase } from '../support/database.js';
import { connect } from '../support/replicas.js';
import { createDatabase } from '../support/service.js';

const url = await createDatabase();
/** Two pools, like two processes, with a connection per concurrent request. */
const pools = await Promise.all([1, 2].map(() => openTestDatabase({ url, poolSize: 20 })));
after(() => Promise.all(pools.map((pool) => pool.close())));
const { query, advance } = await connect(url);

const createLimit = (...windows: RateLimit['windows']): RateLimit => ({ key: randomBytes(32), windows });
const countEvents = async ({ key }: RateLimit) =>
  (await query('select from rate_limit_events where key = $1', [key])).length;
const limitedIn = async (pool: number, ...limits: RateLimit[]) =>
  (await pools[pool]!.db.transaction((tx) => consumeRateLimits(tx, limits))).limited;
const limitedBy = (...limits: RateLimit[]) => limitedIn(0, ...limits);
/** Counts 40 events at once, half of them in each pool. */
const countAtOnce = (limitsOf: (index: number) => RateLimit[]) =>
  Promise.all(Array.from({ length: 40 }, (_, index) => limitedIn(index % 2, ...limitsOf(index))));
const isAllowed = async (...limits: RateLimit[]) => (await limitedBy(...limits)) === undefined;

test('counts up to the limit in a window, and the next event when the first leaves it', async () => {
  const limit = createLimit({ count: 3, seconds: 3600 });
  for (const pause of [1200, 1200, 300]) {
    assert.equal(await isAllowed(limit), true);
    await advance(pause);
  }
  // Now is 2700 s after the first, 1500 s after the second and 300 s after the third event.
  const limited = await limitedBy(limit);
  assert.ok(limited !== undefined && limited.retryAfterSeconds > 870 && limited.retryAfterSeconds <= 900);
  await advance(870);
  assert.equal(await isAllowed(limit), false);
  await advance(30);
  assert.equal(await isAllowed(limit), true);
  // A fixed window would have restarted and would admit two more.
  assert.equal(await isAllowed(limit), false);
  await advance(1200);
  assert.equal(await isAllowed(limit), true);
  assert.equal(await isAllowed(limit), false);
});

test('counts the next event at retryAt, and not before', async () => {
  const limit = createLimit({ count: 1, seconds: 3600 });
  await limitedBy(limit);
  const [{ instant }] = await query('select occurred_at as instant from rate_limit_events where key = $1', [limit.key]);
  const limited = await limitedBy(limit);
  assert.equal(limited!.retryAt.getTime(), instant.getTime() + 3_600_000);
  await advance(limited!.retryAfterSeconds - 30);
  assert.equal(await isAllowed(limit), false);
  await advance(30);
  assert.equal(await isAllowed(limit), true);
});

test('admits exactly as many events as the windows allow', async () => {
  const windows = [
    { count: 1, seconds: 200 },
    { count: 3, seconds: 1000 },
    { count: 5, seconds: 6040 },
  ];
  const limit = createLimit(...windows);
  const counted: number[] = [];
  let now = 0;
  // All sums of pauses are 40 s from the end of a window, so the test duration is irrelevant.
  const pauses = [80, 80, 160, 80, 400, 240, 80, 720];
  for (let step = 0; step < 100; step += 1) {
    const opens = Math.max(
      ...windows.map(({ count, seconds }) => {
        const within = counted.filter((instant) => instant > now - seconds);
        return within.length < count ? 0 : within.at(-count)! + seconds - now;
      }),
    );
    const limited = await limitedBy(limit);
    assert.equal(limited === undefined, opens === 0, `at ${now} s after ${counted}`);
    if (limited === undefined) counted.push(now);
    else {
      const early = opens - limited.retryAfterSeconds;
      assert.ok(early >= 0 && early < 40, `${limited.retryAfterSeconds} s, not ${opens} s`);
    }
    const pause = pauses[(step * 5) % pauses.length]!;
    now += pause;
    await advance(pause);
  }
  assert.ok(counted.length > 10 && counted.length < 60, `${counted}`);
});

test('counts a rejected event under none of the limits', async () => {
  const [narrow, wide] = [createLimit({ count: 1, seconds: 60 }), createLimit({ count: 100, seconds: 60 })];
  assert.equal(await isAllowed(narrow, wide), true);
  for (let attempt = 0; attempt < 5; attempt += 1) assert.equal(await isAllowed(wide, narrow), false);
  assert.deepEqual([await countEvents(narrow), await countEvents(wide)], [1, 1]);
  assert.equal(await isAllowed(wide), true);
  await advance(60);
  assert.equal(await isAllowed(narrow), true, 'rejected events do not delay the next one');
});

test('reports the longest wait of several limits', async () => {
  const short = createLimit({ count: 1, seconds: 60 });
  const long = createLimit({ count: 1, seconds: 30 }, { count: 1, seconds: 900 });
  await limitedBy(short, long);
  for (const limits of [[short, long], [long, short], [long]]) {
    const limited = await limitedBy(...limits);
    assert.ok(limited!.retryAfterSeconds > 800 && limited!.retryAfterSeconds <= 900);
  }
});

test('neither limits nor counts a key without windows, and counts each key separately', async () => {
  const unlimited = createLimit();
  for (let attempt = 0; attempt < 3; attempt += 1) assert.equal(await isAllowed(unlimited), true);
  const limitedKey = createLimit({ count: 1, seconds: 60 });
  assert.equal(await isAllowed(unlimited, limitedKey), true);
  assert.equal(await isAllowed(unlimited, limitedKey), false);
  assert.equal(await countEvents(unlimited), 0);
  assert.equal(await isAllowed(createLimit({ count: 1, seconds: 60 })), true);
});

test('admits exactly the limit of 40 concurrent events over two pools', async () => {
  const limit = createLimit({ count: 7, seconds: 3600 });
  const answers = await countAtOnce(() => [limit]);
  assert.equal(answers.filter((limited) => limited === undefined).length, 7);
  assert.equal(await countEvents(limit), 7);
  assert.equal(new Set(answers.map((limited) => limited?.retryAt.getTime())).size, 2, 'one retryAt for all others');
});

test('does not deadlock on limits in opposite orders', async () => {
  const limits = Array.from({ length: 3 }, () => createLimit({ count: 10, seconds: 3600 }));
  const answers = await countAtOnce((index) => (index % 4 < 2 ? limits : limits.toReversed()));
  assert.equal(answers.filter((limited) => limited === undefined).length, 10);
  assert.deepEqual(await Promise.all(limits.map(countEvents)), [10, 10, 10]);
});
