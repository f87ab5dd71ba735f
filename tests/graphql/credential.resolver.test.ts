import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { operations } from '../support/client.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService();
const anonymous = operations(service);
const password = 'correct horse battery';

beforeEach(() => clear(service));

test('authenticate says when to retry after a wrong password: 1, 2, 4, 8, 16 seconds', async () => {
  await anonymous.createUser({ username: 'alice', password });
  for (const [index, wait] of [1, 2, 4, 8, 16].entries()) {
    const wrong = await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    assert.equal(wrong.__typename, 'InvalidCredentialsError');
    const early = await anonymous.authenticate({ username: 'alice', password });
    assert.equal(early.__typename, 'TimeoutError');
    assert.equal(early.failureCount, index + 1);
    assert.equal(early.retryAfterSeconds, wait);
    await advance(service, wait);
  }
  const right = await anonymous.authenticate({ username: 'alice', password });
  assert.equal(right.__typename, 'AuthenticateSuccess');
});
