import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  lockedWaitSeconds,
  type ThrottlePolicy,
  waitSchedule,
  waitSeconds,
} from '../../../src/domain/authentication/throttling.js';

const checks: ThrottlePolicy = { maxRetryDelaySeconds: 3600, maxFailures: 100 };
const strangers: ThrottlePolicy = { maxRetryDelaySeconds: 60, maxFailures: null };

const policy: fc.Arbitrary<ThrottlePolicy> = fc.record({
  maxRetryDelaySeconds: fc.integer({ min: 0, max: 1_000_000 }),
  maxFailures: fc.option(fc.integer({ min: 1, max: 300 })),
});
const failureCount = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.maxSafeNat());

describe('wait after a failure', () => {
  test('doubles from one second to the maximum, and is a day from the hundredth failure on', () => {
    const waits = Array.from({ length: 14 }, (_, index) => waitSeconds(index + 1, checks));
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
    assert.deepEqual(
      [99, 100, 1_000_000].map((count) => waitSeconds(count, checks)),
      [3600, 86_400, 86_400],
    );
    assert.equal(lockedWaitSeconds, 86_400);
  });

  test('stays at the maximum without a lock, and is zero without failures', () => {
    for (const count of [7, Number.MAX_SAFE_INTEGER]) assert.equal(waitSeconds(count, strangers), 60);
    for (const count of [0, -1]) assert.equal(waitSeconds(count, checks), 0);
    assert.equal(waitSeconds(0, { ...checks, maxFailures: 0 }), 0);
  });

  test('never decreases with more failures and never overflows', () => {
    fc.assert(
      fc.property(policy, fc.maxSafeNat(), (each, beyond) => {
        let wait = 0;
        for (const count of [...Array(400).keys(), 400 + beyond]) {
          const next = waitSeconds(count, each);
          assert.ok(next >= wait, `${next} after ${wait}`);
          assert.ok(Number.isSafeInteger(next));
          wait = next;
        }
        assert.ok(wait <= Math.max(each.maxRetryDelaySeconds, lockedWaitSeconds));
      }),
    );
  });
});

describe('wait schedule', () => {
  test('ends with the wait that repeats', () => {
    assert.deepEqual(waitSchedule(strangers), [1, 2, 4, 8, 16, 32, 60]);
    assert.equal(waitSchedule(checks).length, 100);
    assert.deepEqual(waitSchedule({ maxRetryDelaySeconds: 3600, maxFailures: 3 }), [1, 2, lockedWaitSeconds]);
    assert.deepEqual(waitSchedule({ maxRetryDelaySeconds: 1, maxFailures: null }), [1]);
  });

  test('holds the wait of every count, and at its end that of larger counts, which it does not repeat', () => {
    fc.assert(
      fc.property(policy, failureCount, (each, count) => {
        const schedule = waitSchedule(each);
        if (count > 0) assert.equal(schedule[Math.min(count, schedule.length) - 1], waitSeconds(count, each));
        if (schedule.length > 1) assert.notEqual(schedule.at(-1), schedule.at(-2));
      }),
    );
  });
});
