/** A kill at any moment of a refresh. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import { assertGoesOn } from '../support/lost-answers.js';
import { password, signUp } from '../support/people.js';
import { createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const survivor = await startService(shared);

test('a kill at any moment of a refresh does not revoke the session', async () => {
  const outcomes = new Set<string>();
  for (const wait of [0, 2, 5, 10, 20]) {
    const people = await Promise.all(
      Array.from({ length: 8 }, (_, n) => signUp(survivor, { username: `killed-at-${wait}-${n}`, password })),
    );
    const ours = await connections();
    const victim = await spawnService(shared);
    const answers = Promise.allSettled(
      people.map(({ tokens }) => operations(victim).refreshSession(tokens.refreshToken)),
    );
    await delay(wait);
    await victim.kill('SIGKILL');
    // The database completes statements that it has received.
    while ((await connections()).some((pid) => !ours.includes(pid))) await delay(10);
    for (const { status } of await answers) outcomes.add(status);
    for (const person of people) await assertGoesOn(survivor, person);
  }
  assert.ok(outcomes.has('rejected'), 'no answer was lost');
});

/** The database processes with a client. */
async function connections(): Promise<number[]> {
  const { rows } = (await survivor.app.db.execute(
    'select pid from pg_stat_activity where datname = current_database()',
  )) as unknown as { rows: { pid: number }[] };
  return rows.map(({ pid }) => pid);
}
