/** Recent authentication and fresh proof: what needs them, what gives them, and for how long. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectError, expectMember, expectWait } from '../support/client.js';
import type { UpdateUserInput } from '../support/generated/graphql.js';
import {
  byAddress,
  type Caller,
  caller,
  insertPeople,
  insertPerson,
  type Person,
  type PersonRow,
  password,
  person,
  signIn,
} from '../support/people.js';
import { advance, clear, rows, startService } from '../support/service.js';

const service = await startService();
const { db } = service.app;
const { tokenOf, makeCode, check, signInBy, verifyAddress } = byAddress(service);
const [email, newEmail, phone, newPhone] = ['alice@a.test', 'new@a.test', '+12025550101', '+12025550102'];
const newPassword = 'another horse battery';
const [hour, day] = [3_600, 86_400];
const superuser = { username: 'root', hasPassword: true, role: 'superuser' } as const;

beforeEach(async () => {
  // Codes for new addresses are sent in the background. They must not arrive in the next test.
  await service.app.outbox();
  await clear(service);
});

/** Inserts an account that is a day old, so that its password and addresses give proof. */
async function insertOld(row: PersonRow): Promise<Person> {
  const owner = await insertPerson(service, row);
  await advance(service, day);
  return owner;
}

/** Inserts an account whose email was verified three days ago, and the phone two days ago. */
async function insertWithBoth(row: PersonRow = {}): Promise<Person> {
  const owner = await insertOld({ username: 'alice', email, phone, verified: true, ...row });
  await db.execute(sql`update security_tokens set verified_at = verified_at - make_interval(days => case kind
    when 'email' then 2 else 1 end)`);
  return owner;
}

const prove = async (by: Caller, typed = password) =>
  expectMember(await by.reauthenticate(typed), 'ReauthenticateSuccess');

const proveBy = async (by: Caller, address: string) =>
  expectMember(await check(by, address, await makeCode(address)), 'CheckOneTimePasswordSuccess');

/** Asserts that authentication is missing, and what the error lists as usable. */
async function expectStepUp(
  asked: Promise<{ __typename: string }>,
  usable: { password: boolean; addresses: string[] },
  what?: string,
): Promise<void> {
  const { message: _, ...facts } = expectMember(await asked, 'StepUpRequiredError', what) as unknown as Step;
  assert.deepEqual(
    { ...facts, securityTokens: facts.securityTokens.map(({ id }) => id) },
    {
      __typename: 'StepUpRequiredError',
      code: 'STEP_UP_REQUIRED',
      acr: 'aal1',
      maxAgeSeconds: 600,
      passkey: false,
      password: usable.password,
      securityTokens: usable.addresses.map(tokenOf),
    },
    what,
  );
}

interface Step {
  message: string;
  securityTokens: { id: string }[];
}

const update = async (by: Person, input: UpdateUserInput, proof?: Parameters<Person['updateUser']>[1]) =>
  expectMember(await by.updateUser(input, proof), 'UpdateUserSuccess').user;

/** Changes that need fresh proof, and of two addresses those whose code gives it. */
const changes: Record<string, { ask: (by: Person) => Promise<{ __typename: string }>; by: string[] }> = {
  'a change of the email': { ask: (by) => by.updateUser({ email: newEmail }), by: [email] },
  'a removal of the email': { ask: (by) => by.updateUser({ email: null }), by: [email] },
  'a change of the phone': { ask: (by) => by.updateUser({ phone: newPhone }), by: [email, phone] },
  'a removal of the phone': { ask: (by) => by.updateUser({ phone: null }), by: [email, phone] },
  'a change of both addresses': {
    ask: (by) => by.updateUser({ email: newEmail, phone: newPhone }),
    by: [email],
  },
  'a change of the password': { ask: (by) => by.changePassword({ newPassword }), by: [] },
  'a deletion': { ask: (by) => by.deleteUser(), by: [email] },
};

