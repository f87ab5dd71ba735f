/**
 * The search for secrets of `canaries.test.ts`, in production with accepting and rejecting
 * providers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, assertKept, canary, lead, startWithCanaries } from '../support/canaries.js';
import { contentOf, oneTimePasswordInMail, sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();

test('the log, responses and database contain no secret when messages are sent', async () => {
  const received = new Map<string, number>();
  const run = await startWithCanaries({
    NODE_ENV: 'production',
    BCRYPT_COST: '10',
    ...sendGridEnvironment(sendGrid),
    ...vonageEnvironment(vonage),
  });
  await lead(run, async (address) => {
    // The service sends a stranger's message after the response.
    const requests = () =>
      address.startsWith('+')
        ? []
        : sendGrid.requestsFor(address).filter((mail) => contentOf(mail, 'text/plain').includes('code='));
    const count = received.get(address) ?? 0;
    received.set(address, count + 1);
    if (address.startsWith('+')) return /#(\d{6})$/.exec(vonage.requestsFor(address.slice(1)).at(-1)!.body.text)![1]!;
    for (const deadline = Date.now() + 30_000; requests().length <= count && Date.now() < deadline; ) await delay(10);
    return oneTimePasswordInMail(requests().at(-1)!);
  });
  // The search is meaningful: the log is not empty, and contains internal errors.
  const lines = run.service.output().trim().split('\n');
  assert.ok(lines.filter((line) => JSON.parse(line).level === 50).length >= 3, 'the internal errors are in the log');
  assert.ok(!lines.some((line) => JSON.parse(line).msg === 'forged'), 'a line feed makes no line of its own');
  await assertKept(run);
});

test('nothing stores a secret when providers reject messages and quote them', async () => {
  const run = await startWithCanaries({
    NODE_ENV: 'production',
    BCRYPT_COST: '10',
    ...sendGridEnvironment(sendGrid),
    ...vonageEnvironment(vonage),
  });
  const sent: string[] = [];
  sendGrid.behaveElse((mail) => {
    sent.push(oneTimePasswordInMail({ body: mail }));
    return { status: 400, body: { errors: [{ message: JSON.stringify(mail), field: 'content' }] } };
  });
  vonage.behaveElse((sms) => {
    sent.push(/#(\S+)$/.exec(sms.text)![1]!);
    return { status: 400, body: { title: JSON.stringify(sms), detail: sms.text } };
  });
  const { user, tokens } = await ask(run, 'createUser', {
    input: { email: 'dave@example.com', phone: '+12025550177', password: canary(run, 'the password of dave') },
  });
  for (const { id: tokenId } of user.securityTokens) {
    await ask(run, 'sendOneTimePassword', { tokenId, purpose: 'VERIFICATION' }, { token: tokens.accessToken });
    await ask(run, 'sendOneTimePassword', { tokenId, purpose: 'AUTHENTICATION' });
  }
  for (const deadline = Date.now() + 30_000; sent.length < 4 && Date.now() < deadline; ) await delay(10);
  assert.equal(sent.length, 4);
  run.secrets.push(...sent.map((text) => ({ what: 'a one-time password that was refused', text })));
  await assertKept(run);
  assert.match(run.service.output(), /400/);
  for (const address of ['dave@example.com', '2025550177']) assert.ok(!run.service.output().includes(address), address);
});
