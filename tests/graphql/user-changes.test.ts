/** Changes and deletions of users, and the effects on their addresses and one-time passwords. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectError, expectMember, expectWait, issuesOf, outbox } from '../support/client.js';
import type { UpdateUserInput } from '../support/generated/graphql.js';
import { holdLock } from '../support/locks.js';
import {
  byAddress,
  caller,
  insertPeople,
  insertPerson,
  type Person,
  password,
  signIn,
  signsIn,
  signUp,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const [phone, otherPhone, thirdPhone] = ['+12025550101', '+12025550102', '+12025550103'];
const newPassword = 'another horse battery';
const superuser = { username: 'root', hasPassword: true, role: 'superuser' } as const;

/** An address of each kind, its replacement, and one more. */
const addresses = [
  { kind: 'email', pending: 'pendingEmail', of: ['old@a.test', 'new@b.test', 'next@c.test'] },
  { kind: 'phone', pending: 'pendingPhone', of: [phone, otherPhone, thirdPhone] },
] as const;

beforeEach(async () => {
  // Codes for new addresses are sent in the background. They must not arrive in the next test.
  await service.app.outbox();
  await clear(service);
});

const { tokenOf, makeCode, check, resetBy, verifyAddress } = byAddress(service);

async function update(by: Person, input: UpdateUserInput, proof?: Parameters<Person['updateUser']>[1]) {
  return expectMember(await by.updateUser(input, proof), 'UpdateUserSuccess').user;
}

async function countMessagesTo(address: string): Promise<number> {
  return (await outbox(service)).filter(({ to }) => to === address).length;
}

type Account = Awaited<ReturnType<Person['me']>>;
/** The pending and current addresses of an account, with their state. */
const tokensOf = ({ securityTokens }: Pick<Account, 'securityTokens'>) =>
  securityTokens.map(({ id, verified }) => [id, verified]);

