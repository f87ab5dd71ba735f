/** The promises of the ownership model, checked after each action. */
import assert from 'node:assert/strict';
import {
  type Account,
  type Action,
  type Address,
  addresses,
  type Code,
  chooseSession,
  findActor,
  findByAddress,
  findHolder,
  freshProofs,
  getAccount,
  hasIdentifier,
  isExempt,
  isSettled,
  kinds,
  type Person,
  people,
  type Result,
  type Session,
  type State,
  start,
  stateOf,
  take,
  verifiedOf,
  type World,
} from './ownership-model.js';

export interface Step {
  world: World;
  before: State;
  action: Action;
  actor: Person | null;
  result: Result;
  after: State;
  /** Facts about earlier steps that the model does not need. */
  past: Past;
}

interface Past {
  /** The last time that a verification of the address was recorded: the ID given at that time. */
  verifiedAt: Map<Address, number>;
  /**
   * Accounts that Mallory may take: she reads an address that the creator gave at sign-up, or has
   * changed the account within a declared limit.
   */
  exposed: Set<number>;
}

/**
 * What the rules leave to the thief of a session, who holds a bearer token:
 * - `session alone`: an account with neither a password nor a verified address belongs to whoever
 *   holds its session; and so does every account in the first hour of the session of its sign-up.
 * - `borrowed proof`: a proof that the owner gave in the session serves the thief for ten minutes.
 * - `mistyped address`: the thief can verify a pending address whose mailbox the thief reads,
 *   unless it would replace a verified one.
 */
export const limits = ['session alone', 'borrowed proof', 'mistyped address'] as const;
export type Limit = (typeof limits)[number];

interface Options {
  onStep?: (step: Step) => void;
  /** The limit that does not excuse a broken promise. */
  without?: Limit | undefined;
}

/** Runs a history and asserts the promises after each action. */
export function checkHistory(
  world: World,
  history: readonly Action[],
  { onStep = () => {}, without }: Options = {},
): void {
  const past: Past = { verifiedAt: new Map(), exposed: new Set() };
  let before = start;
  for (const [index, action] of history.entries()) {
    const { state: after, result } = take(world, before, action);
    const actor = findActor(world, before, action);
    const step: Step = { world, before, action, actor, result, after, past };
    recordPast(step, without);
    onStep(step);
    try {
      for (const promise of promises) promise(step);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new Error(`step ${index}, ${JSON.stringify(action)}: ${error.message}`, { cause: error });
    }
    before = after;
  }
}

function recordPast(step: Step, without: Limit | undefined): void {
  const { world, before, after, past } = step;
  for (const address of addresses) {
    const [held, earlier] = [after, before].map((state) => {
      const holder = findHolder(state, address);
      return holder && stateOf(holder, address) === 'verified' ? holder.id : null;
    });
    if (held != null && held !== earlier) past.verifiedAt.set(address, after.lastId);
  }
  for (const account of after.accounts)
    if (addresses.some((each) => world.readers[each] === 'mallory' && stateOf(account, each) === 'reserved'))
      past.exposed.add(account.id);
  const session = findStolenSession(step);
  if (session && findLimits(step, session).some((limit) => limit !== without)) past.exposed.add(session.accountId);
}

/** The stolen session that Mallory acts in. */
function findStolenSession({ before, action, actor }: Step): Session | undefined {
  if (actor !== 'mallory' || !('session' in action) || action.session === null) return undefined;
  const session = chooseSession(before, action.session, action.do === 'enter' ? actor : undefined);
  return session?.live && session.holders[0] !== 'mallory' ? session : undefined;
}

const changes = ['set address', 'remove address', 'set username', 'change password', 'delete account', 'enter'];

