/** The lifecycle of an account from the owner's view. */
import assert from 'node:assert/strict';
import { expectMember, oneTimePasswordSentTo, outbox } from './client.js';
import type { OneTimePasswordPurpose } from './generated/graphql.js';
import { type Caller, caller, signUp } from './people.js';
import { advance, type Service } from './service.js';

const [phone, newPhone, email] = ['+12025550101', '+12025550102', 'Robin@Sherwood.example'];
const [password, newPassword] = ['correct horse battery', 'another horse battery'];

/** Throws if any step fails. */
export async function liveAndEnd(service: Service): Promise<void> {
  const anonymous = caller(service);

  // Robin signs up by phone and verifies it.
  const first = await signUp(service, { phone: '(202) 555-0101', password });
  assert.deepEqual([first.account.phone, first.account.phoneVerified], [phone, false]);
  assert.match(await textTo(first, first.phoneToken, phone), /^\d{6} is your code to verify this phone number\./);
  await verify(first, first.phoneToken, phone);
  assert.equal((await first.me()).phoneVerified, true);

  // Adds an email and verifies it.
  const added = expectMember(await first.updateUser({ email }), 'UpdateUserSuccess');
  assert.deepEqual([added.user.email, added.user.pendingEmail], [null, 'Robin@sherwood.example']);
  const [emailToken] = added.user.securityTokens;
  assert.equal(emailToken!.__typename, 'EmailToken');
  // The code was sent with the change.
  await verify(first, emailToken!.id, 'Robin@sherwood.example');
  assert.equal((await first.me()).emailVerified, true);

  // Forgets the password, and resets it by email.
  const forgotten = await anonymous.authenticate({ identifier: phone, password: 'correct mule battery' });
  assert.equal(forgotten.__typename, 'InvalidCredentialsError');
  const [way] = await anonymous.securityTokens('ROBIN@sherwood.example');
  assert.equal(way!.id, emailToken!.id);
  await textTo(anonymous, way!.id, 'Robin@sherwood.example', 'PASSWORD_RESET');
  const oneTimePassword = await oneTimePasswordSentTo(service, 'Robin@sherwood.example');
  const reset = await anonymous.resetPassword({ tokenId: way!.id, oneTimePassword, newPassword });
  const { user, tokens } = expectMember(reset, 'ResetPasswordSuccess');
  assert.equal(user.id, first.id);

  // The previous session and the previous password are invalid.
  const dead = await first.ask('{ me { id } }');
  assert.equal(dead.errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
  const second = caller(service, { token: tokens.accessToken });
  assert.equal((await second.me()).sessions.length, 1);
  await advance(service, 60);
  const old = await anonymous.authenticate({ identifier: email, password });
  assert.equal(old.__typename, 'InvalidCredentialsError');
  await advance(service, 60);
  assert.equal((await anonymous.authenticate({ email, password: newPassword })).__typename, 'AuthenticateSuccess');

  // Changes the phone, with a code to the current one. It stays until the new phone is verified.
  expectMember(await second.updateUser({ phone: newPhone }), 'StepUpRequiredError');
  await confirm(first.phoneToken, phone);
  const changed = expectMember(await second.updateUser({ phone: newPhone }), 'UpdateUserSuccess');
  assert.deepEqual([changed.user.phone, changed.user.pendingPhone], [phone, newPhone]);
  const pending = changed.user.securityTokens.at(-1);
  await verify(second, pending!.id, newPhone);
  const after = await second.me();
  assert.deepEqual([after.phone, after.phoneVerified, after.pendingPhone], [newPhone, true, null]);
  const bySms = await anonymous.authenticate({ identifier: '(202) 555-0102', password: newPassword });
  assert.equal(bySms.__typename, 'AuthenticateSuccess');
  assert.equal(
    (await anonymous.authenticate({ identifier: phone, password: newPassword })).__typename,
    'InvalidCredentialsError',
  );

  // Was notified of all changes of the account.
  const notices = (await outbox(service)).filter((message) => message.oneTimePassword === null);
  assert.deepEqual(
    new Set(notices.map(({ to, subject }) => `${to} ${subject}`)),
    new Set([
      'Robin@sherwood.example Your password was reset',
      'Robin@sherwood.example A new phone number was added',
      'Robin@sherwood.example A new phone number was verified',
      `${phone} null`,
    ]),
  );

  // Deletes the account, with a code to the oldest address. The addresses are available.
  await advance(service, 601);
  expectMember(await second.deleteUser(), 'StepUpRequiredError');
  await confirm(emailToken!.id, 'Robin@sherwood.example');
  assert.deepEqual(await second.deleteUser(), { __typename: 'DeleteUserSuccess', id: first.id });
  const gone = await second.ask('{ me { id } }');
  assert.equal(gone.errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
  const nobody = await anonymous.authenticate({ phone: newPhone, password: newPassword });
  assert.equal(nobody.__typename, 'InvalidCredentialsError');
  const again = await signUp(service, { phone: newPhone, email });
  assert.notEqual(again.id, first.id);

  /** Requests a one-time password. @returns the received message */
  async function textTo(
    asker: Caller,
    tokenId: string,
    address: string,
    purpose: OneTimePasswordPurpose = 'VERIFICATION',
  ): Promise<string> {
    const { __typename } = await asker.sendOneTimePassword(tokenId, purpose);
    assert.equal(__typename, 'SendOneTimePasswordSuccess');
    const messages = await outbox(service);
    return messages.find(({ to, oneTimePassword }) => to === address && oneTimePassword !== null)!.text;
  }

  /** Proves an own address in the second session. */
  async function confirm(tokenId: string, address: string): Promise<void> {
    await textTo(second, tokenId, address, 'AUTHENTICATION');
    const checked = await second.checkOneTimePassword(tokenId, await oneTimePasswordSentTo(service, address));
    assert.equal(expectMember(checked, 'CheckOneTimePasswordSuccess').tokens, null);
  }

  async function verify(owner: Caller, tokenId: string, address: string): Promise<void> {
    const code = await oneTimePasswordSentTo(service, address);
    const { __typename } = await owner.checkOneTimePassword(tokenId, code, 'VERIFICATION');
    assert.equal(__typename, 'CheckOneTimePasswordSuccess');
  }
}
