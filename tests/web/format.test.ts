/** Durations and counts on the pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatClock, formatCount, formatWait } from '../../web/src/format.js';

test('a wait is a phrase that is never shorter than the wait', () => {
  for (const [seconds, phrase] of [
    [1, 'in 1 second'],
    [59, 'in 59 seconds'],
    [60, 'in 1 minute'],
    [61, 'in 2 minutes'],
    [287, 'in 5 minutes'],
    [3540, 'in 59 minutes'],
    [3541, 'in 1 hour'],
    [3600, 'in 1 hour'],
    [3601, 'in 2 hours'],
  ] as const)
    assert.equal(formatWait(seconds), phrase);
});

test('a clock shows hours only if there are any', () => {
  assert.deepEqual([9, 150, 3600].map(formatClock), ['0:09', '2:30', '1:00:00']);
});

test('a count has a plural unless it is one', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => formatCount(count, 'session')),
    ['0 sessions', '1 session', '2 sessions'],
  );
});
