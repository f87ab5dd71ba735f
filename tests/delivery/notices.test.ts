/** Notices of account changes: who receives them, and by which channel. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sendDueNotices } from '../../src/domain/events/delayed-notices.js';
import { expectMember, type RequestOptions } from '../support/client.js';
import {
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  issueOneTimePassword,
  type Person,
  type PersonRow,
  password,
  verifyUnsent,
} from '../support/people.js';
import { contentOf, sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { advance, clear, startService } from '../support/service.js';
import { startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const service = await startService({
  ...sendGridEnvironment(sendGrid),
  ...vonageEnvironment(vonage),
  APP_URL: 'https://app.example.com',
});
const email = 'alice@example.com';
const phone = '+12025550123';
const newPassword = 'another horse battery';
const superuser = { username: 'root', role: 'superuser' } as const;
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
  const change = (owner: Person, currentPassword = password, secret = newPassword) =>
    owner.changePassword({ currentPassword, newPassword: secret });

  test('is reported by email with a link to the front end and no one-time password', async () => {
    expectMember(await change(await insertVerified({ email })), 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /^ {4}https:\/\/app\.example\.com\/reset-password$/m);
    assert.doesNotMatch(text, /code=/);
    assert.ok(!text.includes(newPassword));
  });

  test('is reported by SMS without an email, and to every verified address with both', async () => {
    await change(await insertVerified({ phone }));
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
    clearProviders();
    await change(await insertVerified({ email, phone: '+12025550124' }));
    assert.deepEqual(await sent(), [`+12025550124: ${subject}`, `${email}: ${subject}`]);
  });

  test('is not reported to an unverified address, and by SMS if only the phone is verified', async () => {
    const owner = await insertPerson(service, { email, phone, hasPassword: true });
    expectMember(await change(owner), 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), []);
    await verifyUnsent(service, owner, owner.phoneToken);
    expectMember(await change(owner, newPassword, password), 'ChangePasswordSuccess');
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is reported after a superuser set it', async () => {
    const owner = await insertVerified({ email, phone });
    const root = await insertPerson(service, superuser);
    expectMember(await root.setUserPassword(owner.id, newPassword), 'SetUserPasswordSuccess');
    assert.deepEqual(await sent(), [`${phone}: ${subject}`, `${email}: ${subject}`]);
  });

  test('is reported after a reset, with the young addresses that the reset dropped, to these too', async () => {
    const reset = async (tokenId: string) => {
      const oneTimePassword = await issueOneTimePassword(service, tokenId, 'PASSWORD_RESET');
      const asked = await caller(service, laptop).resetPassword({ tokenId, oneTimePassword, newPassword });
      expectMember(asked, 'ResetPasswordSuccess');
      return (await sent()).map((message) => message.replace('Your password was reset', 'reset'));
    };
    const other = await insertVerified({ email: 'bob@example.com' });
    assert.deepEqual(await reset(other.emailToken), ['bob@example.com: reset']);
    assert.doesNotMatch(contentOf(sendGrid.requests[0]!, 'text/plain'), /was removed/);

    const owner = await insertVerified({ email });
    expectMember(await owner.updateUser({ phone }), 'UpdateUserSuccess');
    await verifyUnsent(service, owner, idOfAddress(service, phone));
    await service.app.outbox();
    clearProviders();
    assert.deepEqual(await reset(owner.emailToken), [`${phone}: reset`, `${email}: reset`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /The phone number that was added lately was removed/);
  });

  test('is not reported if the change fails', async () => {
    const owner = await insertVerified({ email });
    expectMember(await change(owner, 'wrong'), 'InvalidCredentialsError');
    expectMember(await change(owner, password, 'short'), 'ValidationError');
    assert.deepEqual(await sent(), []);
  });
});

describe('a changed address', () => {
  const newEmail = 'new@example.com';
  const newPhone = '+12025550188';
  const nouns = { email: 'email address', phone: 'phone number' };

  /** Returns the messages of a change without its code. */
  async function noticesOf(owner: Person, input: { email: string } | { phone: string }): Promise<string[]> {
    expectMember(await owner.updateUser(input), 'UpdateUserSuccess');
    const [codes, notices] = [true, false].map(async (is) =>
      (await sent()).filter((message) => /Verify|is your code/.test(message) === is),
    );
    assert.deepEqual(
      (await codes!).map((message) => message.split(': ')[0]),
      Object.values(input),
      'the new address gets a code at once',
    );
    return notices!;
  }

  for (const [row, kind, next, recipients] of [
    [{ email }, 'email', newEmail, [email]],
    [{ phone }, 'phone', newPhone, [phone]],
    [{ email, phone }, 'phone', newPhone, [phone, email]],
    [{ email, phone }, 'email', newEmail, [phone, email]],
    [{ email }, 'phone', newPhone, [email]],
  ] as const)
    test(`of ${Object.keys(row).join(' and ')} is reported to them when a ${kind} is added, and when it is verified`, async () => {
      const owner = await insertVerified(row);
      const added = await noticesOf(owner, kind === 'email' ? { email: next } : { phone: next });
      assert.deepEqual(
        added,
        recipients.map((to) => `${to}: A new ${nouns[kind]} was added`),
      );
      clearProviders();
      await verifyUnsent(service, owner, idOfAddress(service, next));
      assert.deepEqual(
        await sent(),
        recipients.map((to) => `${to}: A new ${nouns[kind]} was verified`),
      );
    });

  for (const by of ['its owner', 'a superuser'])
    test(`is reported to the old and the remaining address if ${by} removes it`, async () => {
      const owner = await insertVerified({ email, phone });
      const root = await insertPerson(service, superuser);
      const remover = by === 'its owner' ? owner : root;
      expectMember(await remover.updateUser({ phone: null }, { id: owner.id }), 'UpdateUserSuccess');
      assert.deepEqual(
        await sent(),
        [phone, email].map((to) => `${to}: Your phone number was removed`),
      );
    });

  test('is not reported to an unverified address, which may belong to another person', async () => {
    const owner = await insertPerson(service, { email, phone });
    assert.deepEqual(await noticesOf(owner, { email: newEmail }), []);
    expectMember(await owner.updateUser({ phone: null }), 'UpdateUserSuccess');
    clearProviders();
    await verifyUnsent(service, owner, idOfAddress(service, newEmail));
    assert.deepEqual(await sent(), []);
  });

  test('is not reported if only the spelling changed', async () => {
    const owner = await insertVerified({ email });
    expectMember(await owner.updateUser({ email: 'Alice@Example.com' }), 'UpdateUserSuccess');
    assert.deepEqual(await sent(), []);
  });
});

