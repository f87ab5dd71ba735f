/** Reads the users of a Django database: django-flex-user or plain Django. Never writes to it. */
import pg from 'pg';

/** A user row of Django. An id of any type is read as text. */
export interface DjangoUser {
  id: string;
  username: string | null;
  email: string | null;
  phone: string | null;
  password: string | null;
  isActive: boolean;
  isStaff: boolean;
  isSuperuser: boolean;
  dateJoined: Date | null;
  lastLogin: Date | null;
  emailVerified: boolean | null;
  emailFailureCount: number | null;
  emailTimeout: Date | null;
  phoneVerified: boolean | null;
  phoneFailureCount: number | null;
  phoneTimeout: Date | null;
}

export interface DjangoDatabase {
  table: string;
  count: number;
  /** Yields users by id, from the snapshot taken at opening. */
  users(): AsyncIterable<DjangoUser>;
  close(): Promise<void>;
}

/** The database has no user table, or the role may not read it. */
export class NotDjangoError extends Error {
  override readonly name = 'NotDjangoError';
}

/** SQLSTATE classes: wrong password, unknown database, missing privilege. */
const unreadable = /^(28|3D|42)/;

/** Default table names. The first that exists is used. */
const defaultTables = ['django_flex_user_flexuser', 'auth_user'];

const columns = {
  username: { column: 'username::text', otherwise: 'null' },
  email: { column: 'email::text', otherwise: 'null' },
  phone: { column: 'phone::text', otherwise: 'null' },
  password: { column: 'password::text', otherwise: 'null' },
  is_active: { column: 'is_active', otherwise: 'true' },
  is_staff: { column: 'is_staff', otherwise: 'false' },
  is_superuser: { column: 'is_superuser', otherwise: 'false' },
  date_joined: { column: 'date_joined::timestamptz', otherwise: 'null::timestamptz' },
  last_login: { column: 'last_login::timestamptz', otherwise: 'null::timestamptz' },
};

/** Rows per fetch. */
const fetchSize = 1_000;

/**
 * Opens the database in one read-only transaction with one snapshot.
 * @param table user table, with its schema if not the default one; default: the first of
 * `defaultTables` that exists
 * @throws {NotDjangoError}
 */
export async function openDjango(url: string, table?: string): Promise<DjangoDatabase> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'flex-identity import',
    connectionTimeoutMillis: 10_000,
  });
  // The next statement reports a connection that fails while idle.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('begin transaction isolation level repeatable read read only');
    // Django stores UTC in columns without a time zone.
    await client.query(`set local timezone to 'UTC'`);
    // The consumer may take any time between two fetches.
    await client.query('set local idle_in_transaction_session_timeout = 0');
    const found = await findTable(client, table);
    const selection = await select(client, found);
    const { rows } = await client.query(`select count(*)::int as count from ${found}`);
    return {
      table: found,
      count: rows[0].count,
      async *users() {
        await client.query(`declare imported_users no scroll cursor for ${selection}`);
        for (;;) {
          const { rows } = await client.query<DjangoUser>(`fetch ${fetchSize} from imported_users`);
          yield* rows;
          if (rows.length < fetchSize) return;
        }
      },
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    const isUnreadable = error instanceof pg.DatabaseError && unreadable.test(error.code ?? '');
    throw isUnreadable ? new NotDjangoError(`The source cannot be read: ${error.message}.`) : error;
  }
}

/** @returns the quoted name of the table */
async function findTable(client: pg.Client, table: string | undefined): Promise<string> {
  for (const name of table === undefined ? defaultTables : [table]) {
    const quoted = name.split('.').map(pg.escapeIdentifier).join('.');
    const { rows } = await client.query('select to_regclass($1)::text as found', [quoted]);
    if (rows[0].found !== null) return quoted;
  }
  throw new NotDjangoError(
    table === undefined
      ? `Neither of the tables ${defaultTables.join(' and ')} exists. Name the user table by --table.`
      : `The table ${table} does not exist.`,
  );
}

/** Builds the query from the columns that exist. */
async function select(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    'select attname::text as name from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped',
    [table],
  );
  const present = new Set(rows.map(({ name }) => name));
  if (!present.has('id') || !present.has('password'))
    throw new NotDjangoError(`The table ${table} has no columns id and password, so it is not a user table of Django.`);
  const selectColumn = (name: keyof typeof columns) => {
    const { column, otherwise } = columns[name];
    return present.has(name) ? `u.${column}` : otherwise;
  };
  const tokenTable = async (kind: string) => {
    const name = table.replace(/_flexuser"$/, `_${kind}token"`);
    const { rows } = await client.query('select to_regclass($1) is not null as found', [name]);
    return name !== table && rows[0].found ? name : undefined;
  };
  const [email, phone] = [await tokenTable('email'), await tokenTable('phone')];
  const selectToken = (alias: string, table: string | undefined, prefix: string) =>
    table === undefined
      ? `null as "${prefix}Verified", null as "${prefix}FailureCount", null as "${prefix}Timeout"`
      : `${alias}.verified as "${prefix}Verified", ${alias}.failure_count as "${prefix}FailureCount", ${alias}.timeout::timestamptz as "${prefix}Timeout"`;
  return `select u.id::text as id, ${selectColumn('username')} as username, ${selectColumn('email')} as email, ${selectColumn('phone')} as phone,
      ${selectColumn('password')} as password, ${selectColumn('is_active')} as "isActive", ${selectColumn('is_staff')} as "isStaff",
      ${selectColumn('is_superuser')} as "isSuperuser", ${selectColumn('date_joined')} as "dateJoined", ${selectColumn('last_login')} as "lastLogin",
      ${selectToken('e', email, 'email')}, ${selectToken('p', phone, 'phone')}
    from ${table} u
    ${email === undefined ? '' : `left join ${email} e on e.user_id = u.id`}
    ${phone === undefined ? '' : `left join ${phone} p on p.user_id = u.id`}
    order by u.id`;
}
