/** New passwords: a change by the owner, by a superuser, or by a one-time password. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectError, expectMember, expectWait, issuesOf } from '../support/client.js';
import type { ChangePasswordInput } from '../support/generated/graphql.js';
import {
  byAddress,
  type Caller,
  caller,
  insertPeople,
  insertPerson,
  type Person,
  password,
  person,
  signIn,
  signsIn,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const { tokenOf, makeCode, signInBy, resetBy, verifyAddress } = byAddress(service);
const email = 'alice.liddell@wonderland.example';
const phone = '+12025550101';
const newPassword = 'another horse battery';
const superuser = { username: 'root', role: 'superuser' } as const;

beforeEach(() => clear(service));

/** Asserts that only this password signs in. */
async function expectPassword(identifier: string, right: string): Promise<void> {
  assert.equal(await signsIn(service, identifier, right), true);
  for (const wrong of [password, newPassword].filter((other) => other !== right)) {
    assert.equal(await signsIn(service, identifier, wrong), false);
    await advance(service, 3600);
  }
}

async function expectEnded(...sessions: Caller[]): Promise<void> {
  for (const session of sessions) assert.equal(await session.isSignedIn(), false);
}

async function change(by: Person, input: ChangePasswordInput) {
  return expectMember(await by.changePassword(input), 'ChangePasswordSuccess').user;
}

async function expectUnproved(by: Person, input: ChangePasswordInput): Promise<void> {
  expectMember(await by.changePassword(input), 'StepUpRequiredError');
}

async function reset(address: string, code: string, chosen?: string) {
  return expectMember(await resetBy(address, code, chosen), 'ResetPasswordSuccess');
}

async function expectVoid(address: string, code: string, chosen?: string, what?: string): Promise<void> {
  expectMember(await resetBy(address, code, chosen), 'InvalidOneTimePasswordError', what);
}

/** Passwords that no account may use, and one that only Alice may not use. */
const refused: [password: string, code: string][] = [
  ['', 'BLANK'],
  ['short', 'TOO_SHORT'],
  ['é̃'.repeat(129), 'TOO_LONG'],
  ['password1', 'TOO_COMMON'],
];
const similar = email.toUpperCase();

describe('changePassword', () => {
  test('replaces the password, and revokes the other sessions', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    const other = await signIn(service, { username: 'alice', password });
    const user = await change(alice, { currentPassword: password, newPassword });
    assert.deepEqual([user.id, user.sessions.length], [alice.id, 1]);
    assert.equal(await alice.isSignedIn(), true);
    await expectEnded(other);
    await expectPassword('alice', newPassword);
  });

  for (const [typed, code] of [...refused, [similar, 'TOO_SIMILAR']] as const)
    test(`rejects a new password that is ${code}`, async () => {
      const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true });
      const result = await alice.changePassword({ currentPassword: password, newPassword: typed });
      assert.deepEqual(issuesOf(result), [`newPassword ${code}`]);
      await expectPassword('alice', password);
    });

  test('requires the current password after a sign-in, and not in the session of a sign-up', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const session = await signIn(service, { username: 'alice', password });
    for (const input of [{ newPassword }, { newPassword, currentPassword: null }]) await expectUnproved(session, input);
    assert.equal(await signsIn(service, 'alice', password), true);
    await change(alice, { newPassword });
    await expectPassword('alice', newPassword);
  });

  test('accepts no one-time password in place of the current one', async () => {
    await insertPerson(service, { email, hasPassword: true, verified: true });
    const session = await signIn(service, { email, password });
    expectMember(
      await session.checkOneTimePassword(tokenOf(email), await makeCode(email)),
      'CheckOneTimePasswordSuccess',
    );
    await expectUnproved(session, { newPassword });
    await change(session, { newPassword, currentPassword: password });
  });

  test('sets the first password of an account with a verified address by a one-time password', async () => {
    await insertPerson(service, { email, verified: true });
    const checked = expectMember(await signInBy(email, await makeCode(email)), 'CheckOneTimePasswordSuccess');
    const session = person(service, checked.user, checked.tokens);
    await expectUnproved(session, { newPassword });
    expectMember(await session.changePassword({ newPassword, currentPassword: '' }), 'InvalidCredentialsError');
    const again = await session.checkOneTimePassword(tokenOf(email), await makeCode(email));
    assert.equal(expectMember(again, 'CheckOneTimePasswordSuccess').tokens, null);
    assert.equal((await change(session, { newPassword })).hasUsablePassword, true);
    await expectPassword(email, newPassword);
  });

  test('completes one of ten concurrent changes', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const candidates = Array.from({ length: 10 }, (_, index) => `${newPassword} ${index}`);
    const results = await Promise.all(
      candidates.map((candidate) => alice.changePassword({ currentPassword: password, newPassword: candidate })),
    );
    const changed = candidates.filter((_, index) => results[index]!.__typename === 'ChangePasswordSuccess');
    assert.equal(changed.length, 1);
    await expectPassword('alice', changed[0]!);
  });

  test('rejects anonymous callers', async () => {
    await expectError(anonymous.changePassword({ currentPassword: password, newPassword }), 'UNAUTHENTICATED');
  });
});