describe('identifiers', () => {
  test('updateUser adds, changes and removes each identifier of the caller, and ignores absent fields', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const added = await update(alice, { email: 'Alice@A.test', phone: '(202) 555-0101' });
    const none = { email: null, phone: null, emailVerified: null, phoneVerified: null };
    const pending = { pendingEmail: 'Alice@a.test', pendingPhone: phone };
    assert.deepEqual(added, { ...added, username: 'alice', ...none, ...pending });
    assert.deepEqual(
      added.securityTokens.map(({ __typename, verified }) => `${__typename} ${verified}`),
      ['EmailToken false', 'PhoneToken false'],
    );

    const changed = await update(alice, { username: 'Ａlicia', email: 'alicia@a.test' });
    const { username, pendingEmail, pendingPhone } = changed;
    assert.deepEqual([username, pendingEmail, pendingPhone], ['Alicia', 'alicia@a.test', phone]);

    const removed = await update(alice, { username: null, phone: null });
    // A pending address identifies nobody.
    assert.match(removed.username ?? '', /^user-[a-z0-9]{10}$/);
    const left = { ...none, pendingEmail: 'alicia@a.test', pendingPhone: null };
    assert.deepEqual(removed, { ...removed, ...left });
    assert.equal(removed.securityTokens.length, 1);

    assert.equal(await signsIn(service, 'alicia@a.test', password), true);
    for (const identifier of ['alice', 'Alicia', 'alice@a.test', phone])
      assert.equal(await signsIn(service, identifier, password), false, identifier);
    for (const input of [{ username: 'alice' }, { email: 'alice@a.test' }, { phone }]) await signUp(service, input);
  });

  test('updateUser without a change returns the user, and requires no proof', async () => {
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', hasPassword: true });
    await advance(service, 3600);
    assert.equal((await update(alice, {})).email, 'alice@a.test');
  });

  const own = { username: 'alice', email: 'alice@a.test', phone };
  const others = { username: 'alicia', email: 'alicia@b.test', phone: otherPhone };

  for (const [field, value] of Object.entries(own))
    test(`updateUser does not remove the last identifier if it is a ${field}`, async () => {
      const alice = await insertPerson(service, { [field]: value, hasPassword: true });
      for (const input of [{ [field]: null }, { username: null, email: null, phone: null }])
        assert.deepEqual(issuesOf(await alice.updateUser(input)), ['null IDENTIFIER_REQUIRED']);
      assert.equal(await signsIn(service, value, password), true);
    });

  for (const [from, old] of Object.entries(own))
    for (const [to, other] of Object.entries(others).filter(([to]) => to !== from))
      test(`updateUser replaces the only identifier, a ${from}, by a ${to}`, async () => {
        const alice = await insertPerson(service, { [from]: old });
        const user = await update(alice, { [from]: null, [to]: other });
        const field = { username: 'username', email: 'pendingEmail', phone: 'pendingPhone' }[to]!;
        assert.deepEqual(user, { ...user, email: null, phone: null, [field]: other });
        // A pending address identifies nobody.
        if (to !== 'username') assert.match(user.username ?? '', /^user-[a-z0-9]{10}$/);
        assert.equal(user.securityTokens.length, to === 'username' ? 0 : 1);
        await signUp(service, { [from]: old });
      });

  test('updateUser reports all errors of all fields together, and changes nothing', async () => {
    const alice = await insertPerson(service, own);
    for (const [input, issues] of [
      [{ username: '', email: '', phone: '' }, ['username BLANK', 'email BLANK', 'phone BLANK']],
      [{ username: '1alice', email: 'alice', phone: '12' }, ['username INVALID', 'email INVALID', 'phone INVALID']],
      [{ username: 'a'.repeat(151), email: 'good@a.test', phone: ' ' }, ['username TOO_LONG', 'phone INVALID']],
    ] as const)
      assert.deepEqual(issuesOf(await alice.updateUser(input)), issues);
    const me = await alice.me();
    assert.deepEqual(me, { ...me, ...own });
  });

  test('updateUser reports taken identifiers in any spelling, and changes nothing', async () => {
    const bobs = { username: 'bob', email: 'bob@a.test', phone: otherPhone };
    const [alice] = await insertPeople(service, [own, bobs]);
    const taken = { username: 'ＢＯＢ', email: 'BOB@A.TEST', phone: '1 (202) 555-0102' };
    assert.deepEqual(issuesOf(await alice.updateUser(taken)), ['username TAKEN', 'email TAKEN', 'phone TAKEN']);
    for (const [field, value] of Object.entries(taken)) {
      const free = { username: 'free', email: 'free@a.test', phone: thirdPhone };
      // The caller's own identifiers are not reported with the taken one.
      for (const rest of [free, own])
        assert.deepEqual(issuesOf(await alice.updateUser({ ...rest, [field]: value })), [`${field} TAKEN`]);
    }
    const me = await alice.me();
    assert.deepEqual(me, { ...me, ...own });
  });

  test('updateUser limits these reports by client, like sign-ups', async () => {
    const limited = await startService({ SIGN_UPS_PER_HOUR: '3' });
    const [root, alice] = await insertPeople(limited, [
      superuser,
      { username: 'alice' },
      { username: 'bob', email: 'bob@a.test' },
    ]);
    const probe = (email: string) => alice.updateUser({ username: 'bob', email });
    for (const email of ['bob@a.test', 'nobody@a.test', 'bob@a.test'])
      expectMember(await probe(email), 'ValidationError');
    for (const email of ['bob@a.test', 'nobody@a.test']) expectWait(await probe(email), null);
    // Updates without a claim reveal nothing, and superusers see all users anyway.
    await update(alice, {});
    await update(root, { username: 'alicia' }, { id: alice.id });
  });

  test('a null Boolean is INVALID, reported with all other errors', async () => {
    const [root, bob] = await insertPeople(service, [superuser, { username: 'bob' }]);
    const input = { isActive: null, isStaff: null, isSuperuser: null, email: 'no address' };
    assert.deepEqual(issuesOf(await root.updateUser(input, { id: bob.id })), [
      'isActive INVALID',
      'isStaff INVALID',
      'isSuperuser INVALID',
      'email INVALID',
    ]);
  });
});

