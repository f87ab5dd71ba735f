/** Random histories of the actions of the ownership model. */
import fc from 'fast-check';
import { type Action, type Address, addresses, kinds, type Person, people, purposes } from './ownership-model.js';

type Readers = Readonly<Record<Address, Person>>;

const [a, b, phone] = addresses;
/** The readers of the addresses: every relation of two verified addresses of one account. */
export const readerTables: readonly Readers[] = [
  { [a]: 'alice', [b]: 'mallory', [phone]: 'bob' },
  { [a]: 'alice', [b]: 'mallory', [phone]: 'alice' },
  { [a]: 'alice', [b]: 'alice', [phone]: 'mallory' },
  { [a]: 'alice', [b]: 'bob', [phone]: 'mallory' },
] as const;

const by = fc.constantFrom(...people);
const nth = fc.constantFrom(0, 0, 0, 1, 2, 3);
const address = fc.constantFrom(...addresses);
const inSession = { session: nth, thief: fc.boolean() };
const withPassword = { ...inSession, currentPassword: fc.boolean() };
const optionalSession = fc.option(nth, { freq: 2 });
const purpose = fc.constantFrom(...purposes);
const wait = fc.record({
  do: fc.constant('wait' as const),
  seconds: fc.constantFrom(60, 11 * 60, 61 * 60, 25 * 3600, 8 * 86_400),
});

const signUp = fc
  .record({
    do: fc.constant('sign up' as const),
    by,
    username: fc.boolean(),
    email: fc.option(fc.constantFrom(a, b), { freq: 2 }),
    phone: fc.option(fc.constant(phone), { freq: 1 }),
    password: fc.boolean(),
  })
  .map((action) => (action.username || action.email || action.phone ? action : { ...action, username: true }));
const setAddress = fc.record({ do: fc.constant('set address' as const), ...withPassword, address });
const send = fc.record({ do: fc.constant('send' as const), session: optionalSession, address, purpose });
const enter = fc.record({ do: fc.constant('enter' as const), session: optionalSession, code: nth });

const single = fc.oneof(
  { weight: 6, arbitrary: signUp },
  { weight: 6, arbitrary: setAddress },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('remove address' as const),
      ...withPassword,
      kind: fc.constantFrom(...kinds),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('set username' as const),
      ...withPassword,
      username: fc.constantFrom(0 as const, 1 as const, null),
    }),
  },
  { weight: 6, arbitrary: send },
  { weight: 8, arbitrary: enter },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('change password' as const), ...withPassword }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reauthenticate' as const), ...inSession }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('sign in' as const),
      by,
      identifier: fc.constantFrom('username' as const, ...addresses),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sign out' as const), ...inSession }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke other sessions' as const), ...inSession }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete account' as const), ...withPassword }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('import' as const), address, password: fc.option(by) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('set active' as const),
      account: fc.nat({ max: 2 }),
      isActive: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('steal' as const), session: fc.nat({ max: 1 }) }) },
  { weight: 5, arbitrary: wait },
);

/** Related actions that rarely meet by chance: a code and its entry. */
const proof = fc
  .record({
    address,
    purpose,
    from: optionalSession,
    session: optionalSession,
    between: fc.option(single, { freq: 1 }),
  })
  .map(({ address, purpose, from, session, between }): Action[] => [
    { do: 'send', session: from, address, purpose },
    ...(between ? [between] : []),
    { do: 'enter', session, code: 0 },
  ]);

/** A new address and the entry of the code that was sent to it. */
const move = fc
  .record({ set: setAddress, session: nth, between: fc.option(single, { freq: 1 }) })
  .map(({ set, session, between }): Action[] => [
    set,
    ...(between ? [between] : []),
    { do: 'enter', session, code: 0 },
  ]);

/** Mallory acts in a session of another person. */
const theft = fc
  .record({
    waited: fc.option(wait),
    session: fc.nat({ max: 1 }),
    acts: fc.array(single, { minLength: 1, maxLength: 3 }),
  })
  .map(({ waited, session, acts }): Action[] => [
    ...(waited ? [waited] : []),
    { do: 'steal', session },
    ...acts.map((act): Action => {
      if ('thief' in act) return { ...act, thief: true };
      return 'by' in act ? { ...act, by: 'mallory' } : act;
    }),
  ]);

/** Alice has two verified addresses, one of which Mallory may read. Mallory steals a session. */
const established = fc
  .record({
    username: fc.boolean(),
    password: fc.boolean(),
    later: fc.constantFrom(b, phone),
    waits: fc.tuple(wait, wait),
  })
  .map(({ username, password, later, waits: [first, second] }): Action[] => [
    { do: 'sign up', by: 'alice', username, email: a, phone: null, password },
    { do: 'send', session: 0, address: a, purpose: 'VERIFICATION' },
    { do: 'enter', session: 0, code: 0 },
    first,
    { do: 'send', session: 0, address: a, purpose: 'VERIFICATION' },
    { do: 'enter', session: 0, code: 0 },
    { do: 'set address', session: 0, thief: false, currentPassword: password, address: later },
    // Only a holder of the session can enter the code.
    { do: 'steal', session: 0 },
    { do: 'enter', session: 0, code: 0 },
    second,
    { do: 'send', session: 0, address: later, purpose: 'VERIFICATION' },
    { do: 'enter', session: 0, code: 0 },
  ]);

export const histories: fc.Arbitrary<Action[]> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.array(signUp, { minLength: 1, maxLength: 2 }) },
      { weight: 1, arbitrary: established },
    ),
    fc.array(
      fc.oneof(
        { weight: 6, arbitrary: single.map((action): Action[] => [action]) },
        { weight: 3, arbitrary: proof },
        { weight: 2, arbitrary: move },
        { weight: 2, arbitrary: theft },
      ),
      { minLength: 3, maxLength: 16, size: 'max' },
    ),
  )
  .map(([begin, parts]) => [...begin, ...parts.flat()].slice(0, 25));