/** The limits within which Mallory has changed the account of a stolen session. */
function findLimits({ before, action, result, after }: Step, session: Session): Limit[] {
  if (!result.type.endsWith('Success') || !changes.includes(action.do)) return [];
  const account = getAccount(before, session.accountId);
  const left = after.accounts.find(({ id }) => id === account.id);
  const isMoved = kinds.some((kind) => {
    const pending = account.pending[kind];
    return pending && pending.by !== 'mallory' && left && stateOf(left, pending.address) === 'verified';
  });
  const isBorrowed = freshProofs(before, session).some(({ by }) => by !== 'mallory');
  return [
    ...(isExempt(before, account, session) ? (['session alone'] as const) : []),
    ...(isBorrowed ? (['borrowed proof'] as const) : []),
    ...(isMoved ? (['mistyped address'] as const) : []),
  ];
}

const promises: ((step: Step) => void)[] = [
  addressesAreUnique,
  accountsHaveIdentifiers,
  readersGetAccounts,
  codesToUnverifiedAddressesLast,
  ownersKeepAWayIn,
  firstProofEndsAccess,
  creatorsComeHome,
  accessIsEarned,
];

/** 1 */
function addressesAreUnique({ after }: Step): void {
  for (const address of addresses) {
    const states = after.accounts.map((account) => stateOf(account, address));
    assert.ok(
      states.filter((each) => each === 'verified' || each === 'reserved').length <= 1,
      `${address} is held twice`,
    );
  }
  for (const account of after.accounts)
    if (account.owned || !account.active)
      assert.ok(
        kinds.every((kind) => account.held[kind]?.verifiedAt !== null),
        'an account that is owned or inactive reserves an address',
      );
}

/** 5 */
function accountsHaveIdentifiers({ after }: Step): void {
  for (const account of after.accounts) assert.ok(hasIdentifier(account), `account ${account.id} has no identifier`);
}

/** 2: one sign-up, if no account holds the address, and one code. */
function readersGetAccounts({ world, after }: Step): void {
  for (const address of addresses) {
    const reader = world.readers[address];
    const holder = findHolder(after, address);
    if (holder && !holder.active) continue;
    let state = after;
    if (!holder) {
      const signUp = take(world, state, {
        ...newAccount,
        by: reader,
        [address.startsWith('+') ? 'phone' : 'email']: address,
      });
      assert.equal(signUp.result.type, 'CreateUserSuccess', `the reader cannot sign up with ${address}`);
      state = signUp.state;
    }
    state = take(world, state, { do: 'send', session: null, address, purpose: 'AUTHENTICATION' }).state;
    const code = state.codes.at(-1);
    assert.ok(code && code.id > after.lastId, `no code is sent to ${address}`);
    assert.ok(opensByCode(world, state, code), `the reader of ${address} gets no account`);
  }
}

const newAccount = { do: 'sign up', username: false, email: null, phone: null, password: false } as const;

/** Whether the code opens a session of its reader in an account that has the address verified. */
function opensByCode(world: World, state: State, code: Code): boolean {
  const { state: after, result } = enterCode(world, state, code);
  const opened = after.sessions.find(({ id }) => id === result.opened);
  return opened?.live === true && stateOf(getAccount(after, opened.accountId), code.address) === 'verified';
}

/** Enters one code outside any session. */
function enterCode(world: World, state: State, code: Code): ReturnType<typeof take> {
  return take(world, { ...state, codes: [code] }, { do: 'enter', session: null, code: 0 });
}

/** 2: unless the address has been verified since. */
function codesToUnverifiedAddressesLast({ world, after, past }: Step): void {
  for (const code of after.codes) {
    if (code.wasVerified || code.purpose === 'VERIFICATION' || !code.live || after.now - code.sentAt >= 600) continue;
    if ((past.verifiedAt.get(code.address) ?? 0) >= code.id) continue;
    assert.ok(opensByCode(world, after, code), `code ${code.id} to ${code.address} is useless`);
  }
}

/** 3: no act of Mallory takes the last way in from a person whose account it is not. */
function ownersKeepAWayIn(step: Step): void {
  const { before, after, actor, world, past } = step;
  if (actor !== 'mallory') return;
  for (const account of before.accounts) {
    if (past.exposed.has(account.id)) continue;
    for (const person of people) {
      if (person === 'mallory' || !hasWayIn(world, before, person, account)) continue;
      if (mayRule(world, before, account, person)) continue;
      const left = after.accounts.find(({ id }) => id === account.id);
      assert.ok(left && hasWayIn(world, after, person, left), `Mallory locks ${person} out of account ${account.id}`);
    }
  }
}

