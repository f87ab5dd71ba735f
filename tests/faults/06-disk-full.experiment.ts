/** Fault 6: a full database disk. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import { databaseFolder, databaseUser, startDatabaseServer } from '../support/database-server.js';
import { experiment } from '../support/experiment.js';
import { acknowledgedRows, incompleteUsers, lostRows, overcounted, startLoad } from '../support/load.js';
import { connect } from '../support/replicas.js';
import { sharedSecrets, spawnService } from '../support/service.js';

const known = { username: 'known', password: 'correct horse battery' };
const seconds = 20;
let mounted = false;
// Lazily, before the folder is removed, because the server may still run.
after(() => mounted && execFileSync('umount', ['-l', folder]));
const folder = databaseFolder();
mounted = mount(folder);

experiment(6, `disk full for ${seconds} s`, mounted ? [] : ['the-right-to-mount'], async (found) => {
  const database = await startDatabaseServer({ folder, settings: { max_wal_size: '64MB', min_wal_size: '32MB' } });
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL: database.url });
  await operations(service).createUser(known);
  const load = startLoad([service], { clients: 10, known });
  await delay(5_000);
  const before = load.noted.signUps.length;

  const filler = join(folder, 'filler');
  const { bavail, bsize } = statfsSync(folder);
  // The database uses some space meanwhile.
  assert.throws(() => writeFileSync(filler, Buffer.alloc((bavail + 1) * bsize)), { code: 'ENOSPC' });
  const filledAt = performance.now();
  // Uses up the existing write-ahead log, so PostgreSQL has no space to write.
  const { query } = await connect(database.url);
  for (let segments = 0; segments < 10; segments += 1) await query('select pg_switch_wal()').catch(() => {});
  // PostgreSQL stops if it cannot write its log. The supervisor restarts it, at first without
  // success.
  let healed = false;
  after(() => (healed = true));
  const supervised = (async () => {
    for (; !healed; await delay(100)) await database.start();
  })();
  await delay(seconds * 1_000);
  const meanwhile = load.noted.signUps.length - before;
  const { unavailable } = load.noted;
  rmSync(filler);
  const recovered = await load.nextSignUp();
  const fullMilliseconds = performance.now() - filledAt - recovered;
  await delay(3_000);
  const noted = await load.end();
  healed = true;
  await supervised;

  const lost = await lostRows(noted, query);
  found({
    acknowledged: acknowledgedRows(noted),
    lost,
    wrongYes: noted.wrongYes,
    recoveredAfterMilliseconds: [recovered],
    also: {
      'sign-ups': noted.signUps.length,
      'sign-ups meanwhile': meanwhile,
      unavailable: noted.unavailable,
      'longest refusal, ms': Math.round(noted.longestRefusalMilliseconds),
      'ends of the server': database.log().match(/database system is shut down|PANIC/g)?.length ?? 0,
    },
  });
  assert.deepEqual(noted.unexpected, []);
  assert.equal(lost, 0);
  assert.equal(noted.wrongYes, 0);
  assert.equal(await incompleteUsers(query), 0);
  assert.deepEqual(await overcounted(noted, query), []);
  assert.ok(unavailable > 0, 'the fault was felt');
  assert.match(database.log(), /PANIC/);
  assert.ok(fullMilliseconds > seconds * 1_000 - 100);
  assert.ok(recovered < 5_000);
});

/** Mounts a small disk at the folder. @returns whether this machine permits it */
function mount(folder: string): boolean {
  const owner = databaseUser.uid === undefined ? '' : `,uid=${databaseUser.uid},gid=${databaseUser.gid}`;
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=200m,mode=700${owner}`, 'tmpfs', folder]);
  return status === 0;
}