describe('fresh proof', () => {
  for (const [change, { ask, by }] of Object.entries(changes)) {
    test(`of the password permits ${change}, and the error lists what does`, async () => {
      const alice = await insertWithBoth({ hasPassword: true });
      const before = await alice.me();
      await expectStepUp(ask(alice), { password: true, addresses: by });
      assert.deepEqual(await alice.me(), before);
      await prove(alice);
      assert.match((await ask(alice)).__typename, /Success$/);
    });

    test(`of ${by.join(' or ') || 'no address'} permits ${change}`, async () => {
      const alice = await insertWithBoth({ hasPassword: true });
      for (const address of [phone, email]) {
        await proveBy(alice, address);
        if (!by.includes(address)) await expectStepUp(ask(alice), { password: true, addresses: by }, address);
        // The first that suffices makes the change.
        else return assert.match((await ask(alice)).__typename, /Success$/, address);
      }
      return undefined;
    });
  }

  test('of any address permits the first password, and an address of another kind', async () => {
    const alice = await insertWithBoth();
    await expectStepUp(alice.changePassword({ newPassword }), { password: false, addresses: [email, phone] });
    await proveBy(alice, phone);
    expectMember(await alice.changePassword({ newPassword }), 'ChangePasswordSuccess');
    const bob = await insertOld({ email: 'bob@a.test', verified: true });
    await expectStepUp(bob.updateUser({ phone: newPhone }), { password: false, addresses: ['bob@a.test'] });
    await proveBy(bob, 'bob@a.test');
    assert.equal((await update(bob, { phone: newPhone })).pendingPhone, newPhone);
  });

  test('of an older address stays while a younger one is proven too', async () => {
    const alice = await insertWithBoth();
    for (const address of [email, phone]) await proveBy(alice, address);
    await update(alice, { email: newEmail });
  });

  test('lasts ten minutes: 590 seconds but not 601', async () => {
    const alice = await insertWithBoth({ hasPassword: true });
    for (const give of [() => prove(alice), () => proveBy(alice, email)]) {
      await give();
      await advance(service, 590);
      await update(alice, { email: newEmail });
      await advance(service, 11);
      expectMember(await alice.updateUser({ email: newEmail }), 'StepUpRequiredError');
    }
  });

  test('is given in the session that uses it', async () => {
    const alice = await insertOld({ username: 'alice', email, hasPassword: true, verified: true });
    const other = await signIn(service, { username: 'alice', password });
    await prove(alice);
    await proveBy(alice, email);
    expectMember(await other.updateUser({ phone }), 'StepUpRequiredError');
    await update(alice, { phone });
  });

  test('is given after the session was opened: a sign-in by password or by code gives none', async () => {
    await insertOld({ username: 'alice', email, hasPassword: true, verified: true });
    const byPassword = await signIn(service, { username: 'alice', password });
    const { user, tokens } = await proveBy(caller(service), email);
    for (const session of [byPassword, person(service, user, tokens)])
      expectMember(await session.updateUser({ phone }), 'StepUpRequiredError');
    const reset = await byAddress(service).resetBy(email, await makeCode(email, 'PASSWORD_RESET'));
    const afterReset = expectMember(reset, 'ResetPasswordSuccess');
    const session = person(service, afterReset.user, afterReset.tokens);
    await expectStepUp(session.updateUser({ phone }), { password: false, addresses: [email] });
  });

  test('of a password needs it to be a day old', async () => {
    const alice = await insertOld({ username: 'alice', phone, hasPassword: true });
    const changed = await alice.changePassword({ currentPassword: password, newPassword });
    expectMember(changed, 'ChangePasswordSuccess');
    await advance(service, 601);
    const nothing = { password: false, addresses: [] };
    await expectStepUp(alice.reauthenticate(newPassword), nothing);
    await expectStepUp(alice.updateUser({ email }, { currentPassword: newPassword }), nothing);
    // It is recent authentication nevertheless.
    await update(alice, { username: 'alicia' });
    await advance(service, day - 601);
    await prove(alice, newPassword);
    await update(alice, { email });
  });

  test('of an address needs it to be verified for a day', async () => {
    const alice = await insertOld({ email, hasPassword: true, verified: true });
    await prove(alice);
    await update(alice, { phone });
    await verifyAddress(alice, phone);
    await advance(service, 601);
    await proveBy(alice, phone);
    await expectStepUp(alice.updateUser({ phone: newPhone }), { password: true, addresses: [email] });
    await advance(service, day - 601);
    await expectStepUp(alice.updateUser({ phone: newPhone }), { password: true, addresses: [email, phone] });
    await proveBy(alice, phone);
    await update(alice, { phone: newPhone });
  });

  test('needs no age of what the account got in its first hour', async () => {
    const alice = await insertPerson(service, { username: 'alice', email });
    await advance(service, hour - 60);
    await verifyAddress(alice, email);
    expectMember(await alice.changePassword({ newPassword }), 'ChangePasswordSuccess');
    await advance(service, 661);
    await expectStepUp(alice.updateUser({ phone }), { password: true, addresses: [email] });
    await proveBy(alice, email);
    await update(alice, { phone });
    await advance(service, 601);
    await prove(alice, newPassword);
    await update(alice, { phone: newPhone });
  });

  test('is not needed in the session of the sign-up in the first hour, and is in any other', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const other = await signIn(service, { username: 'alice', password });
    const usable = { password: true, addresses: [] };
    for (const seconds of [0, hour - 10]) {
      await advance(service, seconds);
      await expectStepUp(other.updateUser({ phone }), usable);
      await update(alice, { phone: seconds === 0 ? phone : newPhone });
    }
    await advance(service, 11);
    await expectStepUp(alice.updateUser({ phone }), usable);
  });

  test('is not needed for an account with neither a password nor a verified address', async () => {
    const [bare, reserved] = await insertPeople(service, [{ username: 'bare' }, { email }]);
    await advance(service, day);
    assert.equal((await update(bare, { phone })).pendingPhone, phone);
    expectMember(await bare.changePassword({ newPassword }), 'ChangePasswordSuccess');
    expectMember(await bare.deleteUser(), 'StepUpRequiredError', 'it has a password now');
    expectMember(await reserved.deleteUser(), 'DeleteUserSuccess');
  });

  test('is not given by the code of a pending address', async () => {
    const alice = await insertOld({ username: 'alice', email, verified: true });
    await proveBy(alice, email);
    await update(alice, { phone });
    await advance(service, 601);
    await verifyAddress(alice, phone);
    expectMember(await alice.updateUser({ username: 'alicia' }), 'StepUpRequiredError', 'nor recent authentication');
    expectMember(await alice.updateUser({ phone: null }), 'StepUpRequiredError');
  });

  test('is not needed for a change that changes nothing', async () => {
    const alice = await insertOld({ username: 'alice', email, hasPassword: true, verified: true });
    assert.equal((await update(alice, {})).email, email);
  });
});