describe('addresses', () => {
  for (const { kind, pending, of } of addresses) {
    const [old, next, third] = of;
    const stateOf = (user: Account) => [user[kind], user[`${kind}Verified`], user[pending]];

    test(`a ${kind} that is verified while its change waits for a lock stays until the new one is verified`, async () => {
      const alice = await insertPerson(service, { [kind]: old });
      const verifying = await holdLock(service.app.config.databaseUrl!, 'select from users for update');
      await verifying.query('update users set first_verified_at = now()');
      await verifying.query('update security_tokens set verified_at = now()');
      const changing = update(alice, { [kind]: next });
      await verifying.awaited();
      await verifying.release();
      assert.deepEqual(stateOf(await changing), [old, true, next]);
    });

    test(`a reserved ${kind} stays until the new one is verified, and its one-time passwords outlive it`, async () => {
      const alice = await insertPerson(service, { username: 'alice', [kind]: old });
      const codes = {
        verification: await makeCode(old, 'VERIFICATION'),
        authentication: await makeCode(old),
        reset: await makeCode(old, 'PASSWORD_RESET'),
      };
      const user = await update(alice, { [kind]: next });
      assert.deepEqual(stateOf(user), [old, false, next]);
      assert.deepEqual(tokensOf(user), [
        [tokenOf(old), false],
        [tokenOf(next), false],
      ]);
      assert.deepEqual(issuesOf(await anonymous.createUser({ [kind]: old })), [`${kind} TAKEN`]);
      await verifyAddress(alice, next);
      assert.deepEqual(stateOf(await alice.me()), [next, true, null]);
      await expectError(check(alice, old, codes.verification, 'VERIFICATION'), 'FORBIDDEN');

      // What a mailbox was sent stays valid: nobody has the address, so its reader gets an account.
      const checked = await check(anonymous, old, codes.authentication);
      const reader = expectMember(checked, 'CheckOneTimePasswordSuccess').user;
      assert.notEqual(reader.id, alice.id);
      assert.deepEqual(stateOf({ ...alice, ...reader, sessions: [] }), [old, true, null]);
      expectMember(await resetBy(old, codes.reset), 'InvalidOneTimePasswordError');
    });

    test(`a verified ${kind} authenticates its user until the new one is verified and replaces it`, async () => {
      const alice = await insertPerson(service, { [kind]: old, hasPassword: true, verified: true });
      const user = await update(alice, { [kind]: next });
      assert.deepEqual(stateOf(user), [old, true, next]);
      assert.deepEqual(tokensOf(user), [
        [tokenOf(old), true],
        [tokenOf(next), false],
      ]);
      const checked = await check(anonymous, old, await makeCode(old));
      assert.equal(expectMember(checked, 'CheckOneTimePasswordSuccess').user.id, alice.id);
      assert.equal(await signsIn(service, old, password), true);
      assert.equal(await signsIn(service, next, password), true, 'the password works by the pending address too');
      assert.equal(await countMessagesTo(next), 1, 'its code for verification was sent at once');
      await anonymous.sendOneTimePassword(tokenOf(next));
      assert.equal(await countMessagesTo(next), 1, 'a pending address authenticates no user');

      const late = { code: await makeCode(old), reset: await makeCode(old, 'PASSWORD_RESET') };
      const told = await countMessagesTo(old);
      await verifyAddress(alice, next);
      const after = await alice.me();
      assert.deepEqual(stateOf(after), [next, true, null]);
      assert.deepEqual(tokensOf(after), [[tokenOf(next), true]]);
      assert.equal(await countMessagesTo(old), told + 1, 'the old address gets a notice');
      expectMember(await check(anonymous, old, late.code), 'InvalidOneTimePasswordError');
      expectMember(await resetBy(old, late.reset), 'InvalidOneTimePasswordError');
      await advance(service, 3600);
      await anonymous.sendOneTimePassword(tokenOf(old));
      assert.equal(await countMessagesTo(old), told + 1, 'the old address no longer authenticates its user');
      assert.equal(await signsIn(service, old, password), false);
      assert.equal(await signsIn(service, next, password), true);
      await signUp(service, { [kind]: old });
    });

    /** Returns a user with a verified address, a pending address, and its one-time password. */
    async function withPending(waiting: string = next): Promise<{ alice: Person; code: string }> {
      const alice = await insertPerson(service, { username: 'alice', [kind]: old, hasPassword: true, verified: true });
      await update(alice, { [kind]: waiting });
      return { alice, code: await makeCode(waiting, 'VERIFICATION') };
    }

    test(`a second pending ${kind} replaces the first, and voids its one-time password`, async () => {
      const { alice, code } = await withPending();
      const user = await update(alice, { [kind]: third });
      assert.deepEqual(stateOf(user), [old, true, third]);
      assert.equal(user.securityTokens.length, 2);
      await expectError(check(alice, next, code, 'VERIFICATION'), 'FORBIDDEN');
      await update(alice, { [kind]: next });
      expectMember(await check(alice, next, code, 'VERIFICATION'), 'InvalidOneTimePasswordError');
      await update(alice, { [kind]: third });
      await signUp(service, { [kind]: next });
      await verifyAddress(alice, third);
      assert.equal((await alice.me())[kind], third);
    });

    test(`setting the current ${kind} again cancels the pending one`, async () => {
      const { alice, code } = await withPending();
      const user = await update(alice, { [kind]: old });
      assert.deepEqual(stateOf(user), [old, true, null]);
      assert.deepEqual(tokensOf(user), [[tokenOf(old), true]]);
      await expectError(check(alice, next, code, 'VERIFICATION'), 'FORBIDDEN');
      await signUp(service, { [kind]: next });
    });

    test(`setting the pending ${kind} again changes nothing, and its one-time password stays valid`, async () => {
      const { alice, code } = await withPending();
      await update(alice, { [kind]: next });
      const checked = await check(alice, next, code, 'VERIFICATION');
      const { user, tokens } = expectMember(checked, 'CheckOneTimePasswordSuccess');
      assert.deepEqual([user[kind], tokens], [next, null]);
    });

    test(`removing a ${kind} removes its pending replacement, and sends a notice to the address`, async () => {
      const { alice, code } = await withPending();
      const oldCode = await makeCode(old);
      const told = await countMessagesTo(old);
      const user = await update(alice, { [kind]: null });
      assert.deepEqual([...stateOf(user), user.securityTokens], [null, null, null, []]);
      assert.equal(await countMessagesTo(old), told + 1);
      expectMember(await check(anonymous, old, oldCode), 'InvalidOneTimePasswordError');
      await expectError(check(alice, next, code, 'VERIFICATION'), 'FORBIDDEN');
      for (const address of [old, next]) await signUp(service, { [kind]: address });
    });
  }

  test('the same email in another spelling stays verified, and its one-time password stays valid', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test', verified: true });
    const code = await makeCode('alice@a.test');
    const user = await update(alice, { email: 'ALICE@A.TEST' });
    assert.deepEqual([user.email, user.emailVerified, user.pendingEmail], ['ALICE@a.test', true, null]);
    assert.match(user.securityTokens[0]!.name, /^AL/);
    const checked = await check(anonymous, 'alice@a.test', code);
    assert.equal(expectMember(checked, 'CheckOneTimePasswordSuccess').user.id, alice.id);
    await anonymous.sendOneTimePassword(tokenOf('alice@a.test'));
    assert.equal(await countMessagesTo('ALICE@a.test'), 1, 'messages go to the stored address');
  });

  test('the same phone in another format and the same username in another case change nothing', async () => {
    const alice = await insertPerson(service, { username: 'alice', phone, verified: true });
    const user = await update(alice, { username: 'ALICE', phone: '(202) 555 0101' });
    assert.deepEqual([user.username, user.phone, user.phoneVerified, user.pendingPhone], ['ALICE', phone, true, null]);
  });

  test('the pending email in another spelling is verified in that spelling', async () => {
    const alice = await insertPerson(service, { email: 'old@a.test', verified: true });
    await update(alice, { email: 'new@b.test' });
    const { email, pendingEmail } = await update(alice, { email: 'New@B.test' });
    assert.deepEqual([email, pendingEmail], ['old@a.test', 'New@b.test']);
    await verifyAddress(alice, 'New@b.test');
    assert.equal((await alice.me()).email, 'New@b.test');
  });

  test('a pending email and a pending phone are verified independently', async () => {
    const alice = await insertPerson(service, { email: 'old@a.test', phone, verified: true });
    const { pendingEmail, pendingPhone } = await update(alice, { email: 'new@b.test', phone: otherPhone });
    assert.deepEqual([pendingEmail, pendingPhone], ['new@b.test', otherPhone]);
    await verifyAddress(alice, 'new@b.test');
    const after = await alice.me();
    assert.deepEqual([after.email, after.phone, after.pendingPhone], ['new@b.test', phone, otherPhone]);
    await verifyAddress(alice, otherPhone);
    assert.equal((await alice.me()).phone, otherPhone);
  });
});

