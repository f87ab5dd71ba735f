/** Statements that list users: by age, and by the beginning of an identifier. */
import { desc, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { prepareCached } from './prepared.js';
import { users } from './schema.js';
import { type IdentifierPrefix, keyColumns, type User, userColumns } from './users.queries.js';

/** Where a page begins: behind that user. */
export type UserPosition = { dateJoined: string; id: string };

/** Users, the newest first, behind a position. `joined` is exact to what the database compares. */
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

/** A user, and the first of the identifiers by which they were found. */
export interface PrefixMatch {
  user: User;
  key: string;
}

/**
 * Users of whom an identifier begins so, in the order of those identifiers, behind the key of `after`. Each prefix is followed along the index of its column,
 * whatever the planner thinks of how many there are; one who is found by several identifiers is passed over at all but the first.
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

/** Identifiers that begin so, in their order; the user of each that is the first of the user's that do. */
async function findMatches(
  db: Database,
  prefixes: IdentifierPrefix[],
  limit: number,
  after: string,
): Promise<{ user: User | null; key: string }[]> {
  // Compared byte by byte, so everything that begins so lies below the same text with the last code point of all behind it.
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
      // Nothing more is read of those who are passed over.
      .leftJoin(users, sql`${users.id} = case when matches.is_first then matches.id end`)
      .orderBy(sql`matches.key`)
  );
}
