/** Named histories of the ownership model. Alice is the victim. */
import type { Limit } from './ownership-invariants.js';
import { type Action, addresses, type Result } from './ownership-model.js';

const [a, b, phone] = addresses;
export const hour = 3600;
/** Alice reads the first email and the phone, Mallory the second email. */
export const readers = { [a]: 'alice', [b]: 'mallory', [phone]: 'alice' } as const;

export const signUp = {
  do: 'sign up',
  by: 'alice',
  username: false,
  email: null,
  phone: null,
  password: false,
} as const;
/** By the person who opened the latest session. */
export const own = { session: 0, thief: false, currentPassword: false } as const;
export const stolen = { session: 0, thief: true, currentPassword: false } as const;
export const steal: Action = { do: 'steal', session: 0 };
export const enterInSession: Action = { do: 'enter', session: 0, code: 0 };
export const enterAnonymously: Action = { do: 'enter', session: null, code: 0 };
export const wait = (seconds: number): Action => ({ do: 'wait', seconds });
export const send = (
  purpose: 'AUTHENTICATION' | 'PASSWORD_RESET',
  address: typeof a | typeof b | typeof phone,
): Action => ({
  do: 'send',
  session: null,
  address,
  purpose,
});

const signUpVerified: Action[] = [{ ...signUp, email: a, password: true }, send('AUTHENTICATION', a), enterInSession];

/** Attacks that an earlier version of the rules permitted, and how the last action ends. */
export const attacks: Record<string, { ends: Result['type']; history: Action[] }> = {
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

/** Histories that break a promise within a declared limit. */
export const counterexamples: Record<string, { limit: Limit; breaks: RegExp; history: Action[] }> = {
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

/** Histories that random ones rarely contain. */
export const rareHistories: Record<string, Action[]> = {
  'the codes to both addresses of a sign-up verify them, one after the other': [
    { ...signUp, email: a, phone },
    { do: 'send', session: 0, address: a, purpose: 'VERIFICATION' },
    { do: 'send', session: 0, address: phone, purpose: 'VERIFICATION' },
    enterInSession,
    enterInSession,
  ],
  'a code for the former account of an address verifies it in a session of its present account': [
    { ...signUp, by: 'mallory', email: a, username: true },
    send('AUTHENTICATION', a),
    { do: 'remove address', ...own, kind: 'email' },
    { ...signUp, email: a, password: true },
    enterInSession,
    { do: 'reauthenticate', ...own },
  ],
  'an account that staff have reactivated reserves the address of its sign-up, not the pending one': [
    { ...signUp, email: a, password: true },
    { do: 'set address', ...own, address: b },
    { do: 'set active', account: 0, isActive: false },
    { do: 'set active', account: 0, isActive: true },
  ],
  'first proof counts as sign-up for an hour': [
    { ...signUp, by: 'mallory', email: a, password: true },
    wait(25 * hour),
    send('AUTHENTICATION', a),
    enterAnonymously,
    { do: 'change password', ...own },
    wait(2 * hour),
    { do: 'set address', ...own, address: phone },
  ],
  'a young address proves nothing': [
    { ...signUp, username: true, email: a },
    wait(25 * hour),
    send('AUTHENTICATION', a),
    enterInSession,
    send('AUTHENTICATION', a),
    enterInSession,
    { do: 'set address', ...own, address: phone },
    wait(25 * hour),
    send('AUTHENTICATION', a),
    enterInSession,
    { do: 'set address', ...own, address: phone },
  ],
  'a reset drops a young address that was verified after the one it proves': [
    { ...signUp, email: a, password: true },
    send('AUTHENTICATION', a),
    enterInSession,
    wait(25 * hour),
    { do: 'set address', ...own, currentPassword: true, address: phone },
    enterInSession,
    wait(25 * hour),
    send('PASSWORD_RESET', a),
    enterAnonymously,
  ],
  'a young password proves nothing': [
    { ...signUp, email: a, password: true },
    send('AUTHENTICATION', a),
    enterInSession,
    wait(25 * hour),
    send('PASSWORD_RESET', a),
    enterAnonymously,
    { do: 'reauthenticate', ...own },
    { do: 'set address', ...own, currentPassword: true, address: phone },
  ],
  'a verified address ends its reservation, and is taken': [
    { ...signUp, username: true },
    { do: 'set address', ...own, address: phone },
    { ...signUp, phone },
    { do: 'enter', session: 1, code: 0 },
    { do: 'set address', ...own, address: phone },
    { do: 'send', session: 0, address: phone, purpose: 'VERIFICATION' },
  ],
};
