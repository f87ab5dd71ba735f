/** Searches the rules of ownership and proof for histories that break their promises. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { histories, readerTables } from '../../support/ownership-histories.js';
import { checkHistory, type Limit, limits } from '../../support/ownership-invariants.js';
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
const rounds = Number(process.env.ROUNDS ?? 1000);
const hour = 3600;
const day = 24 * hour;
/** Alice reads the first email and the phone, Mallory the second email. */
const readers = { [a]: 'alice', [b]: 'mallory', [phone]: 'alice' } as const;
const world: World = { readers };

const signUp = { do: 'sign up', by: 'alice', username: false, email: null, phone: null, password: false } as const;
/** By the person who opened the latest session. */
const own = { session: 0, thief: false, currentPassword: false } as const;
const stolen = { session: 0, thief: true, currentPassword: false } as const;
const steal: Action = { do: 'steal', session: 0 };
const enterInSession: Action = { do: 'enter', session: 0, code: 0 };
const enterAnonymously: Action = { do: 'enter', session: null, code: 0 };
const wait = (seconds: number): Action => ({ do: 'wait', seconds });
const send = (purpose: 'AUTHENTICATION' | 'PASSWORD_RESET', address: typeof a | typeof b | typeof phone): Action => ({
  do: 'send',
  session: null,
  address,
  purpose,
});

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
    { numRuns: rounds, includeErrorInReport: true },
  );
  t.diagnostic([...reached].sort().join(', '));
  for (const rare of ['first proof', 'enter: StepUpRequiredError', 'remove address: UpdateUserSuccess'])
    assert.ok(reached.has(rare), `no history reaches ${rare}`);
});

const signUpVerified: Action[] = [{ ...signUp, email: a, password: true }, send('AUTHENTICATION', a), enterInSession];

/** Attacks that an earlier version of the rules permitted, and how the last action ends. */
const attacks: Record<string, { ends: Result['type']; history: Action[] }> = {
  'a thief renames an account whose only credentials are username and password': {
    ends: 'StepUpRequiredError',
    history: [
      { ...signUp, username: true, password: true },
      wait(2 * hour),
      { do: 'sign in', by: 'alice', identifier: 'username' },
      steal,
      { do: 'set username', ...stolen, username: 0 },
    ],
  },
  'a stranger signs up with the pending address that is the only identifier of an account': {
    ends: 'CreateUserSuccess',
    history: [
      { ...signUp, username: true, password: true },
      { do: 'set address', ...own, currentPassword: true, address: a },
      { do: 'set username', ...own, currentPassword: true, username: null },
      { ...signUp, by: 'mallory', email: a },
    ],
  },
  'a stranger does so after the account has lost its other address': {
    ends: 'CreateUserSuccess',
    history: [
      { ...signUp, email: a, password: true },
      { do: 'set address', ...own, currentPassword: true, address: phone },
      { do: 'import', address: a, password: null },
      { ...signUp, by: 'mallory', phone },
    ],
  },
  'a thief replaces a verified address by a mistyped one that the owner has added': {
    ends: 'StepUpRequiredError',
    history: [
      ...signUpVerified,
      wait(2 * hour),
      { do: 'set address', ...own, currentPassword: true, address: b },
      wait(hour / 2),
      steal,
      { do: 'send', session: 0, address: b, purpose: 'VERIFICATION' },
      enterInSession,
    ],
  },
  'a stranger signs up with the address of an account that staff have reactivated': {
    ends: 'ValidationError',
    history: [
      { ...signUp, email: a, password: true },
      { do: 'set active', account: 0, isActive: false },
      { do: 'set active', account: 0, isActive: true },
      { ...signUp, by: 'mallory', email: a },
    ],
  },
};

describe('an attack that the rules prevent breaks no promise', () => {
  for (const [name, { ends, history }] of Object.entries(attacks))
    test(name, () => {
      checkHistory(world, history);
      assert.equal(takeAll(history).results.at(-1)?.type, ends);
    });
});

/** Histories that break a promise within a declared limit. */
const counterexamples: Record<string, { limit: Limit; breaks: RegExp; history: Action[] }> = {
  'a thief changes the password in the first hour of a sign-up': {
    limit: 'session alone',
    breaks: /Mallory locks alice out/,
    history: [{ ...signUp, username: true, password: true }, steal, { do: 'change password', ...stolen }],
  },
  'a thief removes the reserved address of an old account without password': {
    limit: 'session alone',
    breaks: /alice does not return/,
    history: [
      { ...signUp, username: true, email: a },
      wait(2 * hour),
      steal,
      { do: 'remove address', ...stolen, kind: 'email' },
    ],
  },
  'a thief adds an address with a proof of the owner, and resets the password with it': {
    limit: 'borrowed proof',
    breaks: /Mallory locks alice out/,
    history: [
      { ...signUp, username: true, password: true },
      wait(2 * hour),
      { do: 'reauthenticate', ...own },
      steal,
      { do: 'set address', ...stolen, address: b },
      wait(11 * 60),
      { do: 'send', session: 0, address: b, purpose: 'VERIFICATION' },
      enterInSession,
      send('PASSWORD_RESET', b),
      enterAnonymously,
    ],
  },
  'a thief replaces a reserved address by a mistyped one that the owner has added': {
    limit: 'mistyped address',
    breaks: /alice does not return/,
    history: [
      { ...signUp, email: a, password: true },
      wait(2 * hour),
      { do: 'set address', ...own, currentPassword: true, address: b },
      wait(11 * 60),
      steal,
      { do: 'send', session: 0, address: b, purpose: 'VERIFICATION' },
      enterInSession,
    ],
  },
  'a thief verifies a mistyped address of an account without another, and resets the password': {
    limit: 'mistyped address',
    breaks: /Mallory locks alice out/,
    history: [
      { ...signUp, username: true, password: true },
      wait(2 * hour),
      { do: 'set address', ...own, currentPassword: true, address: b },
      wait(11 * 60),
      steal,
      { do: 'send', session: 0, address: b, purpose: 'VERIFICATION' },
      enterInSession,
      send('PASSWORD_RESET', b),
      enterAnonymously,
    ],
  },
};

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
