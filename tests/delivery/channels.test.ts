/** Which addresses can receive messages: by the configured providers and calling codes. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { getExampleNumber } from 'libphonenumber-js/max';
import examples from 'libphonenumber-js/mobile/examples';
import { expectMember, inTens, outbox } from '../support/client.js';
import { caller, idOfAddress, insertPeople, insertPerson, password, signUp } from '../support/people.js';
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
const codes = { SMS_CALLING_CODES: '1,44' };
const withCodes = await startService({ ...shared, ...codes });
const withCodesAndVonage = await startService({ ...shared, ...vonageEnvironment(vonage), ...codes });
const address = { email: 'alice@example.com', phone: '+12025550123' };

beforeEach(async () => {
  await clear(withBoth);
  sendGrid.clear();
  vonage.clear();
});

async function sendAs(
  person: { sendOneTimePassword: (id: string, purpose: 'VERIFICATION') => Promise<{ __typename: string }> },
  token: string,
) {
  return (await person.sendOneTimePassword(token, 'VERIFICATION')).__typename;
}

describe('outside production', () => {
  test('a channel without credentials uses the outbox, and the other one sends', async () => {
    const service = await startService({ ...shared, ...vonageEnvironment(vonage) });
    const owner = await signUp(service, address);
    assert.equal(await sendAs(owner, owner.emailToken), 'SendOneTimePasswordSuccess');
    assert.equal(await sendAs(owner, owner.phoneToken), 'SendOneTimePasswordSuccess');
    assert.deepEqual(
      (await outbox(service)).map(({ channel, to }) => [channel, to]),
      [['email', address.email]],
    );
    await vonage.messageTo('12025550123');
  });

  test('the outbox stays empty if both channels have credentials', async () => {
    const owner = await signUp(withBoth, address);
    for (const token of [owner.emailToken, owner.phoneToken])
      assert.equal(await sendAs(owner, token), 'SendOneTimePasswordSuccess');
    await sendGrid.messageTo(address.email);
    await vonage.messageTo('12025550123');
    assert.deepEqual(await outbox(withBoth), []);
  });

  test('DELIVERY_OUTBOX=false disables a channel without credentials', async () => {
    const service = await startService({ ...shared, ...sendGridEnvironment(sendGrid), DELIVERY_OUTBOX: 'false' });
    const refused = await caller(service).createUser(address);
    assert.deepEqual(refused.issues, [{ field: 'phone', code: 'INVALID' }]);
    await signUp(service, { email: address.email });
  });
});

describe('in production', () => {
  test('an address is a field error if its channel has no credentials', async () => {
    const service = productionWithVonage;
    const anonymous = caller(service);
    const refused = await anonymous.createUser(address);
    assert.equal(refused.__typename, 'ValidationError');
    assert.deepEqual(refused.issues, [{ field: 'email', code: 'INVALID' }]);
    const owner = await signUp(service, { phone: address.phone });
    assert.deepEqual((await owner.updateUser({ email: address.email })).issues, [{ field: 'email', code: 'INVALID' }]);
  });

  test('without any credentials only usernames can sign up', async () => {
    const service = await startService(production);
    const refused = await caller(service).createUser({ username: 'alice', ...address });
    assert.deepEqual(refused.issues, [
      { field: 'email', code: 'INVALID' },
      { field: 'phone', code: 'INVALID' },
    ]);
    await signUp(service, { username: 'alice', password });
  });

  test('DELIVERY_OUTBOX=true stores messages in the outbox', async () => {
    const service = await startService({ ...production, DELIVERY_OUTBOX: 'true' });
    const owner = await signUp(service, address);
    for (const token of [owner.emailToken, owner.phoneToken])
      assert.equal(await sendAs(owner, token), 'SendOneTimePasswordSuccess');
    assert.deepEqual(
      (await service.app.outbox()).map(({ to }) => to),
      [address.phone, address.email],
    );
  });

  test('a disabled channel is reported to the owner of the address and to no other client', async () => {
    await insertPerson(withBoth, { ...address, hasPassword: true });
    const service = productionWithVonage;
    const { user, tokens } = expectMember(
      await caller(service).authenticate({ email: address.email, password }),
      'AuthenticateSuccess',
    );
    const owner = caller(service, { token: tokens.accessToken });
    const [emailToken] = user.securityTokens;
    assert.equal(await sendAs(owner, emailToken!.id), 'TransmissionError');
    assert.equal((await caller(service).sendOneTimePassword(emailToken!.id)).__typename, 'SendOneTimePasswordSuccess');
    assert.deepEqual(await service.app.outbox(), []);
    assert.deepEqual(sendGrid.requests, []);
  });
});

test('a notice goes by SMS if the email channel is disabled', async () => {
  await insertPerson(withBoth, { ...address, hasPassword: true, verified: true });
  const service = productionWithVonage;
  const { tokens } = expectMember(
    await caller(service).authenticate({ email: address.email, password }),
    'AuthenticateSuccess',
  );
  const changed = { currentPassword: password, newPassword: 'another horse battery' };
  const { __typename } = await caller(service, { token: tokens.accessToken }).changePassword(changed);
  assert.equal(__typename, 'ChangePasswordSuccess');
  assert.deepEqual(await service.app.outbox(), []);
  assert.match((await vonage.messageTo('12025550123')).body.text, /^Your password was changed/);
});

describe('SMS_CALLING_CODES', () => {
  const german = '+4915123456789';
  const british = '+447400123456';

  test('rejects other numbers at sign-up', async () => {
    const service = withCodes;
    const refused = await caller(service).createUser({ phone: german });
    assert.equal(refused.__typename, 'ValidationError');
    assert.deepEqual(refused.issues, [{ field: 'phone', code: 'INVALID' }]);
    await signUp(service, { phone: british });
  });

  test('rejects other numbers in an update', async () => {
    const service = withCodes;
    const owner = await signUp(service, { username: 'alice', password });
    const refused = await owner.updateUser({ phone: german }, { currentPassword: password });
    assert.deepEqual(refused.issues, [{ field: 'phone', code: 'INVALID' }]);
    assert.equal((await owner.updateUser({ phone: british })).__typename, 'UpdateUserSuccess');
  });

  test('is part of the policy', async () => {
    const service = withCodes;
    const { data } = await caller(service).ask('{ policy { smsDialCodes } }');
    assert.deepEqual(data.policy.smsDialCodes, ['1', '44']);
  });

  test('reports a stored number to its owner, hides it from other clients and sends nothing', async () => {
    await insertPerson(withBoth, { phone: german, username: 'alice', hasPassword: true });
    const service = withCodesAndVonage;
    const anonymous = caller(service);
    const { user, tokens } = expectMember(
      await anonymous.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    const owner = caller(service, { token: tokens.accessToken });
    const [token] = user.securityTokens;
    assert.equal(await sendAs(owner, token!.id), 'TransmissionError');
    // It is not counted: the next result is the same error and no TimeoutError.
    assert.equal(await sendAs(owner, token!.id), 'TransmissionError');

    const [unknown] = await anonymous.securityTokens('+4915123456780');
    const answers = [];
    for (const id of [token!.id, unknown!.id]) {
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
    const countries = [
      'US',
      'CA',
      'GB',
      'DE',
      'FR',
      'ES',
      'IT',
      'NL',
      'BE',
      'AT',
      'CH',
      'SE',
      'NO',
      'DK',
      'FI',
      'IE',
      'PT',
      'GR',
      'PL',
      'CZ',
      'SK',
      'HU',
      'RO',
      'BG',
      'HR',
      'SI',
      'LT',
      'LV',
      'EE',
      'TR',
      'UA',
      'IL',
      'AE',
      'SA',
      'EG',
      'ZA',
      'NG',
      'KE',
      'IN',
      'PK',
      'BD',
      'TH',
      'VN',
      'MY',
      'SG',
      'JP',
      'KR',
      'AU',
      'NZ',
      'BR',
    ] as const;
    assert.equal(countries.length, 50);
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
