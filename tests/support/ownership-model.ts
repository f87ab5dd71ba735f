/**
 * A reference model of ownership and proof: rules 3, 6.9, 7.4 and 8.
 * Every action is a request that the API can execute, or an act of an operator.
 * `take` predicts its result and the next state.
 * People know the passwords that they set and the codes sent to the mailboxes that they read.
 */

export const people = ['alice', 'bob', 'mallory'] as const;
export type Person = (typeof people)[number];

export const addresses = ['a@example.com', 'b@example.com', '+12025550101'] as const;
export type Address = (typeof addresses)[number];

export const kinds = ['email', 'phone'] as const;
export type Kind = (typeof kinds)[number];

export const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
export type Purpose = (typeof purposes)[number];

export interface World {
  /** The reader of the messages to an address. */
  readers: Readonly<Record<Address, Person>>;
}

/** Values inside accounts, sessions and codes are replaced, never changed. */
export interface Account {
  id: number;
  /** `by` knows the username. Null: the service generated it. */
  username: { name: string; by: Person | null } | null;
  /** `by` set the password, and alone knows it. */
  password: { by: Person; setAt: number } | null;
  /** The address in force. Unverified means reserved. */
  held: Readonly<Record<Kind, Held | null>>;
  pending: Readonly<Record<Kind, Pending | null>>;
  owned: boolean;
  active: boolean;
  dateJoined: number;
  creator: Person | null;
}

interface Pending {
  address: Address;
  /** Reserved again if staff activate the account again. */
  givenAtSignUp: boolean;
  since: number;
  by: Person | null;
}

export interface Held {
  address: Address;
  verifiedAt: number | null;
  since: number;
}

export interface Session {
  id: number;
  accountId: number;
  /** The first opened the session. The others stole it. */
  holders: readonly Person[];
  createdAccount: boolean;
  openedAt: number;
  /** Recent authentication (8.1). A sign-up counts. */
  authenticatedAt: number;
  passwordProof: { at: number; by: Person } | null;
  /** Of two, the one of the address that was verified first. */
  codeProof: CodeProof | null;
  live: boolean;
}

interface CodeProof {
  verifiedAt: number;
  at: number;
  by: Person;
}

export interface Code {
  id: number;
  address: Address;
  purpose: Purpose;
  /** The account that held the address when the code was sent. */
  accountId: number;
  wasVerified: boolean;
  sentAt: number;
  /** Not spent and not voided. Expiry is apart. */
  live: boolean;
}

export interface State {
  now: number;
  lastId: number;
  accounts: Account[];
  sessions: Session[];
  codes: Code[];
}

/** `session`, `code` and `account` count from the latest, live ones first. */
interface InSession {
  session: number;
  /** Mallory acts, if she has stolen the session; else the person who opened it. */
  thief: boolean;
}
interface WithPassword extends InSession {
  /** Passes the actor's own password as `currentPassword`. */
  currentPassword: boolean;
}
export type Action =
  | { do: 'sign up'; by: Person; username: boolean; email: Address | null; phone: Address | null; password: boolean }
  | ({ do: 'set address'; address: Address } & WithPassword)
  | ({ do: 'remove address'; kind: Kind } & WithPassword)
  | ({ do: 'set username'; username: 0 | 1 | null } & WithPassword)
  | { do: 'send'; session: number | null; address: Address; purpose: Purpose }
  /** By the reader of the mailbox, in one of the reader's sessions or outside any. */
  | { do: 'enter'; session: number | null; code: number }
  | ({ do: 'change password' } & WithPassword)
  | ({ do: 'reauthenticate' } & InSession)
  | { do: 'sign in'; by: Person; identifier: Address | 'username' }
  | ({ do: 'sign out' } & InSession)
  | ({ do: 'revoke other sessions' } & InSession)
  | ({ do: 'delete account' } & WithPassword)
  | { do: 'import'; address: Address; password: Person | null }
  | { do: 'set active'; account: number; isActive: boolean }
  | { do: 'steal'; session: number }
  | { do: 'wait'; seconds: number };

