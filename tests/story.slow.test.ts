/** The life of an account on the embedded database. */
import { test } from 'node:test';
import { startService } from './support/service.js';
import { liveAndEnd } from './support/story.js';

test('an account passes through its lifecycle on the embedded database', async () => {
  await liveAndEnd(await startService({ DATABASE_URL: 'memory:', OTP_SEND_INTERVAL_SECONDS: '0' }));
});
