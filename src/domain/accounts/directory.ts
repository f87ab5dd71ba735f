/** The accounts as staff reads them. */
import type { App } from '../../app/app.js';
import { findUsersByAge, findUsersByPrefix, type UserPosition } from '../../database/directory.queries.js';
import { findUser, type Prefix, type User } from '../../database/users.queries.js';
import { isId, requirePermission } from '../authorization/authority.js';
import type { Caller } from '../caller.js';
import { comparisonKey } from '../identifiers.js';
import { cursorOf, foreignCursor, type Page, readCursor, readPage } from '../pages.js';

export type { User } from '../../database/users.queries.js';

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
