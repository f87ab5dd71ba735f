/** Statements that list users: by date joined, and by identifier prefix. */
import { desc, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { users } from './schema.js';
import { type IdentifierPrefix, keyColumns, type User, userColumns } from './users.queries.js';

/** The last user of the previous page. */
export type UserPosition = { dateJoined: string; id: string };

/** Returns users, newest first, after a position. */
export async function listUsersByDateJoined(db: Database, limit: number, after: UserPosition | null): Promise<User[]> {
  const isBehind = sql`(${users.dateJoined}, ${users.id}) < (${sql.placeholder('dateJoined')}::timestamptz, ${sql.placeholder('id')}::uuid)`;
  const prepared = prepareCached(db, after === null ? 'find_newest_users' : 'find_older_users', (db) =>
    db
      .select(userColumns)
      .from(users)
      .where(after === null ? undefined : isBehind)
      .orderBy(desc(users.dateJoined), desc(users.id))
      .limit(sql.placeholder('limit')),
  );
  return prepared.execute({ limit, ...after });
}

/** A user, and the first of their identifiers that matches. */
export interface PrefixMatch {
  user: User;
  key: string;
}

/**
 * Returns users with a matching identifier, in the order of those identifiers, after `after`.
 * Follows the index of each column, whatever the planner estimates.
 * Returns each user once, at their first matching identifier.
 */
export async function listUsersByPrefix(
  db: Database,
  prefixes: IdentifierPrefix[],
  limit: number,
  after: string,
): Promise<PrefixMatch[]> {
  const found: PrefixMatch[] = [];
  let [position, width] = [after, limit * prefixes.length];
  for (let more = prefixes.length > 0; more && found.length < limit; width *= 4) {
    const matches = await findMatches(db, prefixes, width, position);
    for (const { user, key } of matches) if (user !== null) found.push({ user, key });
    position = matches.at(-1)?.key ?? position;
    more = matches.length === width;
  }
  return found.slice(0, limit);
}

/**
 * Returns matching identifiers in order. `user` is null where an earlier identifier of the same
 * user matches.
 */
async function findMatches(
  db: Database,
  prefixes: IdentifierPrefix[],
  limit: number,
  after: string,
): Promise<{ user: User | null; key: string }[]> {
  // The order is by bytes, so all matches sort below the prefix plus the last code point.
  const begins = ({ kind, key }: IdentifierPrefix) =>
    sql`${keyColumns[kind]} >= ${key} and ${keyColumns[kind]} < ${`${key}\u{10FFFF}`}`;
  const first = sql.join(
    prefixes.map((prefix) => sql`case when ${begins(prefix)} then ${keyColumns[prefix.kind]} end`),
    sql`, `,
  );
  const matches = prefixes.map((prefix) => {
    const column = keyColumns[prefix.kind];
    return sql`(select ${users.id}, ${column} as key, ${column} = least(${first}) as is_first
      from ${users} where ${begins(prefix)} and ${column} > ${after} order by ${column} limit ${limit})`;
  });
  return (
    db
      .select({ user: userColumns, key: sql<string>`matches.key` })
      .from(sql`(${sql.join(matches, sql` union all `)} order by key limit ${limit}) as matches`)
      // Reads no columns of skipped users.
      .leftJoin(users, sql`${users.id} = case when matches.is_first then matches.id end`)
      .orderBy(sql`matches.key`)
  );
}
