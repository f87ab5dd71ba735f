/** Notices of account changes: who receives them, and by which channel. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectMember } from '../support/client.js';
import { caller, insertPerson, type PersonRow, password, signUp, verifyUnsent } from '../support/people.js';
import { contentOf, oneTimePasswordInMail, sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { advance, clear, startService } from '../support/service.js';
import { oneTimePasswordInSms, startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const service = await startService({
  ...sendGridEnvironment(sendGrid),
  ...vonageEnvironment(vonage),
  APP_URL: 'https://app.example.com',
  BOOTSTRAP_SECRET: 'a bootstrap secret of the tests, long enough',
});
const anonymous = caller(service);
const email = 'alice@example.com';
const phone = '+12025550123';
const newPassword = 'another horse battery';
const laptop = { headers: { 'user-agent': 'Laptop/1.0' } };

beforeEach(async () => {
  await clear(service);
  clearProviders();
});

function clearProviders(): void {
  sendGrid.clear();
  vonage.clear();
}

/** Inserts an account with verified addresses that signed up on the laptop. */
const insertVerified = (row: PersonRow) =>
  insertPerson(service, { hasPassword: true, verified: true, userAgent: 'Laptop/1.0', ...row });

/**
 * Waits for background sends.
 * Returns the recipient of each message with its subject, or with the start of the SMS.
 */
async function sent(): Promise<string[]> {
  await service.app.outbox();
  return [
    ...sendGrid.requests.map(({ body }) => `${body.personalizations[0]!.to[0]!.email}: ${body.subject}`),
    ...vonage.requests.map(({ body }) => `+${body.to}: ${body.text.split(' (')[0]}`),
  ].sort();
}

