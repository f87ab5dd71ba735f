/** Tests which histories of a security token are linearizable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from '../support/linearizability.js';
import { type CheckAnswer, stepsOfToken, type TokenOperation, untouched } from '../support/one-time-password-model.js';

const explained = (history: readonly TokenOperation[]) => explain(history, untouched, stepsOfToken);

/** Handwritten histories: operations with times of request and response. */
const generate = (askedAt: number, answeredAt: number, oneTimePassword: string): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'generate',
  oneTimePassword,
  expiresAt: askedAt + 600_000,
});
/** @param stored count, `retryAt` and `expiresAt` after the operation */
const advance = (
  askedAt: number,
  answeredAt: number,
  seconds: number,
  [failureCount, retryAt, expiresAt]: [number, number | null, number | null],
): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'advance',
  milliseconds: seconds * 1_000,
  failureCount,
  retryAt,
  expiresAt,
});
const check = (askedAt: number, answeredAt: number, guess: string, answer: CheckAnswer): TokenOperation => ({
  askedAt,
  answeredAt,
  do: 'check',
  guess,
  answer,
});

for (const [title, possible, ...history] of [
  ['a password that works', true, generate(0, 10, 'A'), check(20, 30, 'A', 'right')],
  ['one that works twice', false, generate(0, 10, 'A'), check(20, 30, 'A', 'right'), check(40, 50, 'A', 'right')],
  [
    'one that works for two concurrent uses',
    false,
    generate(0, 10, 'A'),
    check(20, 50, 'A', 'right'),
    check(20, 50, 'A', 'right'),
  ],
  [
    'one with two concurrent uses that works once',
    true,
    generate(0, 10, 'A'),
    check(20, 50, 'A', 'right'),
    check(20, 50, 'A', 'wrong'),
  ],
  ['one that works before it is made', false, check(0, 10, 'A', 'right'), generate(20, 30, 'A')],
  ['one that works while it is made', true, check(0, 30, 'A', 'right'), generate(0, 30, 'A')],
  ['one that does not work', false, generate(0, 10, 'A'), check(20, 30, 'A', 'wrong')],
  ['the one before the newest', false, generate(0, 10, 'A'), generate(20, 30, 'B'), check(40, 50, 'A', 'right')],
  [
    'one that expires while it is checked',
    true,
    generate(0, 10, 'A'),
    advance(20, 50, 600, [0, null, 0]),
    check(20, 50, 'A', 'wrong'),
  ],
  [
    'one that has expired',
    false,
    generate(0, 10, 'A'),
    advance(20, 30, 600, [0, null, 0]),
    check(40, 50, 'A', 'right'),
  ],
  ['a guess before retryAt that is compared', false, check(0, 10, 'X', 'wrong'), check(20, 30, 'Y', 'wrong')],
  [
    'a guess after the wait',
    true,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
  ],
  ['a failure that is not counted', false, check(0, 10, 'X', 'wrong'), advance(20, 30, 1, [0, null, null])],
  [
    'a password that stays after its use',
    false,
    generate(0, 10, 'A'),
    check(20, 30, 'A', 'right'),
    advance(40, 50, 1, [0, null, 599_000]),
  ],
  ['a guess after the wait in real time', true, check(0, 10, 'X', 'wrong'), check(1_020, 1_030, 'Y', 'wrong')],
  [
    'a third guess before the end of the second wait',
    false,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
    advance(60, 70, 1, [2, 1_045, null]),
    check(80, 90, 'Z', 'wrong'),
  ],
  [
    'a third guess after the second wait',
    true,
    check(0, 10, 'X', 'wrong'),
    advance(20, 30, 1, [1, 5, null]),
    check(40, 50, 'Y', 'wrong'),
    advance(60, 70, 2, [2, 45, null]),
    check(80, 90, 'Z', 'wrong'),
  ],
  ['two concurrent guesses that are both compared', false, check(0, 50, 'X', 'wrong'), check(0, 50, 'Y', 'wrong')],
  [
    'two concurrent guesses of which one is compared',
    true,
    check(0, 50, 'X', 'wrong'),
    check(0, 50, 'Y', { retryAt: 1_025, failureCount: 1 }),
  ],
  ['a wait without a failure', false, generate(0, 10, 'A'), check(20, 30, 'X', { retryAt: 1_025, failureCount: 1 })],
  [
    'a wait for another failure',
    false,
    check(0, 10, 'X', 'wrong'),
    check(20, 30, 'X', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a wait that has ended',
    false,
    check(0, 10, 'X', 'wrong'),
    check(1_020, 1_030, 'X', { retryAt: 1_005, failureCount: 1 }),
  ],
  [
    'a count that differs from the failures',
    false,
    check(0, 10, 'X', 'wrong'),
    check(20, 30, 'X', { retryAt: 1_005, failureCount: 2 }),
  ],
  [
    'a count that a new password clears',
    false,
    check(0, 10, 'X', 'wrong'),
    generate(20, 30, 'A'),
    check(40, 50, 'A', 'right'),
  ],
  [
    'a count that a new password leaves unchanged',
    true,
    check(0, 10, 'X', 'wrong'),
    generate(20, 30, 'A'),
    check(40, 50, 'A', { retryAt: 1_005, failureCount: 1 }),
  ],
  [
    'a rejection while the right one is being used',
    true,
    generate(0, 10, 'A'),
    check(20, 80, 'A', 'right'),
    check(30, 40, 'X', { retryAt: 1_025, failureCount: 1 }),
    check(90, 95, 'X', 'wrong'),
  ],
  [
    'a rejection after the right one was used',
    false,
    generate(0, 10, 'A'),
    check(20, 40, 'A', 'right'),
    check(50, 60, 'X', { retryAt: 1_025, failureCount: 1 }),
  ],
  [
    'a right one that is replaced before it is used',
    true,
    generate(0, 10, 'A'),
    check(20, 90, 'A', 'wrong'),
    check(30, 40, 'X', { retryAt: 1_025, failureCount: 1 }),
    generate(50, 60, 'B'),
  ],
] as [string, boolean, ...TokenOperation[]][])
  test(`a history with ${title} ${possible ? 'is' : 'is not'} linearizable`, () => {
    assert.equal(explained(history) !== null, possible);
    // In any recorded order.
    assert.equal(explained(history.toReversed()) !== null, possible);
  });