describe('roles', () => {
  test('callers cannot change their own state or roles, with or without their ID', async () => {
    const rows = [{ username: 'alice' }, { username: 'bob', role: 'staff' }, superuser] as const;
    for (const person of await insertPeople(service, rows)) {
      const before = await person.me();
      for (const flag of ['isActive', 'isStaff', 'isSuperuser'])
        for (const value of [true, false, null])
          for (const id of [undefined, null, person.id, person.id.toUpperCase()]) {
            const asked = person.updateUser({ [flag]: value, username: 'other' }, { id });
            await expectError(asked, 'FORBIDDEN', `${id} ${flag} ${value}`);
          }
      assert.deepEqual(await person.me(), before);
    }
  });

  test('a superuser changes identifiers of others by the same rules', async () => {
    const [root, alice] = await insertPeople(service, [superuser, { email: 'alice@a.test', phone }]);
    await verifyAddress(alice, 'alice@a.test');
    assert.equal((await alice.me()).pendingPhone, phone);
    const user = await update(root, { username: 'alicia', email: 'new@b.test', phone: otherPhone }, { id: alice.id });
    const changed = { username: 'alicia', email: 'alice@a.test', pendingEmail: 'new@b.test' };
    assert.deepEqual(user, { ...user, ...changed, phone: null, pendingPhone: otherPhone });
    assert.deepEqual([await countMessagesTo('new@b.test'), await countMessagesTo(otherPhone)], [0, 0]);
  });

  test('a role requires a verified address and no pending one; its removal requires neither', async () => {
    const [root, bare, reserved, waiting, owned] = await insertPeople(service, [
      superuser,
      { username: 'bare', hasPassword: true },
      { email: 'reserved@a.test' },
      { email: 'waiting@a.test', verified: true },
      { email: 'owned@a.test', verified: true },
    ]);
    await update(waiting, { phone });
    for (const { id } of [bare, reserved, waiting]) {
      const refused = await root.updateUser({ isStaff: true, isSuperuser: true }, { id });
      assert.deepEqual(issuesOf(refused), ['isStaff NOT_VERIFIED', 'isSuperuser NOT_VERIFIED']);
    }
    await update(root, { isStaff: true }, { id: owned.id });
    await update(owned, { phone: otherPhone });
    assert.equal((await update(root, { isStaff: false }, { id: owned.id })).isStaff, false);
    await verifyAddress(waiting, phone);
    assert.equal((await update(root, { isStaff: true }, { id: waiting.id })).isStaff, true);
  });
});

