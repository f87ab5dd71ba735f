/** Which addresses can receive messages: by the configured providers and calling codes. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { type CountryCode, getExampleNumber } from 'libphonenumber-js/max';
import examples from 'libphonenumber-js/mobile/examples';
import { expectMember, inTens, issuesOf, outbox } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  type Person,
  password,
  securityTokenOf,
  signIn,
  signUp,
} from '../support/people.js';
import { sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { clear, createDatabase, sharedSecrets, startService } from '../support/service.js';
import { oneTimePasswordInSms, startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const withBoth = await startService({ ...shared, ...sendGridEnvironment(sendGrid), ...vonageEnvironment(vonage) });
const production = { ...shared, NODE_ENV: 'production', BCRYPT_COST: '10' };
/** Services that several tests use. All share one database. */
const productionWithVonage = await startService({ ...production, ...vonageEnvironment(vonage) });
const withCodes = await startService({ ...shared, SMS_CALLING_CODES: '1,44' });
const withCodesAndVonage = await startService({ ...shared, ...vonageEnvironment(vonage), SMS_CALLING_CODES: '1,44' });
const address = { email: 'alice@example.com', phone: '+12025550123' };

beforeEach(async () => {
  await clear(withBoth);
  sendGrid.clear();
  vonage.clear();
});

const sendAs = async (by: Caller, token: string) => (await by.sendOneTimePassword(token, 'VERIFICATION')).__typename;

/** Asserts that a code can be sent to both addresses of the owner. */
async function sendToBoth(owner: Person): Promise<void> {
  for (const token of [owner.emailToken, owner.phoneToken])
    assert.equal(await sendAs(owner, token), 'SendOneTimePasswordSuccess');
}

describe('outside production', () => {
  test('a channel without credentials uses the outbox, and the other one sends', async () => {
    const service = await startService({ ...shared, ...vonageEnvironment(vonage) });
    await sendToBoth(await signUp(service, address));
    assert.deepEqual(
      (await outbox(service)).map(({ channel, to }) => [channel, to]),
      [['email', address.email]],
    );
    await vonage.messageTo('12025550123');
  });

  test('the outbox stays empty if both channels have credentials', async () => {
    await sendToBoth(await signUp(withBoth, address));
    await sendGrid.messageTo(address.email);
    await vonage.messageTo('12025550123');
    assert.deepEqual(await outbox(withBoth), []);
  });

  test('DELIVERY_OUTBOX=false disables a channel without credentials', async () => {
    const service = await startService({ ...shared, ...sendGridEnvironment(sendGrid), DELIVERY_OUTBOX: 'false' });
    assert.deepEqual(issuesOf(await caller(service).createUser(address)), ['phone INVALID']);
    await signUp(service, { email: address.email });
  });
});

describe('in production', () => {
  test('an address is a field error if its channel has no credentials', async () => {
    assert.deepEqual(issuesOf(await caller(productionWithVonage).createUser(address)), ['email INVALID']);
    const owner = await signUp(productionWithVonage, { phone: address.phone });
    assert.deepEqual(issuesOf(await owner.updateUser({ email: address.email })), ['email INVALID']);
  });

  test('without any credentials only usernames can sign up', async () => {
    const service = await startService(production);
    const refused = await caller(service).createUser({ username: 'alice', ...address });
    assert.deepEqual(issuesOf(refused), ['email INVALID', 'phone INVALID']);
    await signUp(service, { username: 'alice', password });
  });

  test('DELIVERY_OUTBOX=true stores messages in the outbox', async () => {
    const service = await startService({ ...production, DELIVERY_OUTBOX: 'true' });
    await sendToBoth(await signUp(service, address));
    assert.deepEqual(
      (await service.app.outbox()).map(({ to }) => to),
      [address.phone, address.email],
    );
  });

  test('a disabled channel is reported to the owner of the address and to no other client', async () => {
    await insertPerson(withBoth, { ...address, hasPassword: true });
    const owner = await signIn(productionWithVonage, { email: address.email, password });
    assert.equal(await sendAs(owner, owner.emailToken), 'TransmissionError');
    const asked = await caller(productionWithVonage).sendOneTimePassword(owner.emailToken);
    assert.equal(asked.__typename, 'SendOneTimePasswordSuccess');
    assert.deepEqual(await productionWithVonage.app.outbox(), []);
    assert.deepEqual(sendGrid.requests, []);
  });
});

