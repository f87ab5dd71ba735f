/** Failures of providers: the response to the owner, the log, and the effect on others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { caller } from '../support/people.js';
import { emailFaults, smsFaults, startFaulty } from '../support/provider-faults.js';
import { sendGridRefusal } from '../support/sendgrid.js';
import { startService } from '../support/service.js';

const { sendGrid, vonage, environment, service, logged, testEmail, testSms, assertLog } = await startFaulty();

/** One failure of each kind: a broken connection, and all kinds of error responses. */
const kinds = ['reset', '401', '400 that quotes the message', '429 again and again', '500', 'half of the JSON'];
const isOfKind = ({ name }: { name: string }) => kinds.includes(name);

describe('if the provider rejects or breaks, the owner gets an error, the one-time password is void, and a new request is permitted:', () => {
  testEmail(emailFaults.filter(isOfKind));
  testSms(smsFaults.filter(isOfKind));
});

test('the log contains the reason once, without address and one-time password', assertLog);

describe('to a stranger', () => {
  test('the response to a stranger does not wait for a hanging provider', async () => {
    const anonymous = caller(service);
    sendGrid.behave('stranger@example.com', 'hang');
    vonage.behave('12135550123', 'hang');
    await anonymous.createUser({ email: 'stranger@example.com', phone: '+12135550123' });
    const before = service.output();
    for (const identifier of ['stranger@example.com', '+12135550123', 'nobody@example.com', '+12135550124']) {
      const [token] = await anonymous.securityTokens(identifier);
      const sent = await anonymous.sendOneTimePassword(token!.id);
      assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
      assert.equal(service.output(), before, 'the message is still under way');
    }
    await sendGrid.messageTo('stranger@example.com');
    await vonage.messageTo('12135550123');
  });

  test('a failed message of a stranger refunds nothing', async () => {
    const inside = await startService({ ...environment });
    const anonymous = caller(inside);
    sendGrid.behave('refused@example.com', sendGridRefusal(400, 'no'));
    await anonymous.createUser({ email: 'refused@example.com' });
    const [token] = await anonymous.securityTokens('refused@example.com');
    assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
    // Waits for the background work.
    await inside.app.outbox();
    assert.equal(sendGrid.requestsFor('refused@example.com').length, 1);
    const next = await anonymous.sendOneTimePassword(token!.id);
    assert.equal(next.__typename, 'TimeoutError');
    assert.equal(next.failureCount, null);
  });

  test('a failed message is logged once', async () => {
    const anonymous = caller(service);
    sendGrid.behave('once@example.com', sendGridRefusal(400, 'told once'));
    await anonymous.createUser({ email: 'once@example.com' });
    const [token] = await anonymous.securityTokens('once@example.com');
    const before = service.output().length;
    await anonymous.sendOneTimePassword(token!.id);
    await logged('email', /told once/);
    await delay(100);
    const lines = service.output().slice(before).trim().split('\n');
    assert.equal(lines.length, 1, lines.join('\n'));
  });
});