describe('the last verified address', () => {
  const email = 'alice@a.test';
  const refuse = async (by: Person, input: UpdateUserInput, id?: string) =>
    assert.equal((await by.updateUser(input, { id })).__typename, 'LastCredentialError', JSON.stringify(input));

  test('stays unless a username with a password remains', async () => {
    const [root, alice, bob] = await insertPeople(service, [
      superuser,
      { username: 'alice', email, phone, verified: true },
      { username: 'bob', email: 'bob@a.test', hasPassword: true, verified: true },
    ]);
    await refuse(alice, { email: null, phone: null });
    await update(alice, { phone: null });
    for (const by of [alice, root]) await refuse(by, { email: null }, alice.id);
    assert.equal((await alice.me()).emailVerified, true);
    await refuse(bob, { username: null, email: null, phone: otherPhone });
    await update(bob, { email: null });
    assert.equal(await signsIn(service, 'bob', password), true);
  });

  test('is not replaced by a pending one', async () => {
    const alice = await insertPerson(service, { email, hasPassword: true, verified: true });
    await update(alice, { phone });
    await refuse(alice, { email: null });
    await verifyAddress(alice, phone);
    assert.equal((await update(alice, { email: null })).phoneVerified, true);
  });
});

describe('deleteUser', () => {
  test('deletes sessions, tokens and one-time passwords with the account, and releases its identifiers', async () => {
    const identifiers = { username: 'alice', email: 'alice@a.test', phone };
    const alice = await insertPerson(service, { ...identifiers, hasPassword: true });
    const elsewhere = await signIn(service, { phone, password });
    await verifyAddress(alice, 'alice@a.test');
    await update(alice, { email: 'pending@a.test' });
    const code = await makeCode('alice@a.test');
    const told = await countMessagesTo('alice@a.test');

    expectMember(await alice.deleteUser(), 'DeleteUserSuccess');
    for (const session of [alice, elsewhere]) assert.equal(await session.isSignedIn(), false);
    assert.equal(await signsIn(service, phone, password), false);
    assert.deepEqual(await anonymous.securityTokens('alice'), []);
    assert.equal(await countMessagesTo('alice@a.test'), told + 1, 'the verified address gets a notice');
    assert.equal(await countMessagesTo(phone), 0, 'an unverified address gets no notice');

    const next = await signUp(service, identifiers);
    assert.notEqual(next.id, alice.id);
    assert.deepEqual([next.account.emailVerified, next.account.hasUsablePassword], [false, false]);
    expectMember(await check(anonymous, 'alice@a.test', code), 'InvalidOneTimePasswordError');
    await signUp(service, { email: 'pending@a.test' });
  });

  test('the failure count of an address outlives the account, so a deletion permits no new attempts', async () => {
    const email = 'alice@a.test';
    const alice = await insertPerson(service, { email });
    expectMember(await check(anonymous, email, 'WRONG'), 'InvalidOneTimePasswordError');
    const { retryAt } = await check(anonymous, email, 'WRONG');
    await alice.deleteUser();
    assert.equal((await check(anonymous, email, 'WRONG')).retryAt, retryAt);
    const next = await signUp(service, { email });
    assert.equal(next.emailToken, alice.emailToken);
    const [shown] = next.account.securityTokens;
    assert.deepEqual([shown!.failureCount, shown!.retryAt], [1, retryAt]);
  });

  test('the last active superuser cannot be deleted, but one of two can', async () => {
    const [root, second] = await insertPeople(service, [superuser, { username: 'second', role: 'superuser' }]);
    await update(root, { isActive: false }, { id: second.id });
    for (const proof of [{}, { id: root.id }])
      assert.deepEqual(issuesOf(await root.deleteUser(proof)), ['null LAST_SUPERUSER']);
    await update(root, { isActive: true }, { id: second.id });
    expectMember(await root.deleteUser(), 'DeleteUserSuccess');
    const [last] = await insertPeople(service, [{ username: 'last', role: 'superuser' }]);
    expectMember(await last.deleteUser({ id: second.id }), 'DeleteUserSuccess');
    assert.deepEqual(issuesOf(await last.deleteUser()), ['null LAST_SUPERUSER']);
  });

  test('a superuser deletes other users and superusers', async () => {
    const [root, alice, second] = await insertPeople(service, [
      superuser,
      { email: 'alice@a.test' },
      { username: 'second', role: 'superuser' },
    ]);
    for (const { id } of [alice, second]) {
      assert.deepEqual(await root.deleteUser({ id }), { __typename: 'DeleteUserSuccess', id });
      expectMember(await root.deleteUser({ id }), 'NotFoundError');
      assert.equal(await root.user(id), null);
    }
  });
});