describe('a changed username', () => {
  test('is reported to every verified address', async () => {
    const owner = await insertVerified({ email, phone, username: 'alice' });
    expectMember(await owner.updateUser({ username: 'alicia' }), 'UpdateUserSuccess');
    const subject = 'Your username was changed';
    assert.deepEqual(await sent(), [`${phone}: ${subject}`, `${email}: ${subject}`]);
  });
});

describe('a changed role', () => {
  const [first, second] = ['first@example.com', 'second@example.com'];
  const superusers = [first, second].map((address) => ({ email: address, verified: true, ...superuser }));

  async function insertSuperusers(): Promise<Person> {
    const [root] = await insertPeople(
      service,
      superusers.map((row, index) => ({ ...row, username: `root${index}` })),
    );
    // Without a verified address, nothing reaches this one.
    await insertPerson(service, { username: 'unreachable', role: 'superuser' });
    return root!;
  }

  for (const [role, name] of [
    ['isStaff', 'staff'],
    ['isSuperuser', 'superuser'],
  ] as const)
    test(`is reported to the user and to all superusers: ${role}`, async () => {
      const owner = await insertVerified({ email, phone });
      const root = await insertSuperusers();
      for (const granted of [true, false]) {
        expectMember(await root.updateUser({ [role]: granted }, { id: owner.id }), 'UpdateUserSuccess');
        const subject = `The ${name} role was ${granted ? 'granted' : 'removed'}`;
        // The account itself is a superuser after it was granted the role.
        const own = role === 'isSuperuser' && granted ? 2 : 1;
        const expected = [phone, email].flatMap((to) => Array.from({ length: own }, () => to));
        assert.deepEqual(
          await sent(),
          [...expected, first, second].map((to) => `${to}: ${subject}`),
        );
        const text = contentOf(sendGrid.requestsFor(first)[0]!, 'text/plain');
        assert.match(text, new RegExp(`of the account ${owner.id} was`));
        clearProviders();
      }
    });

  test('of a new superuser is reported to all superusers', async () => {
    const root = await insertSuperusers();
    expectMember(await root.createSuperuser({ username: 'third' }), 'CreateSuperuserSuccess');
    assert.deepEqual(
      await sent(),
      [first, second].map((to) => `${to}: The superuser role was granted`),
    );
  });
});

