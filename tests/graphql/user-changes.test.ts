/** Users who change and delete themselves and others, and what that does to their addresses and one-time passwords. */
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

/** An address of each kind, the one that is to take its place, and one more. */
const addresses = [
  { kind: 'email', pending: 'pendingEmail', of: ['old@a.test', 'new@b.test', 'next@c.test'] },
  { kind: 'phone', pending: 'pendingPhone', of: [phone, otherPhone, thirdPhone] },
] as const;

beforeEach(() => clear(service));

const { tokenOf, makeCode, check, resetBy, verifyAddress } = byAddress(service);

async function update(by: Person, input: UpdateUserInput, proof?: Parameters<Person['updateUser']>[1]) {
  return expectMember(await by.updateUser(input, proof), 'UpdateUserSuccess').user;
}

async function countMessagesTo(address: string): Promise<number> {
  return (await outbox(service)).filter(({ to }) => to === address).length;
}

type Account = Awaited<ReturnType<Person['me']>>;
/** The addresses of an account that are being proved or are proved, with their state. */
const tokensOf = ({ securityTokens }: Pick<Account, 'securityTokens'>) =>
  securityTokens.map(({ id, verified }) => [id, verified]);

describe('identifiers', () => {
  test('updateUser adds, changes and removes each of one’s identifiers, and leaves alone what is absent', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const added = await update(alice, { email: 'Alice@A.test', phone: '(202) 555-0101' });
    const unverified = { emailVerified: false, phoneVerified: false, pendingEmail: null, pendingPhone: null };
    assert.deepEqual(added, { ...added, username: 'alice', email: 'Alice@a.test', phone, ...unverified });
    assert.deepEqual(
      added.securityTokens.map(({ __typename, verified }) => `${__typename} ${verified}`),
      ['EmailToken false', 'PhoneToken false'],
    );

    const changed = await update(alice, { username: 'Ａlicia', email: 'alicia@a.test' });
    assert.deepEqual([changed.username, changed.email, changed.phone], ['Alicia', 'alicia@a.test', phone]);

    const removed = await update(alice, { username: null, phone: null });
    const left = { username: null, phone: null, phoneVerified: null, email: 'alicia@a.test' };
    assert.deepEqual(removed, { ...removed, ...left });
    assert.equal(removed.securityTokens.length, 1);

    assert.equal(await signsIn(service, 'alicia@a.test', password), true);
    for (const identifier of ['alice', 'Alicia', 'alice@a.test', phone])
      assert.equal(await signsIn(service, identifier, password), false, identifier);
    for (const input of [{ username: 'alice' }, { email: 'alice@a.test' }, { phone }]) await signUp(service, input);
  });

  test('updateUser without a change answers the user as it is, and asks for no proof', async () => {
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', hasPassword: true });
    await advance(service, 3600);
    assert.equal((await update(alice, {})).email, 'alice@a.test');
  });

  const own = { username: 'alice', email: 'alice@a.test', phone };
  const others = { username: 'alicia', email: 'alicia@b.test', phone: otherPhone };

  for (const [field, value] of Object.entries(own))
    test(`updateUser does not remove the last identifier, where that is a ${field}`, async () => {
      const alice = await insertPerson(service, { [field]: value, hasPassword: true });
      for (const input of [{ [field]: null }, { username: null, email: null, phone: null }])
        assert.deepEqual(issuesOf(await alice.updateUser(input)), ['null IDENTIFIER_REQUIRED']);
      assert.equal(await signsIn(service, value, password), true);
    });

  for (const [from, old] of Object.entries(own))
    for (const [to, other] of Object.entries(others).filter(([to]) => to !== from))
      test(`updateUser puts a ${to} in the place of a ${from} that is the only identifier`, async () => {
        const alice = await insertPerson(service, { [from]: old });
        const user = await update(alice, { [from]: null, [to]: other });
        assert.deepEqual(user, { ...user, [from]: null, [to]: other });
        assert.equal(user.securityTokens.length, to === 'username' ? 0 : 1);
        await signUp(service, { [from]: old });
      });

  test('updateUser tells every fault of every field at once, and changes nothing then', async () => {
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

  test('updateUser says which identifiers somebody else has, in whatever spelling, and changes nothing then', async () => {
    const bobs = { username: 'bob', email: 'bob@a.test', phone: otherPhone };
    const [alice] = await insertPeople(service, [own, bobs]);
    const taken = { username: 'ＢＯＢ', email: 'BOB@A.TEST', phone: '1 (202) 555-0102' };
    assert.deepEqual(issuesOf(await alice.updateUser(taken)), ['username TAKEN', 'email TAKEN', 'phone TAKEN']);
    for (const [field, value] of Object.entries(taken)) {
      const free = { username: 'free', email: 'free@a.test', phone: thirdPhone };
      // One's own identifiers are not taken, when another one is.
      for (const rest of [free, own])
        assert.deepEqual(issuesOf(await alice.updateUser({ ...rest, [field]: value })), [`${field} TAKEN`]);
    }
    const me = await alice.me();
    assert.deepEqual(me, { ...me, ...own });
  });

  test('updateUser says it as often as sign-ups do, for each client', async () => {
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
    // What claims nothing tells nothing, and superusers see all anyway.
    await update(alice, {});
    await update(root, { username: 'alicia' }, { id: alice.id });
  });

  test('a null Boolean is INVALID, told with every other fault', async () => {
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

    test(`a ${kind} that is verified while its change waits for the user stays until the new one is verified`, async () => {
      const alice = await insertPerson(service, { [kind]: old });
      const verifying = await holdLock(service.app.config.databaseUrl!, 'select from users for update');
      await verifying.query('update users set first_verified_at = now()');
      await verifying.query('update security_tokens set verified_at = now()');
      const changing = update(alice, { [kind]: next });
      await verifying.awaited();
      await verifying.release();
      assert.deepEqual(stateOf(await changing), [old, true, next]);
    });

    test(`an unverified ${kind} is replaced at once, and what was live for it is dead`, async () => {
      const alice = await insertPerson(service, { username: 'alice', [kind]: old });
      const codes = {
        verification: await makeCode(old, 'VERIFICATION'),
        authentication: await makeCode(old),
        reset: await makeCode(old, 'PASSWORD_RESET'),
      };
      const user = await update(alice, { [kind]: next });
      assert.deepEqual(stateOf(user), [next, false, null]);
      assert.deepEqual(tokensOf(user), [[tokenOf(next), false]]);
      await expectError(check(alice, old, codes.verification, 'VERIFICATION'), 'FORBIDDEN');

      // Somebody else may have the address now; its token has the same id, and nothing that was sent before is good for it.
      const bob = await signUp(service, { username: 'bob', [kind]: old });
      for (const result of [
        await check(bob, old, codes.verification, 'VERIFICATION'),
        await check(anonymous, old, codes.authentication),
        await resetBy(old, codes.reset),
      ])
        assert.equal(result.__typename, 'InvalidOneTimePasswordError');
    });

    test(`a verified ${kind} stays and goes on proving its user until the new one is verified and takes its place`, async () => {
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
      assert.equal(await signsIn(service, next, password), false);
      await anonymous.sendOneTimePassword(tokenOf(next));
      assert.equal(await countMessagesTo(next), 0, 'a pending address proves nobody to strangers');

      const late = { code: await makeCode(old), reset: await makeCode(old, 'PASSWORD_RESET') };
      const told = await countMessagesTo(old);
      await verifyAddress(alice, next);
      const after = await alice.me();
      assert.deepEqual(stateOf(after), [next, true, null]);
      assert.deepEqual(tokensOf(after), [[tokenOf(next), true]]);
      assert.equal(await countMessagesTo(old), told + 1, 'the old address is told');
      expectMember(await check(anonymous, old, late.code), 'InvalidOneTimePasswordError');
      expectMember(await resetBy(old, late.reset), 'InvalidOneTimePasswordError');
      await advance(service, 3600);
      await anonymous.sendOneTimePassword(tokenOf(old));
      assert.equal(await countMessagesTo(old), told + 1, 'the old address proves nobody any more');
      assert.equal(await signsIn(service, old, password), false);
      assert.equal(await signsIn(service, next, password), true);
      await signUp(service, { [kind]: old });
    });

    /** Somebody with a verified address, another one that waits, and the one-time password for that. */
    async function withPending(waiting: string = next): Promise<{ alice: Person; code: string }> {
      const alice = await insertPerson(service, { username: 'alice', [kind]: old, verified: true });
      await update(alice, { [kind]: waiting });
      return { alice, code: await makeCode(waiting, 'VERIFICATION') };
    }

    test(`a second pending ${kind} replaces the first, which needs a new one-time password when it is set again`, async () => {
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

    test(`setting the present ${kind} again cancels the pending one`, async () => {
      const { alice, code } = await withPending();
      const user = await update(alice, { [kind]: old });
      assert.deepEqual(stateOf(user), [old, true, null]);
      assert.deepEqual(tokensOf(user), [[tokenOf(old), true]]);
      await expectError(check(alice, next, code, 'VERIFICATION'), 'FORBIDDEN');
      await signUp(service, { [kind]: next });
    });

    test(`setting the pending ${kind} again changes nothing, and what was sent to it is still good`, async () => {
      const { alice, code } = await withPending();
      await update(alice, { [kind]: next });
      const checked = await check(alice, next, code, 'VERIFICATION');
      const { user, tokens } = expectMember(checked, 'CheckOneTimePasswordSuccess');
      assert.deepEqual([user[kind], tokens], [next, null]);
    });

    test(`removing a ${kind} removes what waits to take its place, and the owner is told at the address`, async () => {
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

  test('the same email in another spelling is the same: still verified, nothing pending, what was sent is good', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test', verified: true });
    const code = await makeCode('alice@a.test');
    const user = await update(alice, { email: 'ALICE@A.TEST' });
    assert.deepEqual([user.email, user.emailVerified, user.pendingEmail], ['ALICE@a.test', true, null]);
    assert.match(user.securityTokens[0]!.name, /^AL/);
    const checked = await check(anonymous, 'alice@a.test', code);
    assert.equal(expectMember(checked, 'CheckOneTimePasswordSuccess').user.id, alice.id);
    await anonymous.sendOneTimePassword(tokenOf('alice@a.test'));
    assert.equal(await countMessagesTo('ALICE@a.test'), 1, 'messages go to the address as it is stored now');
  });

  test('the same phone in another format and the same username in another case are the same', async () => {
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

  test('an email and a phone wait and are verified independently of each other', async () => {
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

describe('proof', () => {
  const expectUnproved = async (by: Person, input: UpdateUserInput, currentPassword?: string) =>
    expectMember(
      await by.updateUser(input, currentPassword === undefined ? {} : { currentPassword }),
      'InvalidCredentialsError',
    );

  test('identifiers are changed within ten minutes of signing in, and after that with the current password', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 590);
    await update(alice, { email: 'one@a.test' });
    await advance(service, 20);
    for (const input of [{ email: 'two@a.test' }, { email: null }, { username: 'alicia' }, { phone }])
      await expectUnproved(alice, input);
    assert.equal((await alice.me()).email, 'one@a.test');
    const changed = await update(alice, { email: 'two@a.test' }, { currentPassword: password });
    assert.equal(changed.email, 'two@a.test');
    // The current password is good for one change.
    await expectUnproved(alice, { phone });
  });

  test('a one-time password in the session counts as authentication from then on', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test', hasPassword: true });
    await advance(service, 601);
    await verifyAddress(alice, 'alice@a.test');
    await update(alice, { username: 'alice' });
  });

  test('signing in elsewhere does not make a session recent', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 601);
    const there = await signIn(service, { username: 'alice', password });
    await expectUnproved(alice, { username: 'alicia' });
    await update(there, { username: 'alicia' });
  });

  test('a right current password clears the count', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    for (let round = 0; round < 2; round += 1) {
      await expectUnproved(alice, { phone }, 'wrong');
      expectWait(await alice.updateUser({ phone }, { currentPassword: password }), 1, 1);
      await advance(service, 1);
      await update(alice, { phone }, { currentPassword: password });
    }
  });

  test('of 50 wrong current passwords at once one is compared', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    // So that the next failure makes them wait longer than fifty answers take.
    for (const wait of [1, 2, 4, 8]) {
      await expectUnproved(alice, { phone }, 'wrong');
      await advance(service, wait);
    }
    const results = await Promise.all(
      Array.from({ length: 50 }, () => alice.updateUser({ phone }, { currentPassword: 'wrong' })),
    );
    const count = (name: string) => results.filter(({ __typename }) => __typename === name).length;
    assert.deepEqual([count('InvalidCredentialsError'), count('TimeoutError')], [1, 49]);
  });

  test('an account without a password has no current password, not even an empty one', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    await advance(service, 601);
    for (const currentPassword of ['', password]) {
      await expectUnproved(alice, { username: 'alicia' }, currentPassword);
      await advance(service, 3600);
    }
    assert.equal((await alice.me()).username, 'alice');
  });
});

describe('roles', () => {
  test('nobody changes their own state or roles, however they name themselves', async () => {
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

  test('a superuser proves to be there like anybody else, however they name themselves', async () => {
    const [root] = await insertPeople(service, [superuser, { username: 'second', role: 'superuser' }]);
    await advance(service, 601);
    for (const id of [root.id, root.id.toUpperCase()]) {
      expectMember(await root.updateUser({ username: 'other' }, { id }), 'InvalidCredentialsError');
      expectMember(await root.deleteUser({ id }), 'InvalidCredentialsError');
      await expectError(root.setUserPassword(id, newPassword), 'FORBIDDEN');
    }
    assert.equal((await root.me()).username, 'root');
  });

  test('a superuser changes the identifiers of others, by the same rules and without their proof', async () => {
    const [root, alice] = await insertPeople(service, [superuser, { email: 'alice@a.test', phone }]);
    await verifyAddress(alice, 'alice@a.test');
    await advance(service, 601);
    const input = { username: 'alicia', email: 'new@b.test', phone: otherPhone };
    const user = await update(root, input, { id: alice.id });
    const changed = { username: 'alicia', email: 'alice@a.test', pendingEmail: 'new@b.test', phone: otherPhone };
    assert.deepEqual(user, { ...user, ...changed, pendingPhone: null });
  });
});

describe('deleteUser', () => {
  test('one deletes oneself within ten minutes of signing in, and after that with the current password', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 601);
    for (const proof of [{}, { id: alice.id }]) expectMember(await alice.deleteUser(proof), 'InvalidCredentialsError');
    const deleted = await alice.deleteUser({ currentPassword: password });
    assert.deepEqual(deleted, { __typename: 'DeleteUserSuccess', id: alice.id });
    const bob = await insertPerson(service, { username: 'bob' });
    expectMember(await bob.deleteUser({ id: bob.id }), 'DeleteUserSuccess');
  });

  test('with the account go its sessions, its tokens and its one-time passwords, and its identifiers are free', async () => {
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
    assert.equal(await countMessagesTo('alice@a.test'), told + 1, 'the verified address is told');
    assert.equal(await countMessagesTo(phone), 0, 'an address that nobody proved is told nothing');

    const next = await signUp(service, identifiers);
    assert.notEqual(next.id, alice.id);
    assert.deepEqual([next.account.emailVerified, next.account.hasUsablePassword], [false, false]);
    expectMember(await check(anonymous, 'alice@a.test', code), 'InvalidOneTimePasswordError');
    await signUp(service, { email: 'pending@a.test' });
  });

  test('the throttle of an address outlives the account, so that deleting it opens no new attempts', async () => {
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

  test('the last active superuser is not deleted; one of two is', async () => {
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

  test('a superuser deletes another without a proof, a superuser among them', async () => {
    const [root, alice, second] = await insertPeople(service, [
      superuser,
      { email: 'alice@a.test' },
      { username: 'second', role: 'superuser' },
    ]);
    await advance(service, 601);
    for (const { id } of [alice, second]) {
      assert.deepEqual(await root.deleteUser({ id }), { __typename: 'DeleteUserSuccess', id });
      expectMember(await root.deleteUser({ id }), 'NotFoundError');
      assert.equal(await root.user(id), null);
    }
  });
});

describe('live one-time passwords', () => {
  const email = 'alice@a.test';
  const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;

  /** What makes them void, each done by root or alice, whose email and phone have one live for each purpose. */
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
    'a first verification': (_, alice) => verifyAddress(alice, email),
  };

  const insertRootAndAlice = (verified = true) =>
    insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, phone, hasPassword: true, verified },
    ]);

  async function makeLive() {
    const live = [];
    for (const address of [email, phone])
      for (const purpose of purposes) live.push({ address, purpose, code: await makeCode(address, purpose) });
    return live;
  }

  /** What becomes of each when it is tried, by alice where it takes her to: the members, and the codes of top-level errors. */
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

  test('without any of these events, and after a change of username, all of them are good', async () => {
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
      const [root, alice] = await insertRootAndAlice(event !== 'a first verification');
      const live = await makeLive();
      await happen(root, alice);
      const outcomes = await tryAll(live, event.includes('password') ? newPassword : password);
      // Of an address that is not the account's any more, its verification is nobody's.
      const others = outcomes.filter((outcome) => outcome !== 'FORBIDDEN' || !event.endsWith('phone'));
      assert.deepEqual(others, ['InvalidOneTimePasswordError']);
    });
});