describe('valid one-time passwords', () => {
  const email = 'alice@a.test';
  const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;

  /** Events that void the one-time passwords of alice. Her email and phone have one per purpose. */
  const events: Record<string, (root: Person, alice: Person) => Promise<unknown>> = {
    'a change of password': (_, alice) => alice.changePassword({ currentPassword: password, newPassword }),
    'a password set by a superuser': (root, alice) => root.setUserPassword(alice.id, newPassword),
    'a password reset': async () => resetBy(email, await makeCode(email, 'PASSWORD_RESET')),
    'a change of the email': (_, alice) => alice.updateUser({ email: 'other@a.test' }),
    'a change of the phone': (_, alice) => alice.updateUser({ phone: otherPhone }),
    'a removal of the phone': (_, alice) => alice.updateUser({ phone: null }),
    'a change of role': (root, alice) => root.updateUser({ isStaff: true }, { id: alice.id }),
    'a deactivation': async (root, alice) => {
      await root.updateUser({ isActive: false }, { id: alice.id });
      return root.updateUser({ isActive: true }, { id: alice.id });
    },
  };

  const insertRootAndAlice = () =>
    insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, phone, hasPassword: true, verified: true },
    ]);

  async function makeLive() {
    const live = [];
    for (const address of [email, phone])
      for (const purpose of purposes) live.push({ address, purpose, code: await makeCode(address, purpose) });
    return live;
  }

  /** Tries each one-time password. @returns the members and the codes of top-level errors */
  async function tryAll(live: Awaited<ReturnType<typeof makeLive>>, currentPassword = password): Promise<string[]> {
    const alice = await signIn(service, { email, password: currentPassword });
    const outcomes = new Set<string>();
    for (const { address, purpose, code } of live) {
      const by = purpose === 'VERIFICATION' ? alice : anonymous;
      const tried = purpose === 'PASSWORD_RESET' ? resetBy(address, code) : check(by, address, code, purpose);
      outcomes.add(
        await tried.then(
          ({ __typename }) => __typename,
          ({ code }) => code,
        ),
      );
    }
    return [...outcomes];
  }

  test('stay valid without these events, and after a change of the username', async () => {
    const [, alice] = await insertRootAndAlice();
    const live = await makeLive();
    await update(alice, { username: 'alice' });
    const [forReset, others] = [true, false].map((is) =>
      live.filter((one) => (one.purpose === 'PASSWORD_RESET') === is),
    );
    assert.deepEqual(await tryAll(others!), ['CheckOneTimePasswordSuccess']);
    assert.deepEqual(await tryAll(forReset!.slice(0, 1)), ['ResetPasswordSuccess']);
  });

  for (const [event, happen] of Object.entries(events))
    test(`are void after ${event}`, async () => {
      const [root, alice] = await insertRootAndAlice();
      const live = await makeLive();
      await happen(root, alice);
      const outcomes = await tryAll(live, event.includes('password') ? newPassword : password);
      // A removed phone has no owner who could verify it.
      const others = outcomes.filter((outcome) => outcome !== 'FORBIDDEN' || !event.endsWith('phone'));
      assert.deepEqual(others, ['InvalidOneTimePasswordError']);
    });

  /** Events of an account with reserved addresses. `moves`: the email leaves the account. */
  const eventsOfReserved: { event: string; moves: boolean; happen?: (typeof events)[string] }[] = [
    { event: 'a change of password', moves: false },
    { event: 'a password set by a superuser', moves: false },
    { event: 'a change of the email', moves: false },
    { event: 'a removal of the email', moves: true, happen: (_, alice) => alice.updateUser({ email: null }) },
    {
      event: 'a deactivation',
      moves: true,
      happen: (root, alice) => root.updateUser({ isActive: false }, { id: alice.id }),
    },
    { event: 'a deletion', moves: true, happen: (_, alice) => alice.deleteUser() },
    { event: 'its verification', moves: false, happen: (_, alice) => verifyAddress(alice, email) },
    { event: 'a verification of the phone', moves: true, happen: (_, alice) => verifyAddress(alice, phone) },
  ];

  for (const { event, moves, happen = events[event]! } of eventsOfReserved)
    test(`stay valid if they were sent to a reserved address, after ${event}`, async () => {
      const [root, alice] = await insertPeople(service, [
        { username: 'root', role: 'superuser' },
        { email, phone, hasPassword: true },
      ]);
      const [code, forReset] = [await makeCode(email), await makeCode(email, 'PASSWORD_RESET')];
      await happen(root, alice);
      const { user } = expectMember(await check(anonymous, email, code), 'CheckOneTimePasswordSuccess');
      assert.deepEqual([user.email, user.emailVerified, user.id !== alice.id], [email, true, moves]);
      // Where the reader got another account, that account has verified the address by now.
      expectMember(await resetBy(email, forReset), moves ? 'InvalidOneTimePasswordError' : 'ResetPasswordSuccess');
    });
});
