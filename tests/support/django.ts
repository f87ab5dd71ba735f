/** Databases of other systems as import sources. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { root } from './root.js';
import { createDatabase } from './service.js';

const folder = join(root, 'tests/import');

/** A user of the dump with a known password. */
export interface Expected {
  id: number;
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password: string | null;
  is_active?: boolean;
  is_staff?: boolean;
  is_superuser?: boolean;
  email_verified?: boolean | null;
  phone_verified?: boolean | null;
  note?: string;
}

export const expected = JSON.parse(readFileSync(join(folder, 'django-flex-user.json'), 'utf8')) as Expected[];

/** Creates a database with the content of a real django-flex-user project. @returns its URL */
export async function restoreDjango(): Promise<string> {
  const url = await createDatabase('template template0');
  await withClient(url, (client) => restore(client, readFileSync(join(folder, 'django-flex-user.sql'), 'utf8')));
  return url;
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs a dump like psql: statements, and rows after COPY. */
async function restore(client: pg.Client, text: string): Promise<void> {
  const dump = text.replace(/^\\(un)?restrict .*$/gm, '');
  const copies = /^COPY (\S+) \(([^)]+)\) FROM stdin;\n([\s\S]*?)^\\\.$/gm;
  let at = 0;
  for (const { 0: whole, 1: table, 2: columns, 3: rows, index } of dump.matchAll(copies)) {
    await client.query(dump.slice(at, index));
    for (const row of rows!.split('\n').slice(0, -1)) {
      const values = row.split('\t').map(fieldOf);
      await client.query(
        `insert into ${table} (${columns}) values (${values.map((_, n) => `$${n + 1}`).join(', ')})`,
        values,
      );
    }
    at = index + whole.length;
  }
  await client.query(dump.slice(at));
}

function fieldOf(text: string): string | null {
  if (text === '\\N') return null;
  const letters: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\(.)/g, (_, letter: string) => letters[letter] ?? letter);
}