test('a notice goes by SMS if the email channel is disabled', async () => {
  await insertPerson(withBoth, { ...address, hasPassword: true, verified: true });
  const owner = await signIn(productionWithVonage, { email: address.email, password });
  const changed = await owner.changePassword({ currentPassword: password, newPassword: 'another horse battery' });
  expectMember(changed, 'ChangePasswordSuccess');
  assert.deepEqual(await productionWithVonage.app.outbox(), []);
  assert.match((await vonage.messageTo('12025550123')).body.text, /^Your password was changed/);
});

describe('SMS_CALLING_CODES', () => {
  const german = '+4915123456789';
  const british = '+447400123456';

  test('rejects other numbers at sign-up and in an update', async () => {
    assert.deepEqual(issuesOf(await caller(withCodes).createUser({ phone: german })), ['phone INVALID']);
    await signUp(withCodes, { phone: british });
    const owner = await insertPerson(withCodes, { username: 'alice' });
    assert.deepEqual(issuesOf(await owner.updateUser({ phone: german })), ['phone INVALID']);
    expectMember(await owner.updateUser({ phone: '+447400123457' }), 'UpdateUserSuccess');
  });

  test('is part of the policy', async () => {
    const { data } = await caller(withCodes).ask('{ policy { smsDialCodes } }');
    assert.deepEqual(data.policy.smsDialCodes, ['1', '44']);
  });

  test('reports a stored number to its owner, hides it from other clients and sends nothing', async () => {
    await insertPerson(withBoth, { phone: german, username: 'alice', hasPassword: true });
    const service = withCodesAndVonage;
    const anonymous = caller(service);
    const owner = await signIn(service, { username: 'alice', password });
    assert.equal(await sendAs(owner, owner.phoneToken), 'TransmissionError');
    // It is not counted: the next result is the same error and no TimeoutError.
    assert.equal(await sendAs(owner, owner.phoneToken), 'TransmissionError');

    const answers = [];
    for (const id of [owner.phoneToken, await securityTokenOf(service, '+4915123456780')]) {
      const sent = await anonymous.sendOneTimePassword(id);
      const again = await anonymous.sendOneTimePassword(id);
      answers.push([Object.keys(sent).sort(), sent.__typename, again.__typename]);
    }
    assert.deepEqual(answers[0], [['__typename', 'expiresAt'], 'SendOneTimePasswordSuccess', 'TimeoutError']);
    assert.deepEqual(answers[0], answers[1]);
    await service.app.outbox();
    assert.deepEqual(vonage.requests, []);
  });

  test('sends to the listed calling codes only, among fifty countries', async () => {
    // Each is an ISO 3166 code that libphonenumber knows.
    const countries = `US CA GB DE FR ES IT NL BE AT CH SE NO DK FI IE PT GR PL CZ SK HU RO BG HR
      SI LT LV EE TR UA IL AE SA EG ZA NG KE IN PK BD TH VN MY SG JP KR AU NZ BR`.split(/\s+/) as CountryCode[];
    const phones = countries.map((country) => getExampleNumber(country, examples)!.number);
    await insertPeople(
      withBoth,
      phones.map((phone) => ({ phone })),
    );
    const service = withCodesAndVonage;
    const anonymous = caller(service);
    await inTens(phones, async (phone) => {
      const tokenId = idOfAddress(service, phone);
      assert.equal((await anonymous.sendOneTimePassword(tokenId)).__typename, 'SendOneTimePasswordSuccess');
    });
    await service.app.outbox();
    const reached = vonage.requests.map(({ body }) => `+${body.to}`).sort();
    assert.deepEqual(reached, phones.slice(0, 3).sort());
    for (const request of vonage.requests) assert.match(oneTimePasswordInSms(request), /^\d{6}$/);
  });
});
