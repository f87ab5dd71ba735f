/** Fault 9: five times as many sign-ins as the threads can hash. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { operations, send } from '../support/client.js';
import { experiment } from '../support/experiment.js';
import { connect } from '../support/replicas.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';

const people = 400;
const password = 'correct horse battery';
const seconds = 15;
const signIn = 'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename } }';

interface Answered {
  outcome: 'signed in' | 'shed' | 'other';
  milliseconds: number;
}

experiment(9, 'sign-ins at five times capacity', [], async (found) => {
  const DATABASE_URL = await createDatabase();
  const service = await spawnService({
    ...sharedSecrets(),
    DATABASE_URL,
    BCRYPT_COST: '10',
    PASSWORD_HASH_THREADS: '2',
  });
  const { query } = await connect(DATABASE_URL);
  await operations(service).createUser({ username: 'person0', password });
  await query(
    `insert into users (username, username_key, password_hash)
     select 'person' || n, 'person' || n, (select password_hash from users where username = 'person0') from generate_series(1, ${people - 1}) n`,
  );
  let next = 0;
  const answer = async (username = `person${next++ % people}`): Promise<Answered> => {
    const askedAt = performance.now();
    const { status, headers, data, errors } = await send(service, signIn, { input: { username, password } });
    const shed = status === 503 && headers.has('retry-after') && errors?.[0]?.extensions.code === 'SERVICE_UNAVAILABLE';
    const outcome = shed ? 'shed' : data?.authenticate.__typename === 'AuthenticateSuccess' ? 'signed in' : 'other';
    return { outcome, milliseconds: performance.now() - askedAt };
  };

  // One sign-in for each thread, and one that waits.
  const end = performance.now() + 6_000;
  const one = async () => {
    for (let count = 0; ; count += 1) {
      await answer();
      if (performance.now() > end) return count;
    }
  };
  const served = await Promise.all([one(), one(), one(), one()]);
  const capacity = served.reduce((sum, count) => sum + count, 0) / 6;

  const answers: Promise<Answered>[] = [];
  const health: number[] = [];
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1000;
  const watching = (async () => {
    while (elapsed() < seconds) {
      const askedAt = performance.now();
      assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
      health.push(performance.now() - askedAt);
      await delay(20);
    }
  })();
  // Later sign-ins do not wait for earlier ones.
  while (elapsed() < seconds) {
    while (answers.length < elapsed() * capacity * 5) answers.push(answer());
    await delay(5);
  }
  await watching;
  const all = await Promise.all(answers);
  const tookSeconds = elapsed();
  const of = (outcome: Answered['outcome']) => all.filter((one) => one.outcome === outcome);
  const signedIn = of('signed in');
  const recoveryStartedAt = performance.now();
  while ((await answer()).outcome !== 'signed in');
  const kept = signedIn.length / tookSeconds / capacity;
  const p99 = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
  const acceptedP99 = p99(signedIn.map(({ milliseconds }) => milliseconds));
  const shedP99 = p99(of('shed').map(({ milliseconds }) => milliseconds));
  const [{ sessions }] = await query('select count(*)::int as sessions from sessions');
  found({
    acknowledged: signedIn.length,
    // Each successful sign-in has a session, including those that measure the capacity.
    lost: Math.max(0, signedIn.length - sessions),
    wrongYes: 0,
    recoveredAfterMilliseconds: [performance.now() - recoveryStartedAt],
    also: {
      'capacity, a second': capacity.toFixed(1),
      'offered, a second': (all.length / seconds).toFixed(0),
      'of capacity served': kept.toFixed(2),
      'accepted p99, ms': acceptedP99.toFixed(0),
      'shed p99, ms': shedP99.toFixed(0),
      'health p99, ms': p99(health).toFixed(0),
    },
  });
  assert.deepEqual(of('other'), []);
  assert.ok(kept >= 0.8, `${kept} of capacity`);
  assert.ok(acceptedP99 <= 2_000, `accepted p99 ${acceptedP99} ms`);
  assert.ok(shedP99 <= 50, `shed p99 ${shedP99} ms`);
  assert.ok(p99(health) <= 50, `health p99 ${p99(health)} ms`);
});
