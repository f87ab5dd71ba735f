/** Lists accounts for staff. */
import type { App } from '../../app/app.js';
import { listUsersByDateJoined, listUsersByPrefix, type UserPosition } from '../../database/directory.queries.js';
import { findUser, type IdentifierPrefix, type User } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { isId, requirePermission } from '../authorization/authority.js';
import { comparisonKey } from '../identifiers.js';
import { decodeCursor, encodeCursor, invalidCursor, type Page, readPage } from '../pages.js';

export type { User } from '../../database/users.queries.js';

/** @throws {ForbiddenError} if the caller is not staff */
export async function getUser(app: App, actor: Actor, id: string): Promise<User | null> {
  requirePermission(actor, 'identity.view_user');
  return isId(id) ? ((await findUser(app.db, id)) ?? null) : null;
}

/**
 * Returns a page of users, newest first. With `search`, returns users with an identifier that
 * starts with it, in the order of those identifiers.
 * @throws {ForbiddenError} if the caller is not staff
 * @throws {BadUserInputError} for an invalid page size or cursor
 */
export async function listUsers(
  app: App,
  actor: Actor,
  { first, after, search }: { first: number; after: string | null; search: string | null },
): Promise<Page<User>> {
  requirePermission(actor, 'identity.view_user');
  return readPage({ first, after }, (limit) =>
    search ? searchUsers(app, search, limit, after) : listByDateJoined(app, limit, after),
  );
}

async function listByDateJoined(app: App, limit: number, after: string | null): Promise<Page<User>['edges']> {
  const position = after === null ? null : readPosition(after);
  const found = await listUsersByDateJoined(app.db, limit, position);
  return found.map((node) => ({ cursor: encodeCursor(`${node.dateJoined.toISOString()} ${node.id}`), node }));
}

async function searchUsers(
  app: App,
  search: string,
  limit: number,
  after: string | null,
): Promise<Page<User>['edges']> {
  const key = after === null ? '' : readSearchCursor(after);
  const found = await listUsersByPrefix(app.db, searchPrefixes(search), limit, key);
  return found.map(({ user, key }) => ({ cursor: encodeCursor(`:${key}`), node: user }));
}

/** Maximum key length: 150 code points of two units, and lower case may double the units. */
const maxKeyUnits = 600;

/** Searches phones and emails if the text may start a phone, otherwise usernames and emails. */
function searchPrefixes(search: string): IdentifierPrefix[] {
  // No identifier contains NUL, which PostgreSQL text cannot hold.
  if (search.length > maxKeyUnits || search.includes('\0')) return [];
  const digits = search.replace(/\D/g, '');
  if (/^[+\d\s().-]*[+\d][+\d\s().-]*$/.test(search))
    return [
      { kind: 'phone', key: `+${digits}` },
      ...toSearchKeys(search).map((key) => ({ kind: 'email' as const, key })),
    ];
  return toSearchKeys(search).flatMap((key) => [
    { kind: 'username' as const, key },
    { kind: 'email' as const, key },
  ]);
}

/** A final Σ has another lower case than one within a word, and the word may continue. */
function toSearchKeys(search: string): string[] {
  const key = comparisonKey(search);
  return /[σς]$/.test(key) ? [`${key.slice(0, -1)}σ`, `${key.slice(0, -1)}ς`] : [key];
}

function readPosition(cursor: string): UserPosition {
  const [dateJoined = '', id = ''] = decodeCursor(cursor).split(' ');
  if (!isId(id) || !isInstant(dateJoined)) throw invalidCursor();
  return { dateJoined, id };
}

function readSearchCursor(cursor: string): string {
  const key = /^:([^\0]+)$/.exec(decodeCursor(cursor))?.[1];
  if (key === undefined || key.length > maxKeyUnits) throw invalidCursor();
  return key;
}

/** Whether the text is a valid timestamp: not the 31st of February. */
function isInstant(text: string): boolean {
  const instant = new Date(text);
  return /^[12]\d{3}-/.test(text) && !Number.isNaN(instant.getTime()) && instant.toISOString() === text;
}
