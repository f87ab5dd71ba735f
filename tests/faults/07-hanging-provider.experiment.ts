/** Fault 7: a hanging provider does not delay other requests. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { inTens } from '../support/client.js';
import { experiment } from '../support/experiment.js';
import { caller, signUp } from '../support/people.js';
import { sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { createDatabase, sharedSecrets, spawnService } from '../support/service.js';

const rounds = 10;
const requestsPerRound = 400;
const messagesPerRound = 40;
/** Owners wait for their message. Strangers do not. */
const owners = 20;

experiment(7, 'a provider hangs while others ask for something else', [], async (found) => {
  const provider = await startSendGrid();
  const service = await spawnService({
    ...sharedSecrets(),
    ...sendGridEnvironment(provider),
    DATABASE_URL: await createDatabase(),
    OTP_SEND_INTERVAL_SECONDS: '0',
    OTP_SENDS_PER_HOUR: '0',
    OTP_SENDS_PER_DAY: '0',
  });
  const anonymous = caller(service);
  const other = await signUp(service, { username: 'alice' });
  const waiting = await inTens(
    Array.from({ length: owners }, (_, number) => `owner-${number}@example.com`),
    (email) => signUp(service, { email }),
  );
  const crowd = Array.from({ length: messagesPerRound }, (_, number) => `crowd-${number}@example.com`);
  const tokens = await inTens(crowd, async (email) => (await signUp(service, { email })).emailToken);

  /**
   * Measures the waits of others during many message requests, with an accepting or a hanging
   * provider.
   */
  async function round(behaviour: 'accept' | 'hang'): Promise<number[]> {
    provider.behaveElse(behaviour);
    const sent = inTens(tokens, (token) => anonymous.sendOneTimePassword(token));
    const awaited = Promise.all(waiting.map((owner) => owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION')));
    const waits: number[] = [];
    for (let request = 0; request < requestsPerRound; request += 1) {
      const askedAt = performance.now();
      await other.me();
      waits.push(performance.now() - askedAt);
      await delay(2);
    }
    for (const { __typename } of await sent) assert.equal(__typename, 'SendOneTimePasswordSuccess');
    const expected = behaviour === 'accept' ? 'SendOneTimePasswordSuccess' : 'TransmissionError';
    for (const { __typename } of await awaited) assert.equal(__typename, expected);
    // The service aborts hanging messages before the next round.
    if (behaviour === 'hang') await delay(5_000);
    return waits;
  }

  await round('accept');
  const waits: Record<'accept' | 'hang', number[]> = { accept: [], hang: [] };
  for (let each = 0; each < rounds; each += 1)
    for (const behaviour of each % 2 === 0 ? (['accept', 'hang'] as const) : (['hang', 'accept'] as const))
      waits[behaviour].push(...(await round(behaviour)));
  const [atRest, meanwhile] = [percentile(waits.accept), percentile(waits.hang)];
  found({
    acknowledged: waits.accept.length + waits.hang.length,
    lost: 0,
    wrongYes: 0,
    recoveredAfterMilliseconds: [],
    also: {
      'p99 beside a provider that takes messages, ms': atRest.toFixed(1),
      'p99 beside one that hangs, ms': meanwhile.toFixed(1),
    },
  });
  assert.ok(meanwhile < 1.2 * atRest);
});

function percentile(milliseconds: number[]): number {
  return milliseconds.sort((a, b) => a - b)[Math.ceil(milliseconds.length * 0.99) - 1]!;
}
