/** The requests to SendGrid, made by its own client. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectMember } from '../support/client.js';
import { caller, insertPerson, securityTokenOf, signUp } from '../support/people.js';
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
const email = 'alice@example.com';

beforeEach(async () => {
  await clear(service);
  sendGrid.clear();
});

/** Inserts the owner of an address and sends a code to it. */
async function sendTo(to: string, at = service) {
  const owner = await insertPerson(at, { email: to });
  return { owner, sent: await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION') };
}

test('the request has the documented form', async () => {
  expectMember((await sendTo(email)).sent, 'SendOneTimePasswordSuccess');
  const { method, path, headers, body } = await sendGrid.messageTo(email);
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
  // A tracked link would leak the one-time password.
  for (const kind of ['click_tracking', 'open_tracking', 'subscription_tracking', 'ganalytics'])
    assert.equal(body.tracking_settings?.[kind]?.enable, false, kind);
});

test('the only recipient is the stored address', async () => {
  const owner = await signUp(service, { email: "O'Hara+News@Example.com" });
  await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  const { body } = await sendGrid.messageTo("O'Hara+News@example.com");
  assert.deepEqual(body.personalizations, [{ to: [{ email: "O'Hara+News@example.com" }] }]);
});

test('text and HTML hold the valid one-time password', async () => {
  const { owner } = await sendTo(email);
  const message = await sendGrid.messageTo(email);
  const oneTimePassword = oneTimePasswordInMail(message);
  assert.match(oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
  for (const type of ['text/plain', 'text/html'] as const)
    assert.ok(contentOf(message, type).includes(oneTimePassword));
  const checked = await owner.checkOneTimePassword(owner.emailToken, oneTimePassword, 'VERIFICATION');
  expectMember(checked, 'CheckOneTimePasswordSuccess');
});

test('the sender may be an address without a name', async () => {
  const other = await startService({ ...sendGridEnvironment(sendGrid), EMAIL_FROM: 'no-reply@example.com' });
  await sendTo(email, other);
  assert.deepEqual((await sendGrid.messageTo(email)).body.from, { email: 'no-reply@example.com' });
});

test('a code that an anonymous client requests goes to the owner, and nothing to an unregistered address', async () => {
  const { emailToken } = await insertPerson(service, { email });
  expectMember(await anonymous.sendOneTimePassword(emailToken), 'SendOneTimePasswordSuccess');
  const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo(email));
  expectMember(await anonymous.checkOneTimePassword(emailToken, oneTimePassword), 'CheckOneTimePasswordSuccess');
  const unregistered = await securityTokenOf(service, 'nobody@example.com');
  expectMember(await anonymous.sendOneTimePassword(unregistered), 'SendOneTimePasswordSuccess');
  await service.app.outbox();
  assert.equal(sendGrid.requests.length, 1);
});

describe('an attempt', () => {
  const refusal = (seconds: string) => sendGridRefusal(429, 'too many requests', null, { 'retry-after': seconds });

  test('is repeated after the Retry-After of a 429', async () => {
    sendGrid.behave(email, refusal('2'), 'accept');
    expectMember((await sendTo(email)).sent, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = sendGrid.requestsFor(email);
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 1_990, `${second!.at - first!.at}`);
    assert.deepEqual(second!.body, first!.body);
  });

  test('is not repeated if Retry-After exceeds the time limit', async () => {
    sendGrid.behave(email, refusal('30'));
    const start = performance.now();
    expectMember((await sendTo(email)).sent, 'TransmissionError');
    assert.ok(performance.now() - start < 2_000);
    assert.equal(sendGrid.requestsFor(email).length, 1);
  });
});
