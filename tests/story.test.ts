/** The life of an account on PostgreSQL. */
import { test } from 'node:test';
import { startService } from './support/service.js';
import { liveAndEnd } from './support/story.js';

test('an account passes through its lifecycle on PostgreSQL', async () => {
  await liveAndEnd(await startService({ OTP_SEND_INTERVAL_SECONDS: '0' }));
});
