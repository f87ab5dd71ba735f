/**
 * Fault 12: a kill of a process with an embedded database. The slow file kills during the creation.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../support/client.js';
import { isFinished } from '../support/embedded.js';
import { runToExit, spawnService, temporaryFolder } from '../support/service.js';

test('the embedded database belongs to one process, and a start after a kill finds the stored rows', async () => {
  const DATA_DIR = temporaryFolder();
  const first = await spawnService({ DATA_DIR });
  assert.ok(isFinished(DATA_DIR));
  assert.equal((await operations(first).createUser({ username: 'alice' })).__typename, 'CreateUserSuccess');
  const { code, stderr } = await runToExit({ DATA_DIR });
  assert.equal(code, 1);
  assert.equal(stderr, `${DATA_DIR} is open in another process. Stop that process, or set DATABASE_URL.\n`);
  await first.kill('SIGKILL');

  const second = await spawnService({ DATA_DIR });
  const { issues } = await operations(second).createUser({ username: 'alice' });
  assert.deepEqual(issues, [{ field: 'username', code: 'TAKEN' }]);
});