describe('setUserPassword', () => {
  const set = async (by: Person, id: string, chosen = newPassword) =>
    expectMember(await by.setUserPassword(id, chosen), 'SetUserPasswordSuccess').user;

  test('sets the password of another user, and revokes all sessions of that user', async () => {
    const [root, alice] = await insertPeople(service, [superuser, { username: 'alice', hasPassword: true }]);
    const other = await signIn(service, { username: 'alice', password });
    const user = await set(root, alice.id);
    assert.deepEqual([user.id, user.hasUsablePassword, user.sessions], [alice.id, true, []]);
    await expectEnded(alice, other);
    assert.equal(await root.isSignedIn(), true);
    await expectPassword('alice', newPassword);
  });

  test('sets the password of an account without one, and of staff', async () => {
    const [root, alice, staff] = await insertPeople(service, [
      superuser,
      { username: 'alice' },
      { username: 'staff', role: 'staff' },
    ]);
    for (const { id } of [alice, staff]) await set(root, id);
    for (const username of ['alice', 'staff']) await expectPassword(username, newPassword);
  });

  test('is NotFoundError for another superuser, whose password stays', async () => {
    const [root, second] = await insertPeople(service, [
      superuser,
      { username: 'second', hasPassword: true, role: 'superuser' },
    ]);
    expectMember(await root.setUserPassword(second.id, newPassword), 'NotFoundError');
    assert.equal(await second.isSignedIn(), true);
    await expectPassword('second', password);
  });

  test('scores the password with the identifiers of the target user', async () => {
    const [root, alice, bob] = await insertPeople(service, [
      superuser,
      { email, hasPassword: true },
      { username: 'bob' },
    ]);
    for (const [typed, code] of [...refused, [similar, 'TOO_SIMILAR']] as const)
      assert.deepEqual(issuesOf(await root.setUserPassword(alice.id, typed)), [`newPassword ${code}`]);
    assert.equal(await alice.isSignedIn(), true);
    await set(root, bob.id, similar);
  });
});