describe('the current password', () => {
  const inline: Record<string, (by: Person, currentPassword: string) => Promise<{ __typename: string }>> = {
    updateUser: (by, currentPassword) => by.updateUser({ phone }, { currentPassword }),
    changePassword: (by, currentPassword) => by.changePassword({ currentPassword, newPassword }),
    deleteUser: (by, currentPassword) => by.deleteUser({ currentPassword }),
  };

  for (const [operation, ask] of Object.entries(inline))
    test(`gives proof in ${operation}, and a wrong one is InvalidCredentialsError`, async () => {
      const alice = await insertOld({ username: 'alice', hasPassword: true });
      expectMember(await ask(alice, 'wrong'), 'InvalidCredentialsError');
      expectWait(await ask(alice, password), 1, 1);
      await advance(service, 1);
      assert.match((await ask(alice, password)).__typename, /Success$/);
    });

  test('that is wrong is refused in reauthenticate, and where no proof is needed', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    expectMember(await alice.reauthenticate('wrong'), 'InvalidCredentialsError');
    await advance(service, 1);
    expectMember(await alice.updateUser({ phone }, { currentPassword: 'wrong' }), 'InvalidCredentialsError');
    assert.equal((await alice.me()).pendingPhone, null);
  });

  test('gives proof for ten minutes', async () => {
    const alice = await insertOld({ username: 'alice', hasPassword: true });
    await update(alice, { phone }, { currentPassword: password });
    await advance(service, 590);
    await update(alice, { email });
    await advance(service, 11);
    expectMember(await alice.updateUser({ email: newEmail }), 'StepUpRequiredError');
  });

  test('clears its count of failures', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const address of [phone, newPhone]) {
      expectMember(await alice.reauthenticate('wrong'), 'InvalidCredentialsError');
      expectWait(await alice.updateUser({ phone: address }, { currentPassword: password }), 1, 1);
      await advance(service, 1);
      await update(alice, { phone: address }, { currentPassword: password });
    }
  });

  test('is compared once if it is wrong fifty times at once', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    // The next failure then causes a wait beyond the duration of fifty responses.
    for (const wait of [1, 2, 4, 8]) {
      expectMember(await alice.reauthenticate('wrong'), 'InvalidCredentialsError');
      await advance(service, wait);
    }
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        index % 2 === 0 ? alice.reauthenticate('wrong') : alice.updateUser({ phone }, { currentPassword: 'wrong' }),
      ),
    );
    const count = (name: string) => results.filter(({ __typename }) => __typename === name).length;
    assert.deepEqual([count('InvalidCredentialsError'), count('TimeoutError')], [1, 49]);
  });

  test('does not exist for an account without a password, not even as the empty text', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    for (const currentPassword of ['', password]) {
      expectMember(await alice.updateUser({ username: 'alicia' }, { currentPassword }), 'InvalidCredentialsError');
      await advance(service, hour);
      expectMember(await alice.reauthenticate(currentPassword), 'InvalidCredentialsError');
      await advance(service, hour);
    }
    assert.equal((await alice.me()).username, 'alice');
  });

  test('is checked for signed-in callers only', async () => {
    await expectError(caller(service).reauthenticate(password), 'UNAUTHENTICATED');
  });
});

