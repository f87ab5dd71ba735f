import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { oneTimePasswordTrace as departures } from './departures.js';
import { coarsen, modelTrace } from './trace-model.js';
import { here, vectors } from './trace-replay.js';

const names = departures.map(({ name }) => name);

test('a trace without departures matches the recording', () => {
  for (const { input, expected } of vectors) {
    const recorded = expected.map(({ message: _, has_password: hasPassword, ...step }) => {
      assert.equal(hasPassword, step.expiration !== null);
      return step;
    });
    assert.deepEqual(modelTrace(input, new Set()), recorded, input.about);
  }
});

for (const { name, rule } of departures) {
  test(`a trace departs: ${rule}`, () => {
    const others = new Set(names.filter((other) => other !== name));
    const departing = vectors.filter(
      ({ input }) => !isDeepStrictEqual(modelTrace(input, here), modelTrace(input, others)),
    );
    assert.ok(departing.length > 0, `${name} applies to no vector`);
  });
}

test('a step just before a boundary is replayed a quarter of a second earlier, with the same responses', () => {
  const fine = vectors.filter(({ input }) => !isDeepStrictEqual(coarsen(input), input));
  assert.ok(fine.length > 0);
  for (const { input } of fine) assert.deepEqual(modelTrace(coarsen(input), here), modelTrace(input, here));
});