describe('resetPassword', () => {
  /** Returns a user with a verified email, and the one-time password that was sent there. */
  async function ask(): Promise<{ alice: Person; code: string }> {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    return { alice, code: await makeCode(email, 'PASSWORD_RESET') };
  }

  async function expectFailures(alice: Person, count: number): Promise<void> {
    assert.equal((await alice.me()).securityTokens[0]!.failureCount, count);
  }

  test('sets the password, revokes every session and opens one', async () => {
    const { alice, code } = await ask();
    const other = await signIn(service, { username: 'alice', password });
    // A check for another purpose does not consume it.
    expectMember(await signInBy(email, code), 'InvalidOneTimePasswordError');
    const { user, tokens } = await reset(email, code.toLowerCase());
    assert.equal(user.id, alice.id);
    assert.deepEqual(
      user.sessions.map(({ current }) => current),
      [true],
    );
    assert.deepEqual(tokens.session.authenticationMethods, ['EMAIL_ONE_TIME_PASSWORD']);
    await expectEnded(alice, other);
    const session = person(service, user, tokens);
    await expectUnproved(session, { newPassword: `${newPassword} 2` });
    await change(session, { newPassword: `${newPassword} 2`, currentPassword: newPassword });
    await expectPassword('alice', `${newPassword} 2`);
  });

  test('works by phone like by email', async () => {
    await insertPerson(service, { phone, hasPassword: true, verified: true });
    const { tokens } = await reset(phone, await makeCode(phone, 'PASSWORD_RESET'));
    assert.deepEqual(tokens.session.authenticationMethods, ['PHONE_ONE_TIME_PASSWORD']);
    await expectPassword(phone, newPassword);
  });

  test('consumes the one-time password, and rejects every attempt if none is valid', async () => {
    const { code } = await ask();
    await reset(email, code);
    for (const typed of [code, '', 'null', 'undefined', '0']) {
      await expectVoid(email, typed, `${newPassword} 2`, typed);
      await advance(service, 16);
    }
    await expectPassword('alice', newPassword);
  });

  test('rejects an expired one-time password', async () => {
    const { code } = await ask();
    await advance(service, 600);
    await expectVoid(email, code);
    await expectPassword('alice', password);
  });

  test('rejects an invalid new password before it compares the one-time password', async () => {
    const { alice, code } = await ask();
    for (const [typed, issue] of refused)
      for (const oneTimePassword of [code, 'WRONG'])
        assert.deepEqual(issuesOf(await resetBy(email, oneTimePassword, typed)), [`newPassword ${issue}`]);
    await expectFailures(alice, 0);
    await expectVoid(email, 'WRONG');
    // Also before the rate limit.
    for (const [typed, issue] of refused)
      assert.deepEqual(issuesOf(await resetBy(email, code, typed)), [`newPassword ${issue}`]);
    await advance(service, 1);
    await reset(email, code);
  });

  test('clears the failure count after a success', async () => {
    const { alice, code } = await ask();
    await expectVoid(email, 'WRONG');
    await expectFailures(alice, 1);
    await advance(service, 1);
    const { failureCount, retryAt, expiresAt } = (await reset(email, code)).user.securityTokens[0]!;
    assert.deepEqual([failureCount, retryAt, expiresAt], [0, null, null]);
  });

  test('counts and consumes nothing for a password that is too similar to the user', async () => {
    const { alice, code } = await ask();
    await expectVoid(email, 'WRONG', similar, 'the similarity shows only with the right one-time password');
    await advance(service, 1);
    for (let round = 0; round < 3; round += 1)
      assert.deepEqual(issuesOf(await resetBy(email, code, similar)), ['newPassword TOO_SIMILAR']);
    await expectFailures(alice, 1);
    await expectVoid(email, 'WRONG');
    expectWait(await resetBy(email, code), 2, 2);
    await advance(service, 2);
    await reset(email, code);
  });

  test('revokes the earlier password and sessions if it is the first verification of the account', async () => {
    const stranger = await insertPerson(service, { username: 'mallory', email, phone, hasPassword: true });
    const other = await signIn(service, { username: 'mallory', password });
    const strangersCode = await makeCode(phone, 'PASSWORD_RESET');

    const { user } = await reset(email, await makeCode(email, 'PASSWORD_RESET'));
    const addresses = [user.emailVerified, user.phone, user.pendingPhone];
    assert.deepEqual([user.id, ...addresses], [stranger.id, true, null, null]);
    await expectEnded(stranger, other);
    const before = (await service.app.outbox()).length;
    await anonymous.sendOneTimePassword(tokenOf(phone));
    assert.equal((await service.app.outbox()).length, before, 'nobody holds the phone');
    // The phone left the account, so its reader gets one of their own.
    const own = (await reset(phone, strangersCode)).user;
    assert.deepEqual([own.id !== stranger.id, own.phone, own.phoneVerified], [true, phone, true]);
    await expectPassword('mallory', newPassword);
  });

  async function expectNothingSentTo(...addresses: string[]): Promise<void> {
    const before = (await service.app.outbox()).length;
    for (const address of addresses) await anonymous.sendOneTimePassword(tokenOf(address), 'PASSWORD_RESET');
    assert.equal((await service.app.outbox()).length, before);
  }

  test('requires a verified address of staff and superusers', async () => {
    const [root, staff] = await insertPeople(service, [superuser, { email, hasPassword: true, verified: true }]);
    const code = await makeCode(email, 'PASSWORD_RESET');
    await root.updateUser({ isStaff: true }, { id: staff.id });
    await expectVoid(email, code);
    await root.updateUser({ email: 'root@a.test' });
    await expectNothingSentTo('root@a.test');
    await advance(service, 1);
    await reset(email, await makeCode(email, 'PASSWORD_RESET'));
  });

  describe('drops what whoever took the account over may have added', () => {
    const day = 86_400;

    /** Returns an account whose email is ten days old, and whose phone was verified `days` ago. */
    async function withPhoneOf(days: number): Promise<Person> {
      const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
      await advance(service, (10 - days) * day);
      expectMember(await alice.updateUser({ phone }, { currentPassword: password }), 'UpdateUserSuccess');
      await verifyAddress(alice, phone);
      await advance(service, days * day);
      return alice;
    }

    test('an address that is younger than seven days and than the one that it proves', async () => {
      await withPhoneOf(6.9);
      const { user } = await reset(email, await makeCode(email, 'PASSWORD_RESET'));
      assert.deepEqual([user.email, user.phone, user.securityTokens.length], [email, null, 1]);
      assert.equal(await signsIn(service, phone, newPassword), false);
    });

    test('and neither an older address, nor one that is as old as the one that it proves', async () => {
      await withPhoneOf(7.1);
      const { user } = await reset(email, await makeCode(email, 'PASSWORD_RESET'));
      assert.equal(user.phone, phone);
      const bob = await insertPerson(service, { email: 'bob@a.test', phone: '+12025550102', verified: true });
      const ofBob = await reset('bob@a.test', await makeCode('bob@a.test', 'PASSWORD_RESET'));
      assert.deepEqual([ofBob.user.id, ofBob.user.phoneVerified], [bob.id, true]);
    });

    test('and not the older address of an account if the younger one proves the reset', async () => {
      await withPhoneOf(1);
      const { user } = await reset(phone, await makeCode(phone, 'PASSWORD_RESET'));
      assert.deepEqual([user.email, user.emailVerified, user.phone], [email, true, phone]);
    });
  });

  test('rejects an inactive account', async () => {
    const { alice, code } = await ask();
    const root = await insertPerson(service, superuser);
    await root.updateUser({ isActive: false }, { id: alice.id });
    await expectVoid(email, code);
    await root.updateUser({ isActive: true }, { id: alice.id });
    await expectPassword('alice', password);
  });

  test('rejects any other one-time password and malformed values', async () => {
    const { code } = await ask();
    await insertPerson(service, { email: 'bob@a.test', verified: true });
    const others = {
      VERIFICATION: await makeCode(email, 'VERIFICATION'),
      AUTHENTICATION: await makeCode(email),
      'another’s': await makeCode('bob@a.test', 'PASSWORD_RESET'),
      empty: '',
      'empty but for what does not count': ' - -',
    };
    for (const [what, typed] of Object.entries(others)) {
      await expectVoid(email, typed, newPassword, what);
      await advance(service, 16);
    }
    for (const noText of [undefined, null, 0, 12345678, true, [code, code], { code }] as unknown as string[])
      await expectError(resetBy(email, noText), 'BAD_USER_INPUT', JSON.stringify(noText));
    await expectPassword('alice', password);
  });
});
