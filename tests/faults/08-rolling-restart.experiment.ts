/** Fault 8: a rolling restart behind haproxy, with requests in flight. */
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

/** The file from the documentation. */
const configuration = readFileSync(join(root, 'docs/examples/haproxy.cfg'), 'utf8');
const restarts = 5;
const requests = 10_000;
/** The time until haproxy uses a restarted process: it checks once a second. */
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
  // A sign-in takes long enough to be in flight at every stop.
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
  // After the data, so that haproxy has read the head.
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
