/**
 * Fault 7: with any failures of a provider, no password is sent twice and other requests do not
 * wait.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { inTens } from '../support/client.js';
import { experiment, full } from '../support/experiment.js';
import { signUp } from '../support/people.js';
import type { Behaviour } from '../support/provider.js';
import {
  oneTimePasswordInMail,
  type SendGridMail,
  sendGridEnvironment,
  sendGridRefusal,
  startSendGrid,
} from '../support/sendgrid.js';
import { createDatabase, sharedSecrets, startService } from '../support/service.js';

const owners = full ? 400 : 20;
const atOnce = 20;
/** Five seconds, and half a second for a slow machine. */
const patienceMilliseconds = 5_500;

/**
 * Behaviours after which the provider may have accepted the message. The last two certainly did
 * not.
 */
const behaviours: Record<string, Behaviour<SendGridMail>> = {
  accept: 'accept',
  hang: 'hang',
  drip: 'drip',
  reset: 'reset',
  close: 'close',
  garbage: 'garbage',
  'hang in refusal': 'hang-in-refusal',
  '500': sendGridRefusal(500, 'trouble within'),
  '503': sendGridRefusal(503, 'down for a moment', null, { 'retry-after': '1' }),
  '200 of something else': { status: 200, body: '<html>Welcome!' },
  '429': sendGridRefusal(429, 'too many requests', null, { 'retry-after': '1' }),
  '429 at once': sendGridRefusal(429, 'too many requests', null, { 'retry-after': '0' }),
};
/**
 * The behaviours for an owner's message: first, second and third try, and forbidden further tries.
 */
const fates = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('429', '429 at once') },
    { weight: 2, arbitrary: fc.constant('accept') },
    { weight: 5, arbitrary: fc.constantFrom(...Object.keys(behaviours)) },
  ),
  { minLength: 1, maxLength: 4 },
);

/** Combinations that every run must contain. */
const certain = [
  ['accept'],
  ['429 at once', '429 at once', 'accept'],
  ['429 at once', '429 at once', '429 at once', 'accept'],
  ['429', 'accept'],
  ['429 at once', 'reset', 'accept'],
  ['reset', 'accept'],
  ['hang', 'accept'],
  ['500', 'accept'],
];

experiment(7, `${owners} messages to a provider that misbehaves in any order`, [], async (found) => {
  const provider = await startSendGrid();
  const service = await startService({
    ...sharedSecrets(),
    ...sendGridEnvironment(provider),
    DATABASE_URL: await createDatabase(),
  });
  const messages = [...certain, ...fc.sample(fates, owners - certain.length)].map((fate, number) => ({
    fate,
    to: `owner-${number}@example.com`,
  }));
  const people = await inTens(messages, async ({ fate, to }) => {
    provider.behave(to, ...(fate.map((name) => behaviours[name]!) as [Behaviour<SendGridMail>]));
    return { fate, to, owner: await signUp(service, { email: to }) };
  });
  let [acknowledged, doubled, lost, wrongYes] = [0, 0, 0, 0];
  const unexpected: string[] = [];
  const [tries, waits]: [number[], number[]] = [[], []];
  // Fewer than the maximum of concurrent messages, so none waits for a slot.
  for (let first = 0; first < people.length; first += atOnce)
    await Promise.all(
      people.slice(first, first + atOnce).map(async ({ fate, to, owner }) => {
        const askedAt = performance.now();
        const sent = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
        waits.push(performance.now() - askedAt);
        const requests = provider.requestsFor(to);
        tries.push(requests.length);
        const last = fate[Math.min(requests.length, fate.length) - 1]!;
        // A message that may have been accepted is not sent again.
        const before = fate.slice(0, requests.length - 1);
        if (before.some((name) => !name.startsWith('429'))) doubled += 1;
        const [oneTimePassword, ...others] = new Set(requests.map(oneTimePasswordInMail));
        const expected = last === 'accept' ? 'SendOneTimePasswordSuccess' : 'TransmissionError';
        if (others.length > 0 || sent.__typename !== expected) unexpected.push(`${fate}: ${sent.__typename}`);
        if (sent.__typename === 'SendOneTimePasswordSuccess') acknowledged += 1;
        // Acknowledged passwords are valid, others are void.
        const checked = await owner.checkOneTimePassword(owner.emailToken, oneTimePassword!, 'VERIFICATION');
        const right = checked.__typename === 'CheckOneTimePasswordSuccess';
        if (right && last !== 'accept') wrongYes += 1;
        if (!right && last === 'accept') lost += 1;
      }),
    );
  found({
    acknowledged,
    lost,
    wrongYes,
    recoveredAfterMilliseconds: [],
    also: {
      refused: owners - acknowledged,
      'sent again after they may have been taken': doubled,
      'tries at most': Math.max(...tries),
      'longest wait, ms': Math.round(Math.max(...waits)),
    },
  });
  assert.deepEqual([doubled, lost, wrongYes, unexpected], [0, 0, 0, []]);
  assert.equal(Math.max(...tries), 3);
  // Other tests slow the machine.
  if (full) assert.ok(Math.max(...waits) < patienceMilliseconds);
});