/** A member of the result union, or the code of a GraphQL error. `SKIPPED`: nothing to execute. */
type ResultType =
  | `${
      | 'CreateUser'
      | 'UpdateUser'
      | 'SendOneTimePassword'
      | 'CheckOneTimePassword'
      | 'ResetPassword'
      | 'ChangePassword'
      | 'Reauthenticate'
      | 'Authenticate'
      | 'SignOut'
      | 'RevokeOtherSessions'
      | 'DeleteUser'}Success`
  | 'ValidationError'
  | 'InvalidCredentialsError'
  | 'InvalidOneTimePasswordError'
  | 'StepUpRequiredError'
  | 'LastCredentialError'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'DONE'
  | 'SKIPPED';

export interface Result {
  type: ResultType;
  /** The issue of a `ValidationError`. */
  issue?: 'TAKEN' | 'IDENTIFIER_REQUIRED';
  /** The session that the action opened. */
  opened?: number;
  /** The account that the action was the first proof of (3.6). */
  firstProofOf?: number;
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const codeLifetime = 10 * minute;
const proofLifetime = 10 * minute;

export const start: State = { now: 0, lastId: 0, accounts: [], sessions: [], codes: [] };

/** How long an action takes. So of two verifications one is earlier. */
const moment = 0.001;

/** Predicts an action. The given state stays as it is. */
export function take(world: World, state: State, action: Action): { state: State; result: Result } {
  const next: State = {
    ...state,
    now: state.now + moment,
    accounts: state.accounts.map((account) => ({ ...account })),
    sessions: state.sessions.map((session) => ({ ...session })),
    codes: state.codes.map((code) => ({ ...code })),
  };
  return { state: next, result: run(world, next, action) };
}

function run(world: World, next: State, action: Action): Result {
  switch (action.do) {
    case 'sign up':
      return signUp(next, action);
    case 'set address':
      return setAddress(next, action);
    case 'remove address':
      return removeAddress(next, action);
    case 'set username':
      return setUsername(next, action);
    case 'send':
      return send(next, action);
    case 'enter':
      return enter(world, next, action);
    case 'change password':
      return changePassword(next, action);
    case 'reauthenticate':
      return reauthenticate(next, action);
    case 'sign in':
      return signIn(next, action);
    case 'sign out':
      return signOut(next, action);
    case 'revoke other sessions':
      return revokeOtherSessions(next, action);
    case 'delete account':
      return deleteAccount(next, action);
    case 'import':
      return importVerified(next, action);
    case 'set active':
      return setActive(next, action);
    case 'steal':
      return steal(next, action);
    case 'wait':
      next.now += action.seconds;
      return { type: 'DONE' };
  }
}

export type Do<Name extends Action['do']> = Extract<Action, { do: Name }>;

/** 3.2: `createUser` reserves each address. It is `TAKEN` if another account holds it in force. */
function signUp(next: State, { by, username, email, phone, password }: Do<'sign up'>): Result {
  const name = username ? usernames(by)[0] : null;
  const isTaken =
    (name !== null && findByUsername(next, name)) || [email, phone].some((each) => each && findHolder(next, each));
  if (isTaken) return { type: 'ValidationError', issue: 'TAKEN' };
  const account = addAccount(next, {
    username: name === null ? null : { name, by },
    password: password ? { by, setAt: next.now } : null,
    held: { email: reserve(next, email), phone: reserve(next, phone) },
    creator: by,
  });
  return { type: 'CreateUserSuccess', opened: openSession(next, account, by, { createdAccount: true }) };
}

function reserve({ now }: State, address: Address | null): Held | null {
  return address && { address, verifiedAt: null, since: now };
}

/**
 * 3.3: `updateUser` makes the address pending and sends a `VERIFICATION` code to it.
 * The address in force, given again, cancels the pending one.
 * 8.3: needs proof for the verified address of the kind; else any proof.
 */
function setAddress(next: State, action: Do<'set address'>): Result {
  return inSession(next, action, (caller) => {
    const { address } = action;
    const { account, by } = caller;
    const kind = kindOf(address);
    const [held, before] = [account.held[kind], account.pending[kind]];
    const error = findProofError(next, caller, neededToReplace(held));
    if (error) return { type: error };
    const holder = findHolder(next, address);
    if (holder && holder !== account) return { type: 'ValidationError', issue: 'TAKEN' };
    const isSame = held?.address === address;
    const isPending = before?.address === address;
    const since = isPending ? before.since : next.now;
    account.pending = { ...account.pending, [kind]: isSame ? null : { address, givenAtSignUp: false, since, by } };
    if (isSame ? before !== null : !isPending) voidCodes(next, account);
    if (!isSame && !isPending) sendTo(next, account, address, 'VERIFICATION');
    return { type: 'UpdateUserSuccess' };
  });
}

/** 8.3, 8.7: `updateUser` with null removes the address in force and the pending one. */
function removeAddress(next: State, action: Do<'remove address'>): Result {
  return inSession(next, action, (caller) => {
    const { account } = caller;
    const { kind } = action;
    const held = account.held[kind];
    const error = findProofError(next, caller, neededToReplace(held));
    if (error) return { type: error };
    const left = { ...account, held: { ...account.held, [kind]: null }, pending: { ...account.pending, [kind]: null } };
    const isLastVerified = held?.verifiedAt != null && verifiedOf(left).length === 0;
    if (isLastVerified && !(left.username && left.password)) return { type: 'LastCredentialError' };
    if (!nameByPending(next, left)) return { type: 'ValidationError', issue: 'IDENTIFIER_REQUIRED' };
    const isChanged = held !== null || account.pending[kind] !== null;
    Object.assign(account, left);
    if (isChanged) voidCodes(next, account);
    return { type: 'UpdateUserSuccess' };
  });
}

/**
 * 8.2: needs recent authentication. Without an address the username is part of the only way in, so
 * its change needs fresh proof.
 */
function setUsername(next: State, action: Do<'set username'>): Result {
  return inSession(next, action, (caller) => {
    const { account, by } = caller;
    const hasAddress = kinds.some((kind) => account.held[kind] !== null);
    const error = hasAddress ? findRecencyError(next, caller) : findProofError(next, caller, 'any');
    if (error) return { type: error };
    const name = action.username === null ? null : usernames(by)[action.username];
    const holder = name !== null && findByUsername(next, name);
    if (holder && holder !== account) return { type: 'ValidationError', issue: 'TAKEN' };
    const renamed = { ...account, username: name === null ? null : { name, by } };
    if (!nameByPending(next, renamed)) return { type: 'ValidationError', issue: 'IDENTIFIER_REQUIRED' };
    Object.assign(account, renamed);
    return { type: 'UpdateUserSuccess' };
  });
}

/**
 * 1.1: a pending address is no identifier, because another account may take it at any time. So an
 * account with pending addresses alone gets a username.
 * @returns whether the account has an identifier
 */
function nameByPending(next: State, account: Account): boolean {
  if (!hasIdentifier(account) && kinds.some((kind) => account.pending[kind] !== null))
    account.username = newUsername(next);
  return hasIdentifier(account);
}

function newUsername(next: State): Account['username'] {
  return { name: `user-${newId(next)}`, by: null };
}

/**
 * 3.3, 3.5: delivers `VERIFICATION` codes to an address of the signed-in caller.
 * Delivers other codes to verified addresses, and to reserved ones.
 */
function send(next: State, { session: nth, address, purpose }: Do<'send'>): Result {
  const session = nth === null ? null : (chooseSession(next, nth) ?? null);
  if (session?.live === false) return { type: 'UNAUTHENTICATED' };
  const done: Result = { type: 'SendOneTimePasswordSuccess' };
  if (purpose === 'VERIFICATION') {
    if (session === null) return { type: 'UNAUTHENTICATED' };
    const account = getAccount(next, session.accountId);
    if (!stateOf(account, address)) return { type: 'FORBIDDEN' };
    sendTo(next, account, address, purpose);
    return done;
  }
  const holder = findHolder(next, address);
  if (holder?.active) sendTo(next, holder, address, purpose);
  else
    for (const code of next.codes)
      if (code.address === address && code.purpose === purpose && code.wasVerified) code.live = false;
  return done;
}

/** `checkOneTimePassword`, or `resetPassword` with the person's password. */
function enter(world: World, next: State, { session: nth, code: nthCode }: Do<'enter'>): Result {
  const code = chooseCode(next, nthCode);
  if (!code) return { type: 'SKIPPED' };
  const by = world.readers[code.address];
  const session = nth === null ? null : (chooseSession(next, nth, by) ?? null);
  if (session?.live === false) return { type: 'UNAUTHENTICATED' };
  const entry: Entry = { by, code, session };
  if (code.purpose === 'VERIFICATION') return enterVerification(next, entry);
  if (!isValid(next, code)) return { type: 'InvalidOneTimePasswordError' };
  const account = next.accounts.find(({ id }) => id === code.accountId);
  if (account?.active && stateOf(account, code.address) === 'verified') return enterToVerified(next, account, entry);
  return code.wasVerified ? { type: 'InvalidOneTimePasswordError' } : enterToUnverified(next, entry);
}

interface Entry {
  by: Person;
  code: Code;
  session: Session | null;
}

/**
 * 3.1, 3.7: a `VERIFICATION` code counts in a session of an account that holds the address.
 * 8.3: a pending address replaces a verified one only after fresh proof.
 */
function enterVerification(next: State, { by, code, session }: Entry): Result {
  if (session === null) return { type: 'UNAUTHENTICATED' };
  const account = getAccount(next, session.accountId);
  const state = stateOf(account, code.address);
  if (!state) return { type: 'FORBIDDEN' };
  const need = neededToReplace(account.held[kindOf(code.address)]);
  if (state === 'pending' && need !== 'any') {
    const error = findProofError(next, { by, session, account, currentPassword: false }, need);
    if (error) return { type: error };
  }
  if (code.accountId !== account.id || !isValid(next, code)) return { type: 'InvalidOneTimePasswordError' };
  code.live = false;
  if (state === 'pending') return move(next, account, code.address);
  if (state === 'reserved') verifyReserved(next, { by, code, session });
  else recordCode(next, account, { by, code, session });
  return { type: 'CheckOneTimePasswordSuccess' };
}

/** 6.9 voids such a code when the address changes, so the account still has it verified. */
function enterToVerified(next: State, account: Account, { by, code, session }: Entry): Result {
  code.live = false;
  if (code.purpose === 'PASSWORD_RESET') return reset(next, account, { by, code, session });
  if (session?.accountId !== account.id)
    return { type: 'CheckOneTimePasswordSuccess', opened: openSession(next, account, by) };
  recordCode(next, account, { by, code, session });
  return { type: 'CheckOneTimePasswordSuccess' };
}

/**
 * 3.6, 6.9: the code is first proof of the account that has the address reserved now.
 * If no account holds it in force, the prover gets a new account.
 * 8.3: first proof is sign-up for its prover.
 */
function enterToUnverified(next: State, { by, code, session }: Entry): Result {
  const holder = findHolder(next, code.address);
  const isReset = code.purpose === 'PASSWORD_RESET';
  if (holder && stateOf(holder, code.address) === 'verified') {
    // A reset spends its code together with its change.
    if (!isReset) code.live = false;
    return { type: 'InvalidOneTimePasswordError' };
  }
  code.live = false;
  if (holder && session?.accountId === holder.id && !isReset) {
    verifyReserved(next, { by, code, session });
    return { type: 'CheckOneTimePasswordSuccess' };
  }
  const account = holder ?? addAccount(next, { creator: by });
  if (holder) revokeSessions(next, holder);
  account.password = isReset ? { by, setAt: next.now } : null;
  account.pending = nothing;
  account.held = { ...nothing, [kindOf(code.address)]: verified(next, code.address) };
  account.owned = true;
  release(next, code.address, account);
  return {
    type: isReset ? 'ResetPasswordSuccess' : 'CheckOneTimePasswordSuccess',
    opened: openSession(next, account, by, { createdAccount: true }),
    ...(holder && { firstProofOf: holder.id }),
  };
}

/** The prover is the session's user, so password and sessions stay. */
function verifyReserved(next: State, entry: Entry & { session: Session }): void {
  const account = getAccount(next, entry.session.accountId);
  verify(next, account, entry.code.address);
  recordCode(next, account, entry);
}

/** 3.7: moves a pending address. It is no authentication (8.1). */
function move(next: State, account: Account, address: Address): Result {
  const holder = findHolder(next, address);
  if (holder && stateOf(holder, address) === 'verified') return { type: 'InvalidOneTimePasswordError' };
  account.pending = { ...account.pending, [kindOf(address)]: null };
  verify(next, account, address);
  return { type: 'CheckOneTimePasswordSuccess' };
}

function verify(next: State, account: Account, address: Address): void {
  account.held = { ...account.held, [kindOf(address)]: verified(next, address) };
  becomeOwned(account);
  voidCodes(next, account);
  release(next, address, account);
}

function verified({ now }: State, address: Address): Held {
  return { address, verifiedAt: now, since: now };
}

/** 3.3: what an account holds unverified is pending as soon as the account is owned. */
function becomeOwned(account: Account): void {
  account.owned = true;
  // A pending address of the same kind is the later wish of the owner, so it stays.
  for (const kind of kinds) unreserve(account, kind, account.pending[kind]);
}

function unreserve(account: Account, kind: Kind, preferred: Pending | null): void {
  const held = account.held[kind];
  if (held === null || held.verifiedAt !== null) return;
  account.held = { ...account.held, [kind]: null };
  account.pending = { ...account.pending, [kind]: preferred ?? { ...held, givenAtSignUp: true, by: account.creator } };
}

/** 3.7: ends the other accounts' claims to an address. */
function release(next: State, address: Address, owner: Account): void {
  const kind = kindOf(address);
  for (const account of next.accounts) {
    if (account === owner || !stateOf(account, address)) continue;
    const isPending = account.pending[kind]?.address === address;
    if (isPending) account.pending = { ...account.pending, [kind]: null };
    else account.held = { ...account.held, [kind]: null };
    if (!hasIdentifier(account)) account.username = newUsername(next);
  }
}

/**
 * 8.8: sets the password and revokes all sessions.
 * Drops addresses younger than 7 days that were verified after the proved one.
 */
function reset(next: State, account: Account, { by, code }: Entry): Result {
  const proved = account.held[kindOf(code.address)]?.verifiedAt ?? next.now;
  for (const kind of kinds) {
    const verifiedAt = account.held[kind]?.verifiedAt ?? null;
    if (verifiedAt !== null && verifiedAt > proved && verifiedAt > next.now - 7 * day)
      account.held = { ...account.held, [kind]: null };
  }
  account.password = { by, setAt: next.now };
  revokeSessions(next, account);
  voidCodes(next, account);
  return { type: 'ResetPasswordSuccess', opened: openSession(next, account, by) };
}

/** 8.3, 8.4: an existing password is replaced by its own proof only. */
function changePassword(next: State, action: Do<'change password'>): Result {
  return inSession(next, action, (caller) => {
    const { account, by, session } = caller;
    const error = findProofError(next, caller, account.password ? 'password' : 'any');
    if (error) return { type: error };
    account.password = { by, setAt: next.now };
    revokeSessions(next, account, session);
    voidCodes(next, account);
    return { type: 'ChangePasswordSuccess' };
  });
}

/** 8.1, 8.3: recent authentication. Fresh proof only with a settled password. */
function reauthenticate(next: State, action: Do<'reauthenticate'>): Result {
  return inSession(next, { ...action, currentPassword: true }, ({ account, by, session }) => {
    if (account.password?.by !== by) return { type: 'InvalidCredentialsError' };
    return { type: recordPassword(next, account, session) ? 'ReauthenticateSuccess' : 'StepUpRequiredError' };
  });
}

/** @returns whether the password is fresh proof */
function recordPassword(next: State, { dateJoined, password }: Account, session: Session): boolean {
  session.authenticatedAt = next.now;
  if (!password || !isSettled(next, { dateJoined }, password.setAt)) return false;
  session.passwordProof = { at: next.now, by: password.by };
  return true;
}

/** 3.4: `authenticate` with the person's password and one identifier. */
function signIn(next: State, { by, identifier }: Do<'sign in'>): Result {
  const account =
    identifier === 'username' ? findByUsername(next, findUsername(next, by)) : findByAddress(next, identifier);
  if (!account?.active || account.password?.by !== by) return { type: 'InvalidCredentialsError' };
  return { type: 'AuthenticateSuccess', opened: openSession(next, account, by) };
}

function signOut(next: State, { session: nth }: Do<'sign out'>): Result {
  const session = chooseSession(next, nth);
  if (!session) return { type: 'SKIPPED' };
  session.live = false;
  return { type: 'SignOutSuccess' };
}

/** 8.2: needs recent authentication. */
function revokeOtherSessions(next: State, action: Do<'revoke other sessions'>): Result {
  return inSession(next, { ...action, currentPassword: false }, ({ account, session }) => {
    if (!isRecent(next, session)) return { type: 'StepUpRequiredError' };
    revokeSessions(next, account, session);
    return { type: 'RevokeOtherSessionsSuccess' };
  });
}

/** 8.3: needs the password, or a code to the oldest verified address. */
function deleteAccount(next: State, action: Do<'delete account'>): Result {
  return inSession(next, action, (caller) => {
    const error = findProofError(next, caller, 'oldest');
    if (error) return { type: error };
    const { id } = caller.account;
    next.accounts = next.accounts.filter((account) => account.id !== id);
    for (const session of next.sessions) if (session.accountId === id) session.live = false;
    for (const code of next.codes) if (code.accountId === id && code.wasVerified) code.live = false;
    return { type: 'DeleteUserSuccess' };
  });
}

/** 3.8: the verified address of an import wins over reservations and pending claims. */
function importVerified(next: State, { address, password }: Do<'import'>): Result {
  const holder = findHolder(next, address);
  if (holder && stateOf(holder, address) === 'verified') return { type: 'SKIPPED' };
  const account = addAccount(next, {
    held: { ...nothing, [kindOf(address)]: verified(next, address) },
    password: password && { by: password, setAt: next.now },
    owned: true,
  });
  release(next, address, account);
  return { type: 'DONE' };
}

/** 3.3: an inactive account reserves nothing. Active again, it reserves what is free. */
function setActive(next: State, { account: nth, isActive }: Do<'set active'>): Result {
  const account = chooseAccount(next, nth);
  if (!account) return { type: 'SKIPPED' };
  if (account.active && !isActive) {
    revokeSessions(next, account);
    voidCodes(next, account);
    // The address in force replaces a pending one of the same kind.
    for (const kind of kinds) unreserve(account, kind, null);
    nameByPending(next, account);
  }
  if (!account.active && isActive && !account.owned) reserveAgain(next, account);
  account.active = isActive;
  return { type: 'UpdateUserSuccess' };
}

function reserveAgain(next: State, account: Account): void {
  for (const kind of kinds) {
    const pending = account.pending[kind];
    if (!pending?.givenAtSignUp || findHolder(next, pending.address)) continue;
    account.held = { ...account.held, [kind]: reserve(next, pending.address) };
    account.pending = { ...account.pending, [kind]: null };
  }
}

/** Mallory copies the tokens of a live session. */
function steal(next: State, { session: nth }: Do<'steal'>): Result {
  const others = next.sessions.filter(({ live, holders }) => live && !holders.includes('mallory'));
  const session = choose(others, () => true, nth);
  if (!session) return { type: 'SKIPPED' };
  session.holders = [...session.holders, 'mallory'];
  return { type: 'DONE' };
}

interface Caller {
  by: Person;
  session: Session;
  account: Account;
  currentPassword: boolean;
}

/** 7.4: the session must be live. */
function inSession(next: State, action: WithPassword, act: (caller: Caller) => Result): Result {
  const { currentPassword } = action;
  const session = chooseSession(next, action.session);
  if (!session) return { type: 'SKIPPED' };
  if (!session.live) return { type: 'UNAUTHENTICATED' };
  const by = actorIn(session, action);
  return act({ by, session, account: getAccount(next, session.accountId), currentPassword });
}

/**
 * What the proof must cover: `any` proof; the `password`; the password or the `oldest` verified
 * address; or the password, the address verified then, or an older one.
 */
type Need = 'any' | 'password' | 'oldest' | { address: Address; verifiedAt: number };

/** 8.4: a verified address is replaced by a proof that covers it; others by any proof. */
function neededToReplace(held: Held | null): Need {
  return held?.verifiedAt == null ? 'any' : { address: held.address, verifiedAt: held.verifiedAt };
}

/** 8.3, 8.4: the fresh proof of the session, or `currentPassword` in the request. */
function findProofError(
  next: State,
  { by, session, account, currentPassword }: Caller,
  need: Need,
): 'InvalidCredentialsError' | 'StepUpRequiredError' | null {
  if (currentPassword) {
    if (account.password?.by !== by) return 'InvalidCredentialsError';
    if (recordPassword(next, account, session)) return null;
  }
  if (isExempt(next, account, session)) return null;
  if (session.passwordProof && isFresh(next, session.passwordProof)) return null;
  const { codeProof } = session;
  if (!codeProof || !isFresh(next, codeProof) || need === 'password') return 'StepUpRequiredError';
  const needed = need === 'oldest' ? verifiedOf(account) : need === 'any' ? [] : [need];
  const isProved = needed.every(({ verifiedAt }) => codeProof.verifiedAt <= verifiedAt);
  return isProved ? null : 'StepUpRequiredError';
}

/** 8.1 */
function findRecencyError(
  next: State,
  { by, session, account, currentPassword }: Caller,
): 'InvalidCredentialsError' | 'StepUpRequiredError' | null {
  if (!currentPassword) return isRecent(next, session) ? null : 'StepUpRequiredError';
  if (account.password?.by !== by) return 'InvalidCredentialsError';
  recordPassword(next, account, session);
  return null;
}

/** 8.3: whether no proof is needed. */
export function isExempt(state: State, account: Account, session: Session): boolean {
  const isBare = account.password === null && verifiedOf(account).length === 0;
  return isBare || (session.createdAccount && state.now - session.openedAt < hour);
}

/** 8.3: a password or an address proves if it is a day old, or from the account's first hour. */
export function isSettled({ now }: State, { dateJoined }: Pick<Account, 'dateJoined'>, since: number): boolean {
  return now - since >= day || since - dateJoined < hour;
}

export function freshProofs(state: State, { passwordProof, codeProof }: Session): { by: Person }[] {
  return [passwordProof, codeProof].flatMap((proof) => (proof && isFresh(state, proof) ? [proof] : []));
}

function isFresh(state: State, { at }: { at: number }): boolean {
  return state.now - at < proofLifetime;
}

/** 8.1 */
function isRecent(state: State, { authenticatedAt }: Session): boolean {
  return state.now - authenticatedAt < proofLifetime;
}

/** 8.1, 8.3: a code to a verified address is recent authentication, and fresh proof if settled. */
function recordCode(next: State, account: Account, { by, code, session }: Entry & { session: Session }): void {
  session.authenticatedAt = next.now;
  const verifiedAt = account.held[kindOf(code.address)]?.verifiedAt ?? next.now;
  const { codeProof } = session;
  const hasBetter = codeProof && isFresh(next, codeProof) && codeProof.verifiedAt < verifiedAt;
  if (isSettled(next, account, verifiedAt) && !hasBetter) session.codeProof = { verifiedAt, at: next.now, by };
}

/** 6.9: only codes to addresses that were verified when they were sent. */
function voidCodes(next: State, { id }: Account): void {
  for (const code of next.codes) if (code.accountId === id && code.wasVerified) code.live = false;
}

function revokeSessions(next: State, { id }: Account, except?: Session): void {
  for (const session of next.sessions) if (session.accountId === id && session !== except) session.live = false;
}

function isValid(state: State, { live, sentAt }: Code): boolean {
  return live && state.now - sentAt < codeLifetime;
}

const nothing = { email: null, phone: null };

function addAccount(next: State, facts: Partial<Account>): Account {
  const account: Account = {
    id: newId(next),
    username: null,
    password: null,
    held: nothing,
    pending: nothing,
    owned: false,
    active: true,
    dateJoined: next.now,
    creator: null,
    ...facts,
  };
  next.accounts.push(account);
  return account;
}

function openSession(next: State, { id: accountId }: Account, by: Person, { createdAccount = false } = {}): number {
  const id = newId(next);
  next.sessions.push({
    id,
    accountId,
    holders: [by],
    createdAccount,
    openedAt: next.now,
    authenticatedAt: next.now,
    passwordProof: null,
    codeProof: null,
    live: true,
  });
  return id;
}

/**
 * A code replaces the earlier one of its address and purpose; a `VERIFICATION` code that of its
 * account. (Codes that live side by side, rule 6.4, are not built yet.)
 */
function sendTo(next: State, account: Account, address: Address, purpose: Purpose): void {
  const wasVerified = stateOf(account, address) === 'verified';
  for (const code of next.codes)
    if (code.address === address && code.purpose === purpose)
      if (purpose !== 'VERIFICATION' || code.accountId === account.id) code.live = false;
  const id = newId(next);
  next.codes.push({ id, address, purpose, accountId: account.id, wasVerified, sentAt: next.now, live: true });
}

function newId(next: State): number {
  next.lastId += 1;
  return next.lastId;
}

export function kindOf(address: Address): Kind {
  return address.startsWith('+') ? 'phone' : 'email';
}

/** The usernames that a person chooses from. */
export function usernames(person: Person): readonly [string, string] {
  return [person, `${person}-2`];
}

/** The session that an action means, of all or of those that the person holds. */
export function chooseSession(state: State, nth: number, holder?: Person): Session | undefined {
  return choose(
    state.sessions.filter(({ holders }) => !holder || holders.includes(holder)),
    ({ live }) => live,
    nth,
  );
}

/** The account that staff mean. */
export function chooseAccount({ accounts }: State, nth: number): Account | undefined {
  return choose(accounts, ({ active }) => active, nth);
}

/** The code that an action means. */
export function chooseCode(state: State, nth: number): Code | undefined {
  return choose(state.codes, (code) => isValid(state, code), nth);
}

/** The person who acts. Null for an operator, and for requests that any client can make. */
export function findActor({ readers }: World, state: State, action: Action): Person | null {
  if ('by' in action) return action.by;
  if (action.do === 'steal') return 'mallory';
  if (action.do === 'enter') {
    const code = chooseCode(state, action.code);
    return code ? readers[code.address] : null;
  }
  if (!('thief' in action)) return null;
  const session = chooseSession(state, action.session);
  return session ? actorIn(session, action) : null;
}

export function actorIn({ holders }: Session, { thief }: InSession): Person {
  const [opener = 'mallory'] = holders;
  return thief ? (holders.find((holder) => holder === 'mallory') ?? opener) : opener;
}

/** Counts from the latest item, preferred ones first, and round. */
function choose<Item>(items: Item[], isPreferred: (item: Item) => boolean, nth: number): Item | undefined {
  const latestFirst = items.toReversed();
  const ordered = [...latestFirst.filter(isPreferred), ...latestFirst.filter((item) => !isPreferred(item))];
  return ordered[nth % ordered.length];
}

export function getAccount({ accounts }: State, id: number): Account {
  const account = accounts.find((each) => each.id === id);
  if (!account) throw new Error(`no account ${id}`);
  return account;
}

/** How an account holds an address; null if it does not. */
export function stateOf(account: Account, address: Address): 'reserved' | 'verified' | 'pending' | null {
  const kind = kindOf(address);
  const held = account.held[kind];
  if (held?.address === address) return held.verifiedAt === null ? 'reserved' : 'verified';
  return account.pending[kind]?.address === address ? 'pending' : null;
}

/** The account that has reserved or verified the address. */
export function findHolder({ accounts }: State, address: Address): Account | undefined {
  return accounts.find((account) => account.held[kindOf(address)]?.address === address);
}

/** 3.4: the account that a password sign-in by an address means. */
export function findByAddress(state: State, address: Address): Account | undefined {
  const since = (account: Account) => account.pending[kindOf(address)]?.since ?? 0;
  const [oldest] = state.accounts
    .filter((account) => stateOf(account, address) === 'pending')
    .sort((one, other) => since(one) - since(other));
  return findHolder(state, address) ?? oldest;
}

/** The username that the person types: one that an account has. */
export function findUsername(state: State, by: Person): string {
  const [first, second] = usernames(by);
  return findByUsername(state, first) ? first : second;
}

function findByUsername({ accounts }: State, name: string): Account | undefined {
  return accounts.find(({ username }) => username?.name === name);
}

export function verifiedOf({ held }: Account): { address: Address; verifiedAt: number }[] {
  return kinds.flatMap((kind) => {
    const { address, verifiedAt = null } = held[kind] ?? {};
    return address === undefined || verifiedAt === null ? [] : [{ address, verifiedAt }];
  });
}

/** 1.1: pending addresses do not count. */
export function hasIdentifier({ username, held }: Account): boolean {
  return username !== null || kinds.some((kind) => held[kind] !== null);
}

/** The fields that `me` and `user` show. Generated usernames differ. */
export function describeAccount({ username, held, pending, active, password }: Account) {
  const isVerified = (kind: Kind) => held[kind] && held[kind].verifiedAt !== null;
  return {
    username: username?.name ?? null,
    email: held.email?.address ?? null,
    emailVerified: isVerified('email'),
    pendingEmail: pending.email?.address ?? null,
    phone: held.phone?.address ?? null,
    phoneVerified: isVerified('phone'),
    pendingPhone: pending.phone?.address ?? null,
    isActive: active,
    hasUsablePassword: password !== null,
  };
}
