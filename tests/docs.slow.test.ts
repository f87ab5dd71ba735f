/** The conversation of the README, from a fresh start as its reader has it. */
import { test } from 'node:test';
import { converse } from './support/readme.js';

test('the requests of the README get the answers of the README, from a fresh start and as they stand', async () => {
  await converse({});
});
