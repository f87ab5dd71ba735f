/** Fault 1: a kill of the service during sign-ups. */
import assert from 'node:assert/strict';
import { experiment, full } from '../support/experiment.js';
import { spawnReplicas } from '../support/replicas.js';
import { spawnService } from '../support/service.js';
import { lookForSignUps, startSignUps } from '../support/sign-up-load.js';

const [kills, signUps] = full ? [10, 5_000] : [1, 60];

experiment(1, `kill -9 of one of two replicas, ${kills} times, while people sign up`, [], async (found) => {
  const { both, environment, query } = await spawnReplicas();
  const services = [...both];
  const load = startSignUps(
    both.map(({ url }) => url),
    8,
  );
  const recoveredAfterMilliseconds: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    // Kills at any moment of a sign-up, with several in flight in each process.
    await load.reach(Math.ceil((kill * signUps) / kills) + 20);
    const { url } = services[kill % 2]!;
    await services[kill % 2]!.kill('SIGKILL');
    const killedAt = performance.now();
    services[kill % 2] = await spawnService({ ...environment, PORT: new URL(url).port });
    recoveredAfterMilliseconds.push(performance.now() - killedAt);
  }
  await load.reach(signUps);
  await load.stop();
  const { lost, withoutTokens } = await lookForSignUps({ query }, load.acknowledged);
  found({
    acknowledged: load.acknowledged.length,
    lost,
    wrongYes: 0,
    recoveredAfterMilliseconds,
    also: { unanswered: load.refused(), 'without tokens': withoutTokens },
  });
  assert.deepEqual([lost, withoutTokens], [0, 0]);
  assert.ok(load.refused() > 0, 'no client noticed a kill');
  // Other tests slow the start.
  if (full) assert.ok(Math.max(...recoveredAfterMilliseconds) < 3_000);
});
