/** Fault 12: a process is killed while it creates the embedded database, and another while it serves from it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { operations } from '../support/client.js';
import { killedWhileCreating, markOf } from '../support/embedded.js';
import { runToExit, spawnService, temporaryFolder } from '../support/service.js';

test('the start after a kill replaces an unfinished database, and never discards a finished one', async () => {
  const DATA_DIR = temporaryFolder();
  const left = await killedWhileCreating(DATA_DIR);
  assert.ok(left.length > 0, 'a part of the database was left');

  const first = await spawnService({ DATA_DIR });
  assert.equal(existsSync(markOf(DATA_DIR)), false, 'the database is finished');
  assert.equal((await operations(first).createUser({ username: 'alice' })).__typename, 'CreateUserSuccess');
  const { code, stderr } = await runToExit({ DATA_DIR });
  assert.equal(code, 1);
  assert.equal(stderr, `${DATA_DIR} is open in another process. Stop that one first, or give DATABASE_URL.\n`);
  await first.kill('SIGKILL');

  const second = await spawnService({ DATA_DIR });
  const { issues } = await operations(second).createUser({ username: 'alice' });
  assert.deepEqual(issues, [{ field: 'username', code: 'TAKEN' }]);
});
