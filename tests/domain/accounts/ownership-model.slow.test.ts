/** Searches the rules of ownership and proof for histories that break their promises. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  attacks,
  counterexamples,
  enterAnonymously,
  enterInSession,
  hour,
  own,
  readers,
  send,
  signUp,
  steal,
  stolen,
  wait,
} from '../../support/ownership-examples.js';
import { histories, readerTables } from '../../support/ownership-histories.js';
import { checkHistory, limits } from '../../support/ownership-invariants.js';
import {
  type Action,
  addresses,
  describeAccount,
  type Result,
  type State,
  start,
  take,
  type World,
} from '../../support/ownership-model.js';

const [a, b, phone] = addresses;
const { ROUNDS } = process.env;
/** The usual run is always the same. More rounds search new histories. */
const run = ROUNDS === undefined ? { numRuns: 500, seed: 1 } : { numRuns: Number(ROUNDS) };
const day = 24 * hour;
const world: World = { readers };

test('after each action of random histories, the promises hold', (t) => {
  const reached = new Set<string>();
  fc.assert(
    fc.property(fc.constantFrom(...readerTables), histories, (readers, history) =>
      checkHistory({ readers }, history, {
        onStep({ action, result }) {
          reached.add(`${action.do}: ${result.type}`);
          if (result.firstProofOf !== undefined) reached.add('first proof');
        },
      }),
    ),
    { ...run, includeErrorInReport: true },
  );
  t.diagnostic([...reached].sort().join(', '));
  for (const rare of ['first proof', 'enter: StepUpRequiredError', 'remove address: UpdateUserSuccess'])
    assert.ok(reached.has(rare), `no history reaches ${rare}`);
});

describe('an attack that the rules prevent breaks no promise', () => {
  for (const [name, { ends, history }] of Object.entries(attacks))
    test(name, () => {
      checkHistory(world, history);
      assert.equal(takeAll(history).results.at(-1)?.type, ends);
    });
});

describe('a counterexample breaks a promise within a declared limit only', () => {
  for (const [name, { limit, breaks, history }] of Object.entries(counterexamples))
    test(name, () => {
      assert.throws(() => checkHistory(world, history, { without: limit }), breaks);
      checkHistory(world, history);
    });

  test('each limit has a counterexample', () => {
    assert.deepEqual(new Set(Object.values(counterexamples).map(({ limit }) => limit)), new Set(limits));
  });
});

function takeAll(history: Action[]): { state: State; results: Result[] } {
  const results: Result[] = [];
  let state = start;
  for (const action of history) {
    const taken = take(world, state, action);
    state = taken.state;
    results.push(taken.result);
  }
  return { state, results };
}

describe('the prover of a reserved address', () => {
  const history: Action[] = [
    { ...signUp, by: 'mallory', username: true, email: a, password: true },
    wait(5 * day),
    send('AUTHENTICATION', a),
    enterAnonymously,
  ];

  test('gets the account without the password of its creator', () => {
    const { state } = takeAll(history);
    assert.deepEqual(state.accounts.map(describeAccount), [
      {
        username: 'mallory',
        email: a,
        emailVerified: true,
        pendingEmail: null,
        phone: null,
        phoneVerified: null,
        pendingPhone: null,
        isActive: true,
        hasUsablePassword: false,
      },
    ]);
  });

  test('can set a password at once, because first proof counts as sign-up', () => {
    const choice: Action[] = [...history, { do: 'change password', ...own }];
    assert.equal(takeAll(choice).results.at(-1)?.type, 'ChangePasswordSuccess');
    const later: Action[] = [...history, wait(2 * hour), { do: 'change password', ...own }];
    assert.equal(takeAll(later).results.at(-1)?.type, 'StepUpRequiredError');
  });
});

test('a code to a reserved address outlives the account, and opens a new one', () => {
  const { state, results } = takeAll([
    { ...signUp, by: 'mallory', username: true, email: a, password: true },
    send('AUTHENTICATION', a),
    { do: 'delete account', ...own, currentPassword: true },
    enterAnonymously,
  ]);
  assert.equal(results.at(-1)?.type, 'CheckOneTimePasswordSuccess');
  assert.deepEqual(
    state.accounts.map(({ held, creator }) => [held.email?.address, held.email?.verifiedAt, creator]),
    [[a, state.now, 'alice']],
  );
});

describe('a thief who reads an address that is younger than the owner’s', () => {
  const verify = (address: typeof a | typeof b): Action[] => [
    { do: 'send', session: 0, address, purpose: 'VERIFICATION' },
    enterInSession,
  ];
  const history: Action[] = [
    { ...signUp, phone },
    send('AUTHENTICATION', phone),
    enterInSession,
    wait(25 * hour),
    send('AUTHENTICATION', phone),
    enterInSession,
    { do: 'set address', ...own, address: b },
    steal,
    enterInSession,
    wait(25 * hour),
    ...verify(b),
  ];
  const acts: Record<string, Action> = {
    'remove the older address': { do: 'remove address', ...stolen, kind: 'phone' },
    'delete the account': { do: 'delete account', ...stolen },
  };
  for (const [name, act] of Object.entries(acts))
    test(`cannot ${name}`, () => {
      assert.deepEqual(takeAll([...history, act]).results.slice(-2), [
        { type: 'CheckOneTimePasswordSuccess' },
        { type: 'StepUpRequiredError' },
      ]);
    });
});
