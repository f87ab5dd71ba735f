/** Accounts: made by signing up or by a superuser, and read by staff. */
import type { App } from '../app.js';
import type { Database } from '../database/database.js';
import { acquireLock } from '../database/locks.js';
import { insertSecurityTokens } from '../database/security-tokens.queries.js';
import { findUsersByAge, findUsersByPrefix, type UserPosition } from '../database/user-directory.queries.js';
import { findUser, hasSuperuser, insertUser, type Prefix, type User } from '../database/users.queries.js';
import { sameBytes, sha256 } from '../security/hmac.js';
import {
  claimIdentifiers,
  identifierFields,
  identifierRequired,
  isIssue,
  passwordIssue,
  readIdentifier,
  refuseIssues,
  tokenIdOf,
} from './account-input.js';
import { isId, requirePermission } from './authority.js';
import type { Caller } from './caller.js';
import { completeSignIn } from './complete-sign-in.js';
import { ForbiddenError, UnauthenticatedError, type ValidationIssue } from './errors.js';
import { emit } from './events.js';
import { comparisonKey, type Identifier } from './identifiers.js';
import { cursorOf, foreignCursor, type Page, readCursor, readPage } from './pages.js';
import { hasPermission } from './permissions.js';
import { limitSignUps } from './rate-limits.js';
import type { SessionTokens } from './sessions.js';

export type { User } from '../database/users.queries.js';

/** Null is the same as absent. */
export interface NewAccountInput {
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password?: string | null;
}

interface NewAccount {
  identifiers: Identifier[];
  password: string | null;
}

/**
 * Makes an account and, for somebody who is not signed in, opens its first session.
 * @throws {ValidationError} with every issue at once; `TAKEN` where somebody has the identifier
 * @throws {TimeoutError} over the sign-ups of this client
 */
export async function createUser(
  app: App,
  caller: Caller,
  input: NewAccountInput,
): Promise<{ user: User; tokens: SessionTokens | null }> {
  const { identifiers, password } = await readAccount(app, input);
  const passwordHash = await countSignUp(app, caller, password);
  const proofs = passwordHash === null ? [] : [{ method: 'PASSWORD' as const }];
  return claimIdentifiers(app, caller, { identifiers }, async (tx) => {
    const user = await insertAccount(app, tx, identifiers, { passwordHash });
    const signedIn =
      caller.viewer === null ? await completeSignIn(app, tx, caller, { user, proofs, occasion: 'sign-up' }) : null;
    const tokens = signedIn?.tokens ?? null;
    emit(tx, { type: 'signed-up', user, session: tokens?.session ?? null });
    return { user, tokens };
  });
}

/** @returns the password's hash */
async function countSignUp(app: App, { client }: Caller, password: string | null): Promise<string | null> {
  if (password === null) {
    await limitSignUps(app, client);
    return null;
  }
  return app.passwords.withPlace(async (place) => {
    // Who is sent away because the threads are busy has not signed up, and who may not sign up takes no place.
    await limitSignUps(app, client, place.take);
    return place.hash(password);
  });
}

/**
 * Makes a superuser: asked by another, or by the holder of the bootstrap secret while there is none.
 * @throws {ValidationError} with every issue at once
 * @throws {UnauthenticatedError} without either
 * @throws {ForbiddenError} for anyone else, and for the bootstrap secret once there is a superuser
 */
export async function createSuperuser(
  app: App,
  caller: Caller,
  bootstrapSecret: string | null,
  input: NewAccountInput,
): Promise<{ user: User }> {
  const holdsSecret = bootstrapSecret !== null && isBootstrapSecret(app, bootstrapSecret);
  const bootstrap = holdsSecret && !hasPermission(caller.viewer?.user, 'identity.add_superuser');
  if (!bootstrap) {
    if (caller.viewer === null && bootstrapSecret !== null)
      throw new UnauthenticatedError('The bootstrap secret is not valid.');
    requirePermission(caller, 'identity.add_superuser');
  }
  return { user: await makeSuperuser(app, caller, input, bootstrap) };
}

/**
 * Makes a superuser for whoever has the right to, which is not asked here.
 * @param caller null on the command line
 * @param first whether there must be none yet
 */
export async function makeSuperuser(
  app: App,
  caller: Caller | null,
  input: NewAccountInput,
  first = false,
): Promise<User> {
  const { identifiers, password } = await readAccount(app, input);
  const passwordHash = password === null ? null : await app.passwords.hash(password);
  const by = caller === null ? 'command line' : first ? 'bootstrap secret' : 'by a superuser';
  return claimIdentifiers(app, caller, { identifiers }, async (tx) => {
    await acquireLock(tx, 'superusers');
    if (first && (await hasSuperuser(tx)))
      throw new ForbiddenError('There is a superuser already: the bootstrap secret has served.');
    const user = await insertAccount(app, tx, identifiers, { passwordHash, isStaff: true, isSuperuser: true });
    emit(tx, { type: 'superuser-created', user, by });
    return user;
  });
}

/** Whether the bootstrap secret still opens anything. */
export async function needsBootstrap(app: App): Promise<boolean> {
  return app.bootstrapSecret !== null && !(await hasSuperuser(app.db));
}

function isBootstrapSecret({ bootstrapSecret }: App, given: string): boolean {
  return bootstrapSecret !== null && sameBytes(sha256(given), sha256(bootstrapSecret));
}