describe('recent authentication', () => {
  test('suffices for a change of the username', async () => {
    const alice = await insertOld({ username: 'alice', email, hasPassword: true, verified: true });
    const usable = { password: true, addresses: [email] };
    for (const username of ['alicia', null]) await expectStepUp(alice.updateUser({ username }), usable);
    await update(alice, { username: 'one' }, { currentPassword: password });
    await update(alice, { username: 'two' });
    await advance(service, 601);
    await expectStepUp(alice.updateUser({ username: 'three' }), usable);
    await proveBy(alice, email);
    await update(alice, { username: 'three' });
    const byPassword = await signIn(service, { username: 'three', password });
    const checked = expectMember(await signInBy(email, await makeCode(email)), 'CheckOneTimePasswordSuccess');
    await advance(service, 590);
    await update(byPassword, { username: 'four' });
    await update(person(service, checked.user, checked.tokens), { username: null });
    await advance(service, 11);
    await expectStepUp(byPassword.updateUser({ username: 'alice' }), usable);
  });

  test('lists reserved addresses too, because their codes sign in', async () => {
    const alice = await insertOld({ username: 'alice', email, phone });
    await expectStepUp(alice.updateUser({ username: 'alicia' }), { password: false, addresses: [email, phone] });
    await proveBy(alice, email);
    await update(alice, { username: 'alicia' });
  });

  test('in another session does not count', async () => {
    const alice = await insertOld({ username: 'alice', phone, hasPassword: true });
    const there = await signIn(service, { username: 'alice', password });
    expectMember(await alice.updateUser({ username: 'alicia' }), 'StepUpRequiredError');
    await update(there, { username: 'alicia' });
  });

  test('is not enough to verify a pending address that replaces a verified one', async () => {
    const alice = await insertOld({ email, hasPassword: true, verified: true });
    await update(alice, { email: newEmail }, { currentPassword: password });
    await advance(service, 601);
    const there = await signIn(service, { email, password });
    const code = await makeCode(newEmail, 'VERIFICATION');
    const verification = () => check(there, newEmail, code, 'VERIFICATION');
    await expectStepUp(verification(), { password: true, addresses: [email] });
    assert.equal((await there.me()).email, email);
    await prove(there);
    expectMember(await verification(), 'CheckOneTimePasswordSuccess');
    assert.equal((await there.me()).email, newEmail);
  });

  test('is not enough for the username of an account without an address', async () => {
    const alice = await insertOld({ username: 'alice', hasPassword: true });
    const there = await signIn(service, { username: 'alice', password });
    await expectStepUp(there.updateUser({ username: 'alicia' }), { password: true, addresses: [] });
    await prove(there);
    await update(there, { username: 'alicia' });
    assert.equal((await there.me()).id, alice.id);
  });

  /** What staff and superusers do to another account. */
  const acts: Record<string, (by: Person, bob: Person) => Promise<{ __typename: string }>> = {
    'updateUser of an identifier': (by, { id }) => by.updateUser({ username: 'bobby' }, { id }),
    'updateUser of a role': (by, { id }) => by.updateUser({ isStaff: true }, { id }),
    'updateUser of isActive': (by, { id }) => by.updateUser({ isActive: false }, { id }),
    deleteUser: (by, { id }) => by.deleteUser({ id }),
    setUserPassword: (by, { id }) => by.setUserPassword(id, newPassword),
    generateOneTimePassword: (by, { emailToken }) => by.generateOneTimePassword(emailToken),
    unlockSecurityToken: (by, { emailToken }) => by.unlockSecurityToken(emailToken),
    revokeSession: (by, { tokens }) => by.revokeSession(tokens.session.id),
    revokeUserSessions: (by, { id }) => by.revokeUserSessions(id),
    createSuperuser: (by) => by.createSuperuser({ username: 'second' }),
  };

  for (const [act, ask] of Object.entries(acts))
    test(`is needed for ${act} of another user, by a superuser`, async () => {
      const [root, bob] = await insertPeople(service, [superuser, { email: 'bob@a.test', verified: true }]);
      await advance(service, 601);
      const before = await bob.me();
      await expectStepUp(ask(root, bob), { password: true, addresses: [] });
      assert.deepEqual(await bob.me(), before);
      await prove(root);
      assert.match((await ask(root, bob)).__typename, /Success$/);
    });

  test('is given by the current password in an operation on another user', async () => {
    const [root, bob] = await insertPeople(service, [superuser, { username: 'bob' }]);
    await advance(service, 601);
    const wrong = { id: bob.id, currentPassword: 'wrong' };
    expectMember(await root.updateUser({ username: 'bobby' }, wrong), 'InvalidCredentialsError');
    await advance(service, 1);
    const right = { id: bob.id, currentPassword: password };
    expectMember(await root.updateUser({ username: 'bobby' }, right), 'UpdateUserSuccess');
    await advance(service, 601);
    expectMember(await root.deleteUser(right), 'DeleteUserSuccess');
  });

  test('is needed by staff for an activation, and for no empty change', async () => {
    const staff = { username: 'staff', hasPassword: true, role: 'staff' } as const;
    const [by, bob] = await insertPeople(service, [staff, { username: 'bob' }]);
    await advance(service, 601);
    await expectStepUp(by.updateUser({ isActive: false }, { id: bob.id }), { password: true, addresses: [] });
    await update(by, {}, { id: bob.id });
    await prove(by);
    assert.equal((await update(by, { isActive: false }, { id: bob.id })).isActive, false);
  });

  test('does not replace fresh proof for changes of the superuser’s own account, with or without an ID', async () => {
    const root = await insertOld(superuser);
    const there = await signIn(service, { username: 'root', password });
    for (const id of [undefined, root.id, root.id.toUpperCase()]) {
      expectMember(await there.updateUser({ email }, { id }), 'StepUpRequiredError');
      expectMember(await there.deleteUser({ id }), 'StepUpRequiredError');
      expectMember(await root.updateUser({ username: 'other' }, { id }), 'StepUpRequiredError');
    }
    for (const id of [root.id, root.id.toUpperCase()])
      await expectError(there.setUserPassword(id, newPassword), 'FORBIDDEN');
    assert.equal((await root.me()).username, 'root');
  });
});

