/** The requests to Vonage, made by its own client. */
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

test('the request has the documented form', async () => {
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
  assert.equal(
    body.text,
    `${code} is your code to verify this phone number. It expires in 10 minutes.\n\n@app.example.com #${code}`,
  );
});

test('a sender number has no plus', async () => {
  const other = await startService({ ...vonageEnvironment(vonage), SMS_FROM: '+12025550000' });
  const owner = await signUp(other, { phone });
  await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
  assert.equal((await vonage.messageTo(number)).body.from, '12025550000');
});

test('the one-time password of the message is valid', async () => {
  const owner = await signUp(service, { phone });
  await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
  const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo(number));
  assert.match(oneTimePassword, /^\d{6}$/);
  const checked = await owner.checkOneTimePassword(owner.phoneToken, oneTimePassword, 'VERIFICATION');
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('a code that an anonymous client requests goes to the owner', async () => {
  await anonymous.createUser({ phone });
  const [token] = await anonymous.securityTokens(phone);
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo(number));
  const checked = await anonymous.checkOneTimePassword(token!.id, oneTimePassword);
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
});

test('nothing is sent to an unregistered number', async () => {
  const [token] = await anonymous.securityTokens(phone);
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
  await service.app.outbox();
  assert.deepEqual(vonage.requests, []);
});

describe('an attempt', () => {
  test('is repeated if the message was throttled', async () => {
    vonage.behave(number, vonageAnswer(number, ['1']), 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = vonage.requestsFor(number);
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 990, `${second!.at - first!.at}`);
    assert.deepEqual(second!.body, first!.body);
  });

  test('is repeated after the Retry-After of a 429', async () => {
    vonage.behave(number, { status: 429, headers: { 'retry-after': '2' } }, 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    const [first, second, ...others] = vonage.requestsFor(number);
    assert.deepEqual(others, []);
    assert.ok(second!.at - first!.at >= 1_990, `${second!.at - first!.at}`);
  });

  test('is not repeated if a part of the message was accepted', async () => {
    vonage.behave(number, vonageAnswer(number, ['0', '1']), 'accept');
    const owner = await signUp(service, { phone });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'TransmissionError');
    assert.equal(vonage.requestsFor(number).length, 1);
  });
});
