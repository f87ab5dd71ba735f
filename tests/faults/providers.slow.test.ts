/** All failures of providers, and their effect on other requests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inTens } from '../support/client.js';
import { type Caller, caller, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import {
  emailFaults,
  reasonsOfBoth,
  silences,
  smsFaults,
  startFaulty,
  transmissionError,
} from '../support/provider-faults.js';
import { sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { startService } from '../support/service.js';
import { startVonage } from '../support/vonage.js';

const { sendGrid, vonage, environment, testEmail, testSms, assertLog } = await startFaulty();

const consequences = 'the owner gets an error, the one-time password is void, and a new request is permitted:';

describe(`if the provider rejects or breaks, ${consequences}`, () => {
  testEmail(emailFaults);
  testSms(smsFaults);
});

describe(`if the provider is silent, ${consequences}`, { concurrency: true }, () => {
  testEmail(silences);
  testSms(silences);
});

test('the log contains the reason once, without address and one-time password', assertLog);

test('a provider without TLS receives nothing', async () => {
  sendGrid.clear();
  vonage.clear();
  const secure = ({ url }: { url: string }) => url.replace('http:', 'https:');
  const other = await startService({
    ...environment,
    SENDGRID_BASE_URL: secure(sendGrid),
    VONAGE_BASE_URL: secure(vonage),
  });
  const owner = await signUp(other, { email: 'tls@example.com', phone: '+12025550199' });
  for (const token of [owner.emailToken, owner.phoneToken])
    assert.deepEqual(await owner.sendOneTimePassword(token, 'VERIFICATION'), transmissionError);
  const [email = '', sms = ''] = await reasonsOfBoth(other, 2);
  assert.match(email, /^SendGrid: (EPROTO|ERR_SSL|ECONNRESET)/);
  assert.match(sms, /^Vonage: (EPROTO|ERR_SSL|ECONNRESET)/);
  assert.deepEqual([...sendGrid.requests, ...vonage.requests], []);
});

test('an unreachable provider is tried again, because it cannot have accepted a message', async () => {
  const [emailPort, smsPort] = [await freePort(), await freePort()];
  const other = await startService({
    ...environment,
    SENDGRID_BASE_URL: `http://127.0.0.1:${emailPort}`,
    VONAGE_BASE_URL: `http://127.0.0.1:${smsPort}`,
  });
  const input = { email: 'unreachable@example.com', phone: '+12125550123' };
  const owner = await signUp(other, input);
  const both = [owner.emailToken, owner.phoneToken];
  for (const token of both) assert.deepEqual(await owner.sendOneTimePassword(token, 'VERIFICATION'), transmissionError);
  assert.deepEqual(await reasonsOfBoth(other, 2), ['ECONNREFUSED', 'ECONNREFUSED']);

  const sending = both.map((token) => owner.sendOneTimePassword(token, 'VERIFICATION'));
  await delay(300);
  const [lateSendGrid, lateVonage] = [await startSendGrid(emailPort), await startVonage(smsPort)];
  for (const sent of await Promise.all(sending)) assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
  await lateSendGrid.messageTo(input.email);
  await lateVonage.messageTo(input.phone.slice(1));
});

test('a hanging provider uses a bounded number of sockets, and nothing else', async () => {
  const hanging = await startSendGrid();
  const crowded = await startService({ ...environment, ...sendGridEnvironment(hanging) });
  const anonymous = caller(crowded);
  const lookUp = async (email: string) => (await anonymous.securityTokens(email))[0]!.id;
  const crowd = Array.from({ length: 200 }, (_, index) => `crowd-${index}@example.com`);
  await inTens(crowd, (email) => anonymous.createUser({ email }));
  const tokens = await inTens(crowd, lookUp);
  const other = await lookUp('nobody@example.com');
  const owner = await signUp(crowded, { email: 'patient@example.com' });
  hanging.behaveElse('hang');
  const sent = await inTens(tokens, (token) => anonymous.sendOneTimePassword(token));
  for (const answer of sent) assert.equal(answer.__typename, 'SendOneTimePasswordSuccess');
  // If messages in flight held database connections, these requests would wait.
  await Promise.all([owner.me(), anonymous.checkOneTimePassword(other, 'BCDF2345')]);
  const { open, greatest } = hanging.connections;
  assert.ok(open > 0, 'other requests get responses while messages are in flight');
  // Fifty, and closed sockets that the provider has not noticed yet.
  assert.ok(greatest >= 10 && greatest <= 60, `${greatest} connections`);

  // Further requests wait for a slot.
  hanging.behaveElse('accept');
  const answered = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  assert.equal(answered.__typename, 'SendOneTimePasswordSuccess');
});

test('owners who wait for a hanging provider do not block others, with any pool size', async () => {
  const hanging = await startSendGrid();
  const small = await startService({ ...environment, ...sendGridEnvironment(hanging), DATABASE_POOL_SIZE: '2' });
  // Admits twenty concurrent requests for each connection.
  const owners = await inTens(
    Array.from({ length: 45 }, (_, index) => `owner-${index}@example.com`),
    (email) => signUp(small, { email }),
  );
  const other = await signUp(small, { username: 'other' });
  hanging.behaveElse('hang');
  const sent: ReturnType<Caller['sendOneTimePassword']>[] = [];
  for (const owner of owners) {
    sent.push(owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION'));
    while (hanging.requests.length < sent.length) await delay(5);
  }
  assert.equal((await other.me()).username, 'other');
  for (const { __typename } of await Promise.all(sent)) assert.equal(__typename, 'TransmissionError');
});
