/** The embedded database killed at any moment of its creation. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { openTestDatabase } from '../support/database.js';
import { killedAfter, markOf } from '../support/embedded.js';
import { temporaryFolder } from '../support/service.js';

test('a kill at any moment of the creation leaves a folder that can be opened, and an existing database is never discarded', async () => {
  const seen: boolean[] = [];
  for (const milliseconds of [50, 150, 300, 500, 700, 1_000, 1_500, 2_500, 4_000]) {
    const dataDir = temporaryFolder();
    seen.push(await killedAfter(dataDir, milliseconds));
    for (const expected of [[], ['alice']]) {
      const { db, migrate, close } = await openTestDatabase({ url: undefined, dataDir });
      try {
        await migrate();
        assert.equal(existsSync(markOf(dataDir)), false);
        const { rows } = (await db.execute(sql`select username from users`)) as unknown as {
          rows: { username: string }[];
        };
        assert.deepEqual(
          rows.map(({ username }) => username),
          expected,
          `killed after ${milliseconds} ms`,
        );
        if (expected.length === 0)
          await db.execute(sql`insert into users (username, username_key) values ('alice', 'alice')`);
      } finally {
        await close();
      }
    }
    // Later moments come after the creation.
    if (seen.includes(true) && seen.at(-1) === false) break;
  }
  assert.ok(seen.includes(true), 'no kill came during the creation');
});
