/** The requests to SendGrid, made by its own client. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { caller, signUp } from '../support/people.js';
import {
  contentOf,
  oneTimePasswordInMail,
  sendGridApiKey,
  sendGridEnvironment,
  sendGridRefusal,
  startSendGrid,
} from '../support/sendgrid.js';
import { clear, startService } from '../support/service.js';

const sendGrid = await startSendGrid();
const service = await startService({ ...sendGridEnvironment(sendGrid), APP_URL: 'https://app.example.com' });
const anonymous = caller(service);

beforeEach(async () => {
  await clear(service);
  sendGrid.clear();
});

test('the request has the documented form', async () => {
  const owner = await signUp(service, { email: 'Alice.B@Example.COM' });
  assert.equal(
    (await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION')).__typename,
    'SendOneTimePasswordSuccess',
  );
  const { method, path, headers, body } = await sendGrid.messageTo('Alice.B@example.com');
  assert.deepEqual([method, path], ['POST', '/v3/mail/send']);
  assert.equal(headers.authorization, `Bearer ${sendGridApiKey}`);
  assert.match(headers['content-type']!, /^application\/json/);
  assert.deepEqual(body.from, { email: 'no-reply@example.com', name: 'Example Identity' });
  assert.equal(body.subject, 'Verify your email address');
  // SendGrid rejects HTML before text.
  assert.deepEqual(
    body.content.map(({ type }) => type),
    ['text/plain', 'text/html'],
  );
});

test('the only recipient is the stored address', async () => {
  const owner = await signUp(service, { email: "O'Hara+News@Example.com" });
  await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  const { body } = await sendGrid.messageTo("O'Hara+News@example.com");
  assert.deepEqual(body.personalizations, [{ to: [{ email: "O'Hara+News@example.com" }] }]);
});

test('tracking is disabled, because a tracked link would leak the one-time password', async () => {
  const owner = await signUp(service, { email: 'alice@example.com' });
  await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  const { tracking_settings: tracking } = (await sendGrid.messageTo('alice@example.com')).body;
  for (const kind of ['click_tracking', 'open_tracking', 'subscription_tracking', 'ganalytics'])
    assert.equal(tracking?.[kind]?.enable, false, kind);
});

test('text and HTML hold the valid one-time password', async () => {
  const owner = await signUp(service, { email: 'alice@example.com' });
  await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  const message = await sendGrid.messageTo('alice@example.com');
  const oneTimePassword = oneTimePasswordInMail(message);
  assert.match(oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
  for (const type of ['text/plain', 'text/html'] as const)
    assert.ok(contentOf(message, type).includes(oneTimePassword));
  const checked = await owner.checkOneTimePassword(owner.emailToken, oneTimePassword, 'VERIFICATION');
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('the sender may be an address without a name', async () => {
  const other = await startService({ ...sendGridEnvironment(sendGrid), EMAIL_FROM: 'no-reply@example.com' });
  const owner = await signUp(other, { email: 'alice@example.com' });
  await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  assert.deepEqual((await sendGrid.messageTo('alice@example.com')).body.from, { email: 'no-reply@example.com' });
});

test('a code that an anonymous client requests goes to the owner', async () => {
  await anonymous.createUser({ email: 'alice@example.com' });
  const [token] = await anonymous.securityTokens('alice@example.com');
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo('alice@example.com'));
  const checked = await anonymous.checkOneTimePassword(token!.id, oneTimePassword);
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('nothing is sent to an unregistered address', async () => {
  const [token] = await anonymous.securityTokens('nobody@example.com');
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  await service.app.outbox();
  assert.deepEqual(sendGrid.requests, []);
});

describe('an attempt', () => {
  test('is repeated after the Retry-After of a 429', async () => {
    sendGrid.behave(
      'alice@example.com',
      sendGridRefusal(429, 'too many requests', null, { 'retry-after': '2' }),
      'accept',
    );
    const owner = await signUp(service, { email: 'alice@example.com' });
    const sent = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = sendGrid.requestsFor('alice@example.com');
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 1_990, `${second!.at - first!.at}`);
    assert.deepEqual(second!.body, first!.body);
  });

  test('is not repeated if Retry-After exceeds the time limit', async () => {
    sendGrid.behave('alice@example.com', sendGridRefusal(429, 'too many requests', null, { 'retry-after': '30' }));
    const owner = await signUp(service, { email: 'alice@example.com' });
    const start = performance.now();
    const sent = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'TransmissionError');
    assert.ok(performance.now() - start < 2_000);
    assert.equal(sendGrid.requestsFor('alice@example.com').length, 1);
  });
});
