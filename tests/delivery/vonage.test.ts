/** SMS as Vonage is asked to send them, by its own client. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { caller, signUp } from '../support/people.js';
import { clear, startService } from '../support/service.js';
import {
  oneTimePasswordInSms,
  startVonage,
  vonageAnswer,
  vonageCredentials,
  vonageEnvironment,
} from '../support/vonage.js';

const vonage = await startVonage();
const service = await startService({ ...vonageEnvironment(vonage), APP_URL: 'https://app.example.com' });
const anonymous = caller(service);
const phone = '+12025550123';
const number = '12025550123';

beforeEach(async () => {
  await clear(service);
  vonage.clear();
});

test('the request is the one that Vonage documents: the number without its plus, the credentials in the header', async () => {
  const owner = await signUp(service, { phone: '(202) 555-0123' });
  assert.equal(
    (await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION')).__typename,
    'SendOneTimePasswordSuccess',
  );
  const { method, path, headers, body } = await vonage.messageTo(number);
  assert.deepEqual([method, path], ['POST', '/sms/json']);
  const { apiKey, apiSecret } = vonageCredentials;
  assert.equal(headers.authorization, `Basic ${Buffer.from(`${apiKey}:${apiSecret}`).toString('base64')}`);
  assert.match(headers['content-type']!, /^application\/json/);
  assert.deepEqual(Object.keys(body).sort(), ['from', 'text', 'to']);
  assert.deepEqual([body.from, body.to], ['Example', number]);
  const code = oneTimePasswordInSms({ body });
  assert.equal(body.text, `${code} to confirm this address. Good for 10 min.\n\n@app.example.com #${code}`);
});

test('a number to send from goes without its plus too', async () => {
  const other = await startService({ ...vonageEnvironment(vonage), SMS_FROM: '+12025550000' });
  const owner = await signUp(other, { phone });
  await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
  assert.equal((await vonage.messageTo(number)).body.from, '12025550000');
});

test('the one-time password of the message is good', async () => {
  const owner = await signUp(service, { phone });
  await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
  const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo(number));
  assert.match(oneTimePassword, /^\d{6}$/);
  const checked = await owner.checkOneTimePassword(owner.phoneToken, oneTimePassword, 'VERIFICATION');
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('what a stranger asks for is sent to the owner', async () => {
  await anonymous.createUser({ phone });
  const [token] = await anonymous.securityTokens(phone);
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo(number));
  const checked = await anonymous.checkOneTimePassword(token!.id, oneTimePassword);
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('nothing is sent to a number that nobody has', async () => {
  const [token] = await anonymous.securityTokens(phone);
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  await service.app.outbox();
  assert.deepEqual(vonage.requests, []);
});

describe('a try is repeated', () => {
  test('when the message was throttled, for then it was not taken', async () => {
    vonage.behave(number, vonageAnswer(number, ['1']), 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = vonage.requestsFor(number);
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 990, `${second!.at - first!.at}`);
    assert.deepEqual(second!.body, first!.body);
  });

  test('after the time that a 429 names', async () => {
    vonage.behave(number, { status: 429, headers: { 'retry-after': '2' } }, 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = vonage.requestsFor(number);
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 1_990, `${second!.at - first!.at}`);
  });

  test('but not when a part of the message has gone', async () => {
    vonage.behave(number, vonageAnswer(number, ['0', '1']), 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'TransmissionError');
    assert.equal(vonage.requestsFor(number).length, 1);
  });
});