function hasWayIn({ readers }: World, state: State, person: Person, account: Account): boolean {
  if (!account.active) return false;
  if (verifiedOf(account).some(({ address }) => readers[address] === person)) return true;
  if (account.password?.by !== person) return false;
  // The account page shows a generated username, so its user knows it.
  if (account.username && (account.username.by ?? person) === person) return true;
  return addresses.some((each) => findByAddress(state, each)?.id === account.id);
}

/** Whether Mallory has credentials in the account that are not weaker than those of the person. */
function mayRule({ readers }: World, state: State, account: Account, person: Person): boolean {
  const verified = verifiedOf(account);
  const oldest = Math.min(
    ...verified.filter(({ address }) => readers[address] === person).map((each) => each.verifiedAt),
  );
  const isWeak = (since: number) => !isSettled(state, account, since);
  if (account.password?.by === 'mallory' && !(isWeak(account.password.setAt) && oldest < account.password.setAt))
    return true;
  return verified.some(
    ({ address, verifiedAt }) => readers[address] === 'mallory' && !isWeak(verifiedAt) && verifiedAt <= oldest,
  );
}

/** 4: after first proof only the session of the prover and the proved address give access. */
function firstProofEndsAccess({ world, actor, result, after }: Step): void {
  if (result.firstProofOf === undefined) return;
  const account = getAccount(after, result.firstProofOf);
  const live = after.sessions.filter((session) => session.live && session.accountId === account.id);
  assert.deepEqual(
    live.map(({ id }) => id),
    [result.opened],
    'an earlier session is live',
  );
  assert.ok(
    account.password === null || (result.type === 'ResetPasswordSuccess' && account.password.by === actor),
    'an earlier password is valid',
  );
  assert.equal(verifiedOf(account).length, 1);
  assert.ok(kinds.every((kind) => account.pending[kind] === null && account.held[kind]?.verifiedAt !== null));
  for (const code of after.codes) {
    if (world.readers[code.address] === actor) continue;
    const { state, result: other } = enterCode(world, after, code);
    const opened = state.sessions.find(({ id }) => id === other.opened);
    assert.notEqual(opened?.accountId, account.id, `an earlier code to ${code.address} gives access`);
  }
}

/** 6: only its creator, staff, an import or first proof keeps an account from its creator. */
function creatorsComeHome(step: Step): void {
  const { world, before, actor, result, after, past } = step;
  if (actor === null) return;
  for (const account of before.accounts) {
    const { creator, id } = account;
    if (creator === null || creator === actor || account.owned || !account.active) continue;
    if (result.firstProofOf === id || past.exposed.has(id)) continue;
    for (const address of addresses) {
      if (world.readers[address] !== creator || stateOf(account, address) !== 'reserved') continue;
      const left = after.accounts.find((each) => each.id === id);
      const isHome = left?.active && ['reserved', 'verified'].includes(stateOf(left, address) ?? '');
      assert.ok(isHome, `${creator} does not return to account ${id} by ${address}`);
    }
  }
}

/** 7: a session in an owned account comes from its password or a code to its verified address. */
function accessIsEarned({ world, before, action, actor, result, after }: Step): void {
  const opened = after.sessions.find(({ id }) => id === result.opened);
  const account = opened && before.accounts.find(({ id }) => id === opened.accountId);
  if (!opened || !account?.owned || actor === null) return;
  if (action.do === 'sign in') {
    assert.equal(account.password?.by, actor, 'a wrong password gives access');
    return;
  }
  assert.equal(action.do, 'enter', `${action.do} gives access`);
  assert.ok(
    verifiedOf(account).some(({ address }) => world.readers[address] === actor),
    'a code to an address that was not verified gives access',
  );
}