/** @throws {ValidationError} with every issue of every field */
async function readAccount(app: App, input: NewAccountInput): Promise<NewAccount> {
  const issues: ValidationIssue[] = [];
  const identifiers: Identifier[] = [];
  for (const field of identifierFields) {
    const text = input[field] ?? null;
    if (text === null) continue;
    const read = readIdentifier(app, field, text);
    if (isIssue(read)) issues.push(read);
    else identifiers.push(read);
  }
  if (identifierFields.every((field) => (input[field] ?? null) === null)) issues.push(identifierRequired());
  const password = input.password ?? null;
  if (password !== null) {
    const issue = await passwordIssue(app, 'password', password, identifiers);
    if (issue !== undefined) issues.push(issue);
  }
  refuseIssues(issues);
  return { identifiers, password };
}

async function insertAccount(
  app: App,
  tx: Database,
  identifiers: Identifier[],
  rest: { passwordHash: string | null; isStaff?: boolean; isSuperuser?: boolean },
): Promise<User> {
  const { username, email, phone } = Object.fromEntries(identifiers.map((identifier) => [identifier.kind, identifier]));
  const user = await insertUser(tx, {
    username: username?.value ?? null,
    usernameKey: username?.key ?? null,
    email: email?.value ?? null,
    emailKey: email?.key ?? null,
    phone: phone?.value ?? null,
    ...rest,
  });
  await insertSecurityTokens(
    tx,
    identifiers.flatMap(({ kind, key, value }) =>
      kind === 'username'
        ? []
        : [
            {
              id: tokenIdOf(app, { kind, key }),
              userId: user.id,
              kind,
              address: value,
              givenAtSignUp: true,
              pending: false,
            },
          ],
    ),
  );
  return {
    ...user,
    emailVerified: email ? false : null,
    phoneVerified: phone ? false : null,
    pendingEmail: null,
    pendingPhone: null,
  };
}

/** @throws {ForbiddenError} for anyone but staff */
export async function getUser(app: App, caller: Caller, id: string): Promise<User | null> {
  requirePermission(caller, 'identity.view_user');
  return isId(id) ? ((await findUser(app.db, id)) ?? null) : null;
}

/**
 * A page of users: the newest first, or those of whom an identifier begins like `search`, in the order of those identifiers.
 * @throws {ForbiddenError} for anyone but staff
 * @throws {BadUserInputError} for a page size out of 1–100, and for a cursor that was not given out for this list
 */
export async function listUsers(
  app: App,
  caller: Caller,
  { first, after, search }: { first: number; after: string | null; search: string | null },
): Promise<Page<User>> {
  requirePermission(caller, 'identity.view_user');
  return readPage({ first, after }, (limit) =>
    search ? searchUsers(app, search, limit, after) : listByAge(app, limit, after),
  );
}

async function listByAge(app: App, limit: number, after: string | null): Promise<Page<User>['edges']> {
  const position = after === null ? null : readPosition(after);
  const found = await findUsersByAge(app.db, limit, position);
  return found.map((node) => ({ cursor: cursorOf(`${node.dateJoined.toISOString()} ${node.id}`), node }));
}

async function searchUsers(
  app: App,
  search: string,
  limit: number,
  after: string | null,
): Promise<Page<User>['edges']> {
  const key = after === null ? '' : readKey(after);
  const found = await findUsersByPrefix(app.db, searchPrefixes(search), limit, key);
  return found.map(({ user, key }) => ({ cursor: cursorOf(`:${key}`), node: user }));
}

/** No identifier is longer, nor its key: a username has 150 code points, of two units at most, and a small letter may be two. */
const longestKeyUnits = 600;

/** What may be the beginning of a phone is looked for among phones and emails, anything else among usernames and emails. */
function searchPrefixes(search: string): Prefix[] {
  // None holds NUL, which PostgreSQL has no text for.
  if (search.length > longestKeyUnits || search.includes('\0')) return [];
  const digits = search.replace(/\D/g, '');
  if (/^[+\d\s().-]*[+\d][+\d\s().-]*$/.test(search))
    return [{ kind: 'phone', key: `+${digits}` }, ...keysOf(search).map((key) => ({ kind: 'email' as const, key }))];
  return keysOf(search).flatMap((key) => [
    { kind: 'username' as const, key },
    { kind: 'email' as const, key },
  ]);
}

/** A Σ at the end is another small letter than one within a word, and where the rest of the identifier goes on is not known. */
function keysOf(search: string): string[] {
  const key = comparisonKey(search);
  return /[σς]$/.test(key) ? [`${key.slice(0, -1)}σ`, `${key.slice(0, -1)}ς`] : [key];
}

function readPosition(cursor: string): UserPosition {
  const [dateJoined = '', id = ''] = readCursor(cursor).split(' ');
  if (!isId(id) || !isInstant(dateJoined)) throw foreignCursor();
  return { dateJoined, id };
}

function readKey(cursor: string): string {
  const key = /^:([^\0]+)$/.exec(readCursor(cursor))?.[1];
  if (key === undefined || key.length > longestKeyUnits) throw foreignCursor();
  return key;
}

/** Whether it is the text of an instant that a user can have joined at: not of the 31st of February. */
function isInstant(text: string): boolean {
  const instant = new Date(text);
  return /^[12]\d{3}-/.test(text) && !Number.isNaN(instant.getTime()) && instant.toISOString() === text;
}