describe('a session that is revoked while its request is under way', () => {
  const setRevoked = (at: 'now()' | 'null') => db.execute(sql.raw(`update sessions set revoked_at = ${at}`));

  test('changes no password', async (t) => {
    const [root, alice] = await insertPeople(service, [superuser, { username: 'alice', hasPassword: true }]);
    const readUsers = () => rows(service, sql`select id, password_hash from users order by id`);
    const before = await readUsers();
    const hash = t.mock.method(service.app.passwords, 'hash', async () => {
      await setRevoked('now()');
      return 'no hash';
    });
    for (const ask of [
      () => alice.changePassword({ newPassword }),
      () => root.setUserPassword(alice.id, newPassword),
      () => root.createSuperuser({ username: 'second', password: newPassword }),
    ]) {
      await expectError(ask(), 'UNAUTHENTICATED');
      await setRevoked('null');
    }
    assert.equal(hash.mock.callCount(), 3);
    assert.deepEqual(await readUsers(), before);
  });

  test('gives no proof, and changes and deletes nothing', async (t) => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const before = await alice.me();
    const { passwords } = service.app;
    const { withHashingSlot } = passwords;
    const hash = t.mock.method(passwords, 'withHashingSlot', async (...work: Parameters<typeof withHashingSlot>) => {
      const result = await withHashingSlot(...work);
      await setRevoked('now()');
      return result;
    });
    for (const ask of [
      () => alice.reauthenticate(password),
      () => alice.updateUser({ phone }, { currentPassword: password }),
      () => alice.deleteUser({ currentPassword: password }),
    ]) {
      await expectError(ask(), 'UNAUTHENTICATED');
      await setRevoked('null');
    }
    assert.equal(hash.mock.callCount(), 3);
    assert.deepEqual(await alice.me(), before);
  });
});
