/** What owners are told of what was done to their account: who gets word, by which channel, and who does not. */
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
  BOOTSTRAP_SECRET: 'a secret of the tests, long enough for anyone',
});
const anonymous = caller(service);
const email = 'alice@example.com';
const phone = '+12025550123';
const newPassword = 'another horse battery';
const laptop = { headers: { 'user-agent': 'Laptop/1.0' } };

beforeEach(async () => {
  await clear(service);
  forget();
});

function forget(): void {
  sendGrid.clear();
  vonage.clear();
}

/** Makes an account that was opened from the laptop, whose addresses are verified. */
const insertProven = (row: PersonRow) =>
  insertPerson(service, { hasPassword: true, verified: true, userAgent: 'Laptop/1.0', ...row });

/** Everything that was sent, what goes on in the background included: to whom, and the subject or the beginning of the text. */
async function sent(): Promise<string[]> {
  await service.app.outbox();
  return [
    ...sendGrid.requests.map(({ body }) => `${body.personalizations[0]!.to[0]!.email}: ${body.subject}`),
    ...vonage.requests.map(({ body }) => `+${body.to}: ${body.text.split(' (')[0]}`),
  ].sort();
}

describe('a changed password', () => {
  const subject = 'Your password was changed';

  test('is told by email', async () => {
    const owner = await insertProven({ email });
    const changed = await owner.changePassword({ currentPassword: password, newPassword });
    assert.equal(changed.__typename, 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is told by SMS where there is no email, and by email alone where there are both', async () => {
    const one = await insertProven({ phone });
    await one.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
    forget();
    const both = await insertProven({ email, phone: '+12025550124' });
    await both.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is told by SMS where the email is not verified', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    await verifyUnsent(service, owner, owner.phoneToken);
    await owner.changePassword({ currentPassword: password, newPassword });
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is told to nobody where no address is verified', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    const changed = await owner.changePassword({ currentPassword: password, newPassword });
    assert.equal(changed.__typename, 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('is told when it was reset, and when a superuser set it', async () => {
    const owner = await insertProven({ email });
    await anonymous.sendOneTimePassword(owner.emailToken, 'PASSWORD_RESET');
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo(email));
    forget();
    const reset = await caller(service, laptop).resetPassword({
      tokenId: owner.emailToken,
      oneTimePassword,
      newPassword,
    });
    assert.equal(reset.__typename, 'ResetPasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    forget();
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.setUserPassword(owner.id, password)).__typename, 'SetUserPasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('is not told where it was not changed', async () => {
    const owner = await insertProven({ email });
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

  test('tells that it leads to a page of the front end, and holds no one-time password', async () => {
    const owner = await insertProven({ email });
    await owner.changePassword({ currentPassword: password, newPassword });
    await sent();
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /^ {4}https:\/\/app\.example\.com\/reset-password$/m);
    assert.doesNotMatch(text, /code=/);
    assert.ok(!text.includes(newPassword));
  });
});

describe('a changed address', () => {
  test('is told to the old one when the new one is verified, and not before', async () => {
    const owner = await insertProven({ email });
    const { user } = expectMember(await owner.updateUser({ email: 'new@example.com' }), 'UpdateUserSuccess');
    assert.deepEqual(await sent(), []);
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo('new@example.com'));
    forget();
    const checked = expectMember(
      await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION'),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(checked.user.email, 'new@example.com');
    const told = await sent();
    assert.ok(told.includes(`${email}: Your email address was changed`), told.join());
  });

  test('is told to the address of the other kind too: it may be the only one that is still the owner’s', async () => {
    const owner = await insertProven({ email, phone });
    const { user } = expectMember(await owner.updateUser({ phone: '+12025550188' }), 'UpdateUserSuccess');
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550188'));
    forget();
    await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION');
    assert.deepEqual(await sent(), [
      `${phone}: Your phone number was changed`,
      `${email}: Your phone number was changed`,
    ]);
  });

  test('is told to the old number by SMS', async () => {
    const owner = await insertProven({ phone });
    const { user } = expectMember(await owner.updateUser({ phone: '+12025550188' }), 'UpdateUserSuccess');
    const pending = user.securityTokens.find(({ verified }) => !verified);
    await owner.sendOneTimePassword(pending!.id, 'VERIFICATION');
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550188'));
    forget();
    await owner.checkOneTimePassword(pending!.id, oneTimePassword, 'VERIFICATION');
    const told = await sent();
    assert.ok(told.includes(`${phone}: Your phone number was changed`), told.join());
  });

  test('is told to the old one and to the one that is left, where it is removed', async () => {
    const owner = await insertProven({ email, phone });
    assert.equal((await owner.updateUser({ phone: null })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), [
      `${phone}: Your phone number was changed`,
      `${email}: Your phone number was changed`,
    ]);
  });

  test('is told when a superuser removes it', async () => {
    const owner = await insertProven({ email, username: 'alice' });
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.updateUser({ email: null }, { id: owner.id })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your email address was changed`]);
  });

  test('is not told to an address that was never verified: it may be somebody else’s', async () => {
    const owner = await signUp(service, { email, phone, password }, laptop);
    await owner.updateUser({ email: 'new@example.com' });
    await owner.updateUser({ phone: null });
    assert.deepEqual(await sent(), []);
  });

  test('is not told where only the spelling changed', async () => {
    const owner = await insertProven({ email });
    assert.equal((await owner.updateUser({ email: 'Alice@Example.com' })).__typename, 'UpdateUserSuccess');
    assert.deepEqual(await sent(), []);
  });
});

describe('a sign-in', () => {
  const subject = 'New sign-in to your account';
  const signIn = (options = {}) => caller(service, options).authenticate({ email, password });
  const phoneDevice = { headers: { 'user-agent': 'Phone/2.0' } };

  test('by another program is told to the owner, once', async () => {
    await insertProven({ email });
    for (let times = 0; times < 3; times += 1)
      assert.equal((await signIn(phoneDevice)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /Phone\/2\.0, at 127\.0\.0\.1\./);
  });

  test('by a known program is not', async () => {
    await insertProven({ email });
    for (let times = 0; times < 3; times += 1) assert.equal((await signIn(laptop)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('that is the first of an account is not', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const { user } = expectMember(await root.createUser({ email, password }), 'CreateUserSuccess');
    await root.sendOneTimePassword(user.securityTokens[0]!.id);
    const oneTimePassword = oneTimePasswordInMail(await sendGrid.messageTo(email));
    forget();
    // The first sign-in, by which the address is verified.
    await caller(service, laptop).checkOneTimePassword(user.securityTokens[0]!.id, oneTimePassword);
    assert.deepEqual(await sent(), []);
  });

  test('after thirty days is one by a new device again', async () => {
    await insertProven({ email });
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    forget();
    await advance(service, 29 * 86_400);
    await signIn(laptop);
    assert.deepEqual(await sent(), []);
    await advance(service, 2 * 86_400);
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });

  test('by a one-time password is told like one by password', async () => {
    const owner = await insertProven({ phone });
    await anonymous.sendOneTimePassword(owner.phoneToken);
    const oneTimePassword = oneTimePasswordInSms(await vonage.messageTo('12025550123'));
    forget();
    const checked = await caller(service, phoneDevice).checkOneTimePassword(owner.phoneToken, oneTimePassword);
    assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is told to nobody where no address is verified, and where it is refused', async () => {
    await signUp(service, { email, password }, laptop);
    assert.equal((await signIn(phoneDevice)).__typename, 'AuthenticateSuccess');
    assert.deepEqual(await sent(), []);
    const owner = await insertProven({ email: 'bob@example.com' });
    const refused = await caller(service, phoneDevice).authenticate({ email: 'bob@example.com', password: 'wrong' });
    assert.equal(refused.__typename, 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
    assert.equal((await owner.me()).email, 'bob@example.com');
  });

  test('by a program with a hostile name is told without the name', async () => {
    await insertProven({ email });
    const hostile = `<img src=x onerror=alert(1)>"'&amp;</p><a href="https://evil.test">Click {{here}}</a>`;
    await signIn({ headers: { 'user-agent': hostile } });
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const { body } = sendGrid.requests[0]!;
    assert.doesNotMatch(JSON.stringify(body), /<img|evil\.test|Click/);
    assert.deepEqual(body.personalizations, [{ to: [{ email }] }]);
  });

  test('to an account that nobody has signed in to for long is told', async () => {
    await insertProven({ email });
    await advance(service, 40 * 86_400);
    await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
  });
});

describe('a deleted account', () => {
  test('is told to the verified email', async () => {
    const owner = await insertProven({ email, phone });
    assert.equal((await owner.deleteUser()).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your account was deleted`]);
  });

  test('is told by SMS where there is no email, and to nobody where nothing is verified', async () => {
    const owner = await insertProven({ phone });
    await owner.deleteUser();
    assert.deepEqual(await sent(), [`${phone}: Your account was deleted`]);
    forget();
    const unproven = await signUp(service, { email, phone });
    assert.equal((await unproven.deleteUser()).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), []);
  });

  test('is told when a superuser deletes it', async () => {
    const owner = await insertProven({ email });
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await root.deleteUser({ id: owner.id })).__typename, 'DeleteUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your account was deleted`]);
  });

  test('is not told where it stays', async () => {
    const owner = await insertProven({ email });
    await advance(service, 601);
    assert.equal((await owner.deleteUser({ currentPassword: 'wrong' })).__typename, 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
  });
});

test('a notice is waited for by nobody: while the provider hangs, what was done is answered at once', async () => {
  const owner = await insertProven({ email });
  sendGrid.behave(email, 'hang');
  const changed = await owner.changePassword({ currentPassword: password, newPassword });
  assert.equal(changed.__typename, 'ChangePasswordSuccess');
  await sendGrid.messageTo(email);
  // The provider has one request and has not answered it, so the answer came before.
  assert.equal(sendGrid.requestsFor(email).length, 1);
  assert.deepEqual(await sent(), [`${email}: Your password was changed`]);
});
