/** Fault 12: the service on the embedded database is killed while it writes, another process wants the same folder, and a kill comes at any moment of the creation. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { operations } from '../support/client.js';
import { openTestDatabase } from '../support/database.js';
import { killedAfter, markOf } from '../support/embedded.js';
import { experiment, full } from '../support/experiment.js';
import { runToExit, spawnService, temporaryFolder } from '../support/service.js';
import { startSignUps } from '../support/sign-up-load.js';

const kills = full ? 50 : 2;

experiment(12, `embedded database: kill -9 while writing, ${kills} times`, [], async (found) => {
  const environment = { DATA_DIR: temporaryFolder(), ACCESS_TOKEN_TTL_SECONDS: '3600' };
  let service = await spawnService(environment);
  const root = { username: 'root', password: 'correct horse battery' };
  const [, bootstrapSecret = ''] = /Bootstrap +(\S+)/.exec(service.output()) ?? [];
  await operations(service, { headers: { 'x-bootstrap-secret': bootstrapSecret } }).createSuperuser(root);
  const { tokens } = await operations(service).authenticate(root);
  const acknowledged: string[] = [];
  const recoveredAfterMilliseconds: number[] = [];
  const refusals = new Set<string>();
  const lost = new Set<string>();
  const lookFor = async (ids: readonly string[]) => {
    for (const id of ids) {
      const user = await operations(service, { token: tokens.accessToken }).user(id);
      if (user?.securityTokens.length !== 2) lost.add(id);
    }
  };
  for (let kill = 0; kill < kills; kill += 1) {
    const load = startSignUps([service.url], 4);
    await load.reach(5 + (kill % 10));
    if (kill % 10 === 0) {
      const { code, stderr } = await runToExit(environment);
      refusals.add(`${code}: ${stderr.replace(environment.DATA_DIR, 'DATA_DIR').trim()}`);
    }
    await service.kill('SIGKILL');
    await load.stop();
    acknowledged.push(...load.acknowledged);
    const killedAt = performance.now();
    service = await spawnService(environment);
    recoveredAfterMilliseconds.push(performance.now() - killedAt);
    await lookFor(load.acknowledged);
  }
  await lookFor(acknowledged);
  found({
    acknowledged: acknowledged.length,
    lost: lost.size,
    wrongYes: 0,
    recoveredAfterMilliseconds,
    also: { opened: recoveredAfterMilliseconds.length },
  });
  assert.deepEqual([...lost], []);
  assert.deepEqual(
    [...refusals],
    ['1: DATA_DIR is open in another process. Stop that one first, or give DATABASE_URL.'],
  );
  assert.equal(await service.kill('SIGTERM'), 0);
});

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