describe('a changed password', () => {
  const subject = 'Your password was changed';

  test('is reported by email', async () => {
    const owner = await insertVerified({ email });
    const changed = await owner.changePassword({ currentPassword: password, newPassword });
    assert.equal(changed.__typename, 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is reported by SMS without an email, and only by email with both', async () => {
    const phoneOnly = await insertVerified({ phone });
    await phoneOnly.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
    clearProviders();
    const both = await insertVerified({ email, phone: '+12025550124' });
    await both.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is reported by SMS if the email is not verified', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    await verifyUnsent(service, owner, owner.phoneToken);
    await owner.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is not reported without a verified address', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    const changed = await owner.changePassword({ currentPassword: password, newPassword });
    assert.equal(changed.__typename, 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('is reported after a reset and after a superuser set it', async () => {
    const owner = await insertVerified({ email });
    await anonymous.sendOneTimePassword(owner.emailToken, 'PASSWORD_RESET');
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo(email));
    clearProviders();
    const reset = await caller(service, laptop).resetPassword({
      tokenId: owner.emailToken,
      oneTimePassword,
      newPassword,
    });
    assert.equal(reset.__typename, 'ResetPasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    clearProviders();
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.setUserPassword(owner.id, password)).__typename, 'SetUserPasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is not reported if the change fails', async () => {
    const owner = await insertVerified({ email });
    assert.equal(
      (await owner.changePassword({ currentPassword: 'wrong', newPassword })).__typename,
      'InvalidCredentialsError',
    );
    assert.equal(
      (await owner.changePassword({ currentPassword: password, newPassword: 'short' })).__typename,
      'ValidationError',
    );
    assert.deepEqual(await sent(), []);
  });

  test('has a link to the front end and no one-time password', async () => {
    const owner = await insertVerified({ email });
    await owner.changePassword({ currentPassword: password, newPassword });
    await sent();
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /^ {4}https:\/\/app\.example\.com\/reset-password$/m);
    assert.doesNotMatch(text, /code=/);
    assert.ok(!text.includes(newPassword));
  });
});

describe('a changed address', () => {
  test('is reported to the old address once the new one is verified', async () => {
    const owner = await insertVerified({ email });
    const { user } = expectMember(await owner.updateUser({ email: 'new@example.com' }), 'UpdateUserSuccess');
    assert.deepEqual(await sent(), []);
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo('new@example.com'));
    clearProviders();
    const checked = expectMember(
      await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION'),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(checked.user.email, 'new@example.com');
    const messages = await sent();
    assert.ok(messages.includes(`${email}: Your email address was changed`), messages.join());
  });

  test('is also reported to the address of the other kind', async () => {
    const owner = await insertVerified({ email, phone });
    const { user } = expectMember(await owner.updateUser({ phone: '+12025550188' }), 'UpdateUserSuccess');
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550188'));
    clearProviders();
    await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION');
    assert.deepEqual(await sent(), [
      `${phone}: Your phone number was changed`,
      `${email}: Your phone number was changed`,
    ]);
  });

  test('is reported to the old number by SMS', async () => {
    const owner = await insertVerified({ phone });
    const { user } = expectMember(await owner.updateUser({ phone: '+12025550188' }), 'UpdateUserSuccess');
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550188'));
    clearProviders();
    await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION');
    const messages = await sent();
    assert.ok(messages.includes(`${phone}: Your phone number was changed`), messages.join());
  });

  test('is reported to the old and the remaining address if it is removed', async () => {
    const owner = await insertVerified({ email, phone });
    assert.equal((await owner.updateUser({ phone: null })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), [
      `${phone}: Your phone number was changed`,
      `${email}: Your phone number was changed`,
    ]);
  });

  test('is reported if a superuser removes it', async () => {
    const owner = await insertVerified({ email, username: 'alice' });
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.updateUser({ email: null }, { id: owner.id })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your email address was changed`]);
  });

  test('is not reported to an unverified address, which may belong to another person', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    await owner.updateUser({ email: 'new@example.com' });
    await owner.updateUser({ phone: null });
    assert.deepEqual(await sent(), []);
  });

  test('is not reported if only the spelling changed', async () => {
    const owner = await insertVerified({ email });
    assert.equal((await owner.updateUser({ email: 'Alice@Example.com' })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), []);
  });
});

describe('a sign-in', () => {
  const subject = 'New sign-in to your account';
  const signIn = (options = {}) => caller(service, options).authenticate({ email, password });
  const phoneDevice = { headers: { 'user-agent': 'Phone/2.0' } };

  test('with a new device is reported once', async () => {
    await insertVerified({ email });
    for (let times = 0; times < 3; times += 1)
      assert.equal((await signIn(phoneDevice)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /Phone\/2\.0, IP address 127\.0\.0\.1\./);
  });

  test('with a known device is not reported', async () => {
    await insertVerified({ email });
    for (let times = 0; times < 3; times += 1) assert.equal((await signIn(laptop)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('that is the first of its account is not reported', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const { user } = expectMember(await root.createUser({ email, password }), 'CreateUserSuccess');
    await root.sendOneTimePassword(user.securityTokens[0]!.id);
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo(email));
    clearProviders();
    // This first sign-in verifies the address.
    await caller(service, laptop).checkOneTimePassword(user.securityTokens[0]!.id, oneTimePassword);
    assert.deepEqual(await sent(), []);
  });

  test('with a device that was unused for thirty days is reported again', async () => {
    await insertVerified({ email });
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    clearProviders();
    await advance(service, 29 * 86_400);
    await signIn(laptop);
    assert.deepEqual(await sent(), []);
    await advance(service, 2 * 86_400);
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('with a one-time password is reported too', async () => {
    const owner = await insertVerified({ phone });
    await anonymous.sendOneTimePassword(owner.phoneToken);
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550123'));
    clearProviders();
    const checked = await caller(service, phoneDevice).checkOneTimePassword(owner.phoneToken, oneTimePassword);
    assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is not reported without a verified address or if it fails', async () => {
    await signUp(service, { email, password }, laptop);
    assert.equal((await signIn(phoneDevice)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), []);
    const owner = await insertVerified({ email: 'bob@example.com' });
    const refused = await caller(service, phoneDevice).authenticate({ email: 'bob@example.com', password: 'wrong' });
    assert.equal(refused.__typename, 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
    assert.equal((await owner.me()).email, 'bob@example.com');
  });

  test('with a hostile User-Agent is reported without its text', async () => {
    await insertVerified({ email });
    const hostile = `<img src=x onerror=alert(1)>"'&amp;</p><a href="https://evil.test">Click {{here}}</a>`;
    await signIn({ headers: { 'user-agent': hostile } });
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const { body } = sendGrid.requests[0]!;
    assert.doesNotMatch(JSON.stringify(body), /<img|evil\.test|Click/);
    assert.deepEqual(body.personalizations, [{ to: [{ email }] }]);
  });

  test('to an account that was unused for forty days is reported', async () => {
    await insertVerified({ email });
    await advance(service, 40 * 86_400);
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });
});

describe('a deleted account', () => {
  test('is reported to the verified email', async () => {
    const owner = await insertVerified({ email, phone });
    assert.equal((await owner.deleteUser()).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your account was deleted`]);
  });

  test('is reported by SMS without an email, and not at all without a verified address', async () => {
    const owner = await insertVerified({ phone });
    await owner.deleteUser();
    assert.deepEqual(await sent(), [`${phone}: Your account was deleted`]);
    clearProviders();
    const unverified = await signUp(service, { email, phone });
    assert.equal((await unverified.deleteUser()).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('is reported if a superuser deletes it', async () => {
    const owner = await insertVerified({ email });
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.deleteUser({ id: owner.id })).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your account was deleted`]);
  });

  test('is not reported if the deletion fails', async () => {
    const owner = await insertVerified({ email });
    await advance(service, 601);
    assert.equal((await owner.deleteUser({ currentPassword: 'wrong' })).__typename, 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
  });
});

test('a mutation does not wait for its notice, even if the provider hangs', async () => {
  const owner = await insertVerified({ email });
  sendGrid.behave(email, 'hang');
  const changed = await owner.changePassword({ currentPassword: password, newPassword });
  assert.equal(changed.__typename, 'ChangePasswordSuccess');
  await sendGrid.messageTo(email);
  // The provider has not answered its only request, so the mutation returned before.
  assert.equal(sendGrid.requestsFor(email).length, 1);
  assert.deepEqual(await sent(), [`${email}: Your password was changed`]);
});
