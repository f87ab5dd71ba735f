/** The requests to Vonage, made by its own client. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectMember } from '../support/client.js';
import { caller, insertPerson, type Person, securityTokenOf, signUp } from '../support/people.js';
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

const sendCode = (owner: Person) => owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');

test('the request has the documented form and holds the valid one-time password', async () => {
  const owner = await signUp(service, { phone: '(202) 555-0123' });
  expectMember(await sendCode(owner), 'SendOneTimePasswordSuccess');
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
  assert.match(code, /^\d{6}$/);
  const checked = await owner.checkOneTimePassword(owner.phoneToken, code, 'VERIFICATION');
  expectMember(checked, 'CheckOneTimePasswordSuccess');
});

test('a sender number has no plus', async () => {
  const other = await startService({ ...vonageEnvironment(vonage), SMS_FROM: '+12025550000' });
  await sendCode(await insertPerson(other, { phone }));
  assert.equal((await vonage.messageTo(number)).body.from, '12025550000');
});

test('a code that an anonymous client requests goes to the owner, and nothing to an unregistered number', async () => {
  const { phoneToken } = await insertPerson(service, { phone });
  expectMember(await anonymous.sendOneTimePassword(phoneToken), 'SendOneTimePasswordSuccess');
  const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo(number));
  expectMember(await anonymous.checkOneTimePassword(phoneToken, oneTimePassword), 'CheckOneTimePasswordSuccess');
  const unregistered = await securityTokenOf(service, '+12025550124');
  expectMember(await anonymous.sendOneTimePassword(unregistered), 'SendOneTimePasswordSuccess');
  await service.app.outbox();
  assert.equal(vonage.requests.length, 1);
});

describe('an attempt', () => {
  for (const [about, answer, milliseconds] of [
    ['if the message was throttled', vonageAnswer(number, ['1']), 990],
    ['after the Retry-After of a 429', { status: 429, headers: { 'retry-after': '2' } }, 1_990],
  ] as const)
    test(`is repeated ${about}`, async () => {
      vonage.behave(number, answer, 'accept');
      expectMember(await sendCode(await insertPerson(service, { phone })), 'SendOneTimePasswordSuccess');
      const [first, second, ...others] = vonage.requestsFor(number);
      assert.deepEqual(others, []);
      assert.ok(second!.at - first!.at >= milliseconds, `${second!.at - first!.at}`);
      assert.deepEqual(second!.body, first!.body);
    });

  test('is not repeated if a part of the message was accepted', async () => {
    vonage.behave(number, vonageAnswer(number, ['0', '1']), 'accept');
    expectMember(await sendCode(await insertPerson(service, { phone })), 'TransmissionError');
    assert.equal(vonage.requestsFor(number).length, 1);
  });
});
