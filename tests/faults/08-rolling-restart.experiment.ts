/** Fault 8: the service is told to end, for a new version behind haproxy, and in the middle of a request that does not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { experiment } from '../support/experiment.js';
import { startHaproxy } from '../support/haproxy.js';
import { caller, password, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { spawnReplicas } from '../support/replicas.js';
import { root } from '../support/root.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';
import { lookForSignUps, startSignUps } from '../support/sign-up-load.js';

/** The very file that the documents offer. */
const configuration = readFileSync(join(root, 'docs/examples/haproxy.cfg'), 'utf8');
const restarts = 5;
const requests = 10_000;
/** Until haproxy sends requests to a process that is back: a check each second. */
const seenMilliseconds = 2_000;

experiment(8, 'SIGTERM and rolling restart behind haproxy, 5 times, as in production', ['haproxy'], async (found) => {
  const { both, environment, query } = await spawnReplicas({
    NODE_ENV: 'production',
    BCRYPT_COST: '10',
    DELIVERY_OUTBOX: 'true',
    TRUST_PROXY: '127.0.0.1',
  });
  const listen = `127.0.0.1:${await freePort()}`;
  const addresses = both.map(({ url }) => new URL(url).host);
  await startHaproxy(`global
  setenv LISTEN ${listen}
  setenv SERVER_1 ${addresses[0]}
  setenv SERVER_2 ${addresses[1]}

${configuration}`);
  const entry = { url: `http://${listen}` };
  while (!(await isReady(entry.url))) await delay(50);

  const load = startSignUps([entry.url], 4);
  const alice = await signUp(entry, { username: 'alice', password });
  const others = { answered: 0, failed: [] as string[] };
  let stopped = false;
  const again = async (request: () => Promise<unknown>) => {
    while (!stopped)
      await request().then(
        () => (others.answered += 1),
        (error) => others.failed.push(String(error)),
      );
  };
  // A sign-in takes so long that some are under way whenever a process is told to end.
  const signIn = () => caller(entry).authenticate({ username: 'alice', password });
  const clients = [alice.me, alice.me, alice.me, signIn, signIn, signIn].map(again);

  const services = [...both];
  const codes: (number | null)[] = [];
  const stops: number[] = [];
  for (let restart = 0; restart < restarts; restart += 1)
    for (const [index, address] of addresses.entries()) {
      const told = performance.now();
      codes.push(await services[index]!.kill('SIGTERM'));
      stops.push(performance.now() - told);
      services[index] = await spawnService({ ...environment, PORT: new URL(`http://${address}`).port });
      await delay(seenMilliseconds);
    }
  while (load.acknowledged.length + others.answered < requests) await delay(100);
  stopped = true;
  await Promise.all([load.stop(), ...clients]);
  const { lost, withoutTokens } = await lookForSignUps({ query }, load.acknowledged);

  const failed = load.refused() + others.failed.length;
  found({
    acknowledged: load.acknowledged.length,
    lost,
    wrongYes: 0,
    recoveredAfterMilliseconds: [],
    also: {
      requests: load.acknowledged.length + others.answered + failed,
      failed,
      'stopped within, ms': Math.round(Math.max(...stops)),
      'without tokens': withoutTokens,
    },
  });
  assert.deepEqual([load.refused(), others.failed], [0, []]);
  assert.deepEqual([lost, withoutTokens], [0, 0]);
  assert.deepEqual(codes, Array(2 * restarts).fill(0));
  assert.ok(Math.max(...stops) < 15_000);
});

experiment(8, 'SIGTERM while a client sends its request byte by byte', [], async (found) => {
  const service = await spawnService({
    ...sharedSecrets(),
    DATABASE_URL: await createDatabase(),
    SHUTDOWN_DRAIN_SECONDS: '1',
  });
  const client = connect(Number(new URL(service.url).port), '127.0.0.1');
  client.on('error', () => {});
  await once(client, 'connect');
  client.write(
    'POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{',
  );
  const drip = setInterval(() => client.write(' '), 100);
  client.on('close', () => clearInterval(drip));
  // Later than what has been written, so that the head has been read.
  await fetch(`${service.url}/healthz`);
  const told = performance.now();
  const code = await service.kill('SIGTERM');
  const milliseconds = Math.round(performance.now() - told);
  found({
    acknowledged: 0,
    lost: 0,
    wrongYes: 0,
    recoveredAfterMilliseconds: [],
    also: { 'stopped within, ms': milliseconds },
  });
  assert.equal(code, 0);
  assert.ok(milliseconds < 10_000);
});

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}