describe('a lost address', () => {
  const lost = '+12025550199';

  /** Lets an account lose its pending phone to another account. */
  async function lose(row: PersonRow): Promise<void> {
    const loser = await insertPerson(service, row);
    expectMember(await loser.updateUser({ phone: lost }), 'UpdateUserSuccess');
    const winner = await insertPerson(service, { phone: lost });
    const code = await issueOneTimePassword(service, winner.phoneToken);
    expectMember(await winner.checkOneTimePassword(winner.phoneToken, code), 'CheckOneTimePasswordSuccess');
    assert.equal((await loser.me()).pendingPhone, null);
    await service.app.outbox();
    clearProviders();
  }

  const tellAfter = async (seconds: number) => {
    await advance(service, seconds);
    await sendDueNotices(service.app);
    return sent();
  };

  test('is told to the account that held it, a day later, once and not before', async () => {
    await lose({ email, verified: true });
    assert.deepEqual(await tellAfter(0), []);
    assert.deepEqual(await tellAfter(86_390), []);
    assert.deepEqual(await tellAfter(10), [`${email}: An unverified phone number left your account`]);
    assert.deepEqual(await tellAfter(86_400), [`${email}: An unverified phone number left your account`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.ok(!text.includes(lost));
  });

  test('is not told to an account without a verified address', async () => {
    await lose({ username: 'alice', email });
    assert.deepEqual(await tellAfter(86_400), []);
  });
});

describe('a sign-in', () => {
  const subject = 'New sign-in to your account';
  const phoneDevice = { headers: { 'user-agent': 'Phone/2.0' } };
  const signIn = async (options: RequestOptions) =>
    expectMember(await caller(service, options).authenticate({ email, password }), 'AuthenticateSuccess');

  test('with a new device is reported once, and with a known device not at all', async () => {
    await insertVerified({ email });
    for (let times = 0; times < 3; times += 1) await signIn(laptop);
    assert.deepEqual(await sent(), []);
    for (let times = 0; times < 3; times += 1) await signIn(phoneDevice);
    assert.deepEqual(await sent(), [`${email}: ${subject}`]);
    const text = contentOf(sendGrid.requests[0]!, 'text/plain');
    assert.match(text, /Phone\/2\.0, IP address 127\.0\.0\.1\./);
  });

  test('that is the first of its account is not reported', async () => {
    const root = await insertPerson(service, superuser);
    const { user } = expectMember(await root.createUser({ email, password }), 'CreateUserSuccess');
    const [token] = user.securityTokens;
    // This first sign-in verifies the address.
    const code = await issueOneTimePassword(service, token!.id);
    expectMember(await caller(service, laptop).checkOneTimePassword(token!.id, code), 'CheckOneTimePasswordSuccess');
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
    const code = await issueOneTimePassword(service, owner.phoneToken);
    const checked = await caller(service, phoneDevice).checkOneTimePassword(owner.phoneToken, code);
    expectMember(checked, 'CheckOneTimePasswordSuccess');
    assert.deepEqual(await sent(), [`${phone}: ${subject}`]);
  });

  test('is not reported without a verified address or if it fails', async () => {
    await insertPerson(service, { email, hasPassword: true, userAgent: 'Laptop/1.0' });
    await signIn(phoneDevice);
    await insertVerified({ email: 'bob@example.com' });
    const refused = await caller(service, phoneDevice).authenticate({ email: 'bob@example.com', password: 'wrong' });
    expectMember(refused, 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
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
  for (const [about, row, recipients] of [
    ['to every verified address', { email, phone, verified: true }, [phone, email]],
    ['by SMS without an email', { phone, verified: true }, [phone]],
    ['not at all without a verified address', { email, phone, verified: false }, []],
  ] as const)
    test(`is reported ${about}`, async () => {
      expectMember(await (await insertVerified(row)).deleteUser(), 'DeleteUserSuccess');
      assert.deepEqual(
        await sent(),
        recipients.map((to) => `${to}: Your account was deleted`),
      );
    });

  test('is reported if a superuser deletes it', async () => {
    const owner = await insertVerified({ email });
    const root = await insertPerson(service, superuser);
    expectMember(await root.deleteUser({ id: owner.id }), 'DeleteUserSuccess');
    assert.deepEqual(await sent(), [`${email}: Your account was deleted`]);
  });

  test('is not reported if the deletion fails', async () => {
    const owner = await insertVerified({ email });
    await advance(service, 601);
    expectMember(await owner.deleteUser({ currentPassword: 'wrong' }), 'InvalidCredentialsError');
    assert.deepEqual(await sent(), []);
  });
});

test('a mutation does not wait for its notice, even if the provider hangs', async () => {
  const owner = await insertVerified({ email });
  sendGrid.behave(email, 'hang');
  expectMember(await owner.changePassword({ currentPassword: password, newPassword }), 'ChangePasswordSuccess');
  await sendGrid.messageTo(email);
  // The provider has not answered its only request, so the mutation returned before.
  assert.equal(sendGrid.requestsFor(email).length, 1);
  assert.deepEqual(await sent(), [`${email}: Your password was changed`]);
});
