/**
 * Fault 12: kills of the service with an embedded database, during writes and creation, and a
 * second process.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectMember, operations } from '../support/client.js';
import { openTestDatabase } from '../support/database.js';
import { isFinished, killedAfter } from '../support/embedded.js';
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
  const { tokens } = expectMember(await operations(service).authenticate(root), 'AuthenticateSuccess');
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
  assert.deepEqual([...refusals], ['1: DATA_DIR is open in another process. Stop that process, or set DATABASE_URL.']);
  assert.equal(await service.kill('SIGTERM'), 0);
});

test('a kill at any moment of the creation leaves a usable folder', async () => {
  const dataDir = temporaryFolder();
  let unfinished = 0;
  // Each start uses the folder of the previous kill. The last process is killed after the creation.
  for (let milliseconds = 50; !isFinished(dataDir); milliseconds *= 1.5)
    if (await killedAfter(dataDir, milliseconds)) unfinished += 1;
  assert.ok(unfinished > 0, 'no kill came during the creation');
  const { db, migrate, close } = await openTestDatabase({ url: undefined, dataDir });
  try {
    await migrate();
    await db.execute(sql`insert into users (username, username_key) values ('alice', 'alice')`);
  } finally {
    await close();
  }
});
