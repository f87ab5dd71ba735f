import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expectMember, issuesOf, operations, outbox } from '../support/client.js';
import {
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  issueOneTimePassword,
  makeSuperuser,
  type Person,
  password,
  signUp,
  verifyUnsent,
} from '../support/people.js';
import { connect } from '../support/replicas.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const [phone, otherPhone, thirdPhone] = ['+12025550101', '+12025550102', '+12025550103'];

/** An address of each kind, the one that is to take its place, and one more. */
const addresses = [
  {
    kind: 'email',
    pending: 'pendingEmail',
    verified: 'emailVerified',
    of: ['old@a.test', 'new@b.test', 'next@c.test'],
  },
  { kind: 'phone', pending: 'pendingPhone', verified: 'phoneVerified', of: [phone, otherPhone, thirdPhone] },
] as const;

beforeEach(() => clear(service));

const tokenOf = (address: string) => idOfAddress(service, address);

const verifyAddress = (owner: Person, address: string) => verifyUnsent(service, owner, tokenOf(address));

const makeCode = (address: string, purpose: Parameters<typeof issueOneTimePassword>[2]) =>
  issueOneTimePassword(service, tokenOf(address), purpose);

async function countMessagesTo(address: string): Promise<number> {
  return (await outbox(service)).filter(({ to }) => to === address).length;
}

async function codeOf(asked: ReturnType<Person['ask']>): Promise<string | undefined> {
  const { errors, data } = await asked;
  return errors?.[0]?.extensions.code ?? JSON.stringify(data);
}

describe('identifiers', () => {
  test('updateUser adds, changes and removes each of one’s identifiers, and leaves alone what is absent', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const added = await alice.updateUser({ email: 'Alice@A.test', phone: '(202) 555-0101' });
    assert.equal(added.__typename, 'UpdateUserSuccess', JSON.stringify(added));
    const { username, email, emailVerified, phoneVerified, pendingEmail } = added.user;
    assert.deepEqual(
      { username, email, phone: added.user.phone, emailVerified, phoneVerified, pendingEmail },
      {
        username: 'alice',
        email: 'Alice@a.test',
        phone,
        emailVerified: false,
        phoneVerified: false,
        pendingEmail: null,
      },
    );
    assert.deepEqual(
      added.user.securityTokens.map(({ __typename, verified }: Record<string, unknown>) => [__typename, verified]),
      [
        ['EmailToken', false],
        ['PhoneToken', false],
      ],
    );

    const changed = expectMember(
      await alice.updateUser({ username: 'Ａlicia', email: 'alicia@a.test' }),
      'UpdateUserSuccess',
    );
    assert.equal(changed.user.username, 'Alicia');
    assert.equal(changed.user.email, 'alicia@a.test');
    assert.equal(changed.user.phone, phone);

    const removed = expectMember(await alice.updateUser({ username: null, phone: null }), 'UpdateUserSuccess');
    assert.equal(removed.user.username, null);
    assert.equal(removed.user.phone, null);
    assert.equal(removed.user.phoneVerified, null);
    assert.equal(removed.user.email, 'alicia@a.test');
    assert.equal(removed.user.securityTokens.length, 1);

    const identifiers = { 'alicia@a.test': true, alice: false, Alicia: false, 'alice@a.test': false, [phone]: false };
    for (const [identifier, good] of Object.entries(identifiers)) {
      const { __typename } = await anonymous.authenticate({ identifier, password });
      assert.equal(__typename, good ? 'AuthenticateSuccess' : 'InvalidCredentialsError', identifier);
    }
    for (const input of [{ username: 'alice' }, { email: 'alice@a.test' }, { phone }]) await signUp(service, input);
  });

  test('updateUser without a change answers the user as it is, and asks for no proof', async () => {
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', hasPassword: true });
    await advance(service, 3600);
    const { __typename, user } = await alice.updateUser({});
    assert.equal(__typename, 'UpdateUserSuccess');
    assert.equal(user.email, 'alice@a.test');
  });

  for (const [field, value] of Object.entries({ username: 'alice', email: 'alice@a.test', phone }))
    test(`updateUser does not remove the last identifier, where that is a ${field}`, async () => {
      const alice = await insertPerson(service, { [field]: value, hasPassword: true });
      assert.deepEqual(issuesOf(await alice.updateUser({ [field]: null })), ['null IDENTIFIER_REQUIRED']);
      const all = { username: null, email: null, phone: null };
      assert.deepEqual(issuesOf(await alice.updateUser(all)), ['null IDENTIFIER_REQUIRED']);
      assert.equal((await anonymous.authenticate({ identifier: value, password })).__typename, 'AuthenticateSuccess');
    });

  for (const [from, old] of Object.entries({ username: 'alice', email: 'alice@a.test', phone }))
    for (const [to, other] of Object.entries({ username: 'alicia', email: 'alicia@b.test', phone: otherPhone }))
      if (from !== to)
        test(`updateUser puts a ${to} in the place of a ${from} that is the only identifier`, async () => {
          const alice = await insertPerson(service, { [from]: old });
          const { user } = expectMember(await alice.updateUser({ [from]: null, [to]: other }), 'UpdateUserSuccess');
          assert.deepEqual(user, { ...user, [from]: null, [to]: other });
          assert.equal(user.securityTokens.length, to === 'username' ? 0 : 1);
          await signUp(service, { [from]: old });
        });

  test('updateUser tells every fault of every field at once, and changes nothing then', async () => {
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', phone });
    assert.deepEqual(issuesOf(await alice.updateUser({ username: '', email: '', phone: '' })), [
      'username BLANK',
      'email BLANK',
      'phone BLANK',
    ]);
    assert.deepEqual(issuesOf(await alice.updateUser({ username: '1alice', email: 'alice', phone: '12' })), [
      'username INVALID',
      'email INVALID',
      'phone INVALID',
    ]);
    assert.deepEqual(
      issuesOf(await alice.updateUser({ username: 'a'.repeat(151), email: 'good@a.test', phone: ' ' })),
      ['username TOO_LONG', 'phone INVALID'],
    );
    const { user } = expectMember(await alice.updateUser({}), 'UpdateUserSuccess');
    assert.deepEqual([user.username, user.email, user.phone], ['alice', 'alice@a.test', phone]);
  });

  test('updateUser says which identifiers somebody else has, in whatever spelling, and changes nothing then', async () => {
    await signUp(service, { username: 'bob', email: 'bob@a.test', phone: otherPhone });
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', phone });
    const taken = { username: 'ＢＯＢ', email: 'BOB@A.TEST', phone: '1 (202) 555-0102' };
    assert.deepEqual(issuesOf(await alice.updateUser(taken)), ['username TAKEN', 'email TAKEN', 'phone TAKEN']);
    for (const [field, value] of Object.entries(taken)) {
      const free = { username: 'free', email: 'free@a.test', phone: thirdPhone };
      assert.deepEqual(issuesOf(await alice.updateUser({ ...free, [field]: value })), [`${field} TAKEN`]);
    }
    const { user } = expectMember(await alice.updateUser({}), 'UpdateUserSuccess');
    assert.deepEqual([user.username, user.email, user.phone], ['alice', 'alice@a.test', phone]);
  });

  test('updateUser says it as often as sign-ups do, for each client', async () => {
    const limited = await startService({ SIGN_UPS_PER_HOUR: '3' });
    const root = await makeSuperuser(limited);
    await signUp(limited, { email: 'bob@a.test', username: 'bob' });
    const alice = await signUp(limited, { username: 'alice' });
    const probe = (email: string) => alice.updateUser({ username: 'bob', email });
    for (const email of ['bob@a.test', 'nobody@a.test', 'bob@a.test'])
      assert.equal((await probe(email)).__typename, 'ValidationError');
    for (const email of ['bob@a.test', 'nobody@a.test']) {
      const { __typename, failureCount } = await probe(email);
      assert.deepEqual([__typename, failureCount], ['TimeoutError', null]);
    }
    // What claims nothing tells nothing, and superusers see all anyway.
    assert.equal((await alice.updateUser({})).__typename, 'UpdateUserSuccess');
    assert.equal((await root.updateUser({ username: 'alicia' }, { id: alice.id })).__typename, 'UpdateUserSuccess');
  });

  test('updateUser does not say of one’s own identifier that it is taken, when another one is', async () => {
    await signUp(service, { username: 'bob', email: 'bob@a.test', phone: otherPhone });
    const own = { username: 'alice', email: 'alice@a.test', phone };
    const alice = await signUp(service, own);
    for (const [field, value] of Object.entries({ username: 'bob', email: 'bob@a.test', phone: otherPhone }))
      assert.deepEqual(issuesOf(await alice.updateUser({ ...own, [field]: value })), [`${field} TAKEN`]);
  });

  for (const { kind, of } of addresses)
    test(`an address that is another’s pending ${kind} is taken, for updateUser and for createUser`, async () => {
      const bob = await insertPerson(service, { [kind]: of[0], verified: true });
      await bob.updateUser({ [kind]: of[1] });
      const alice = await insertPerson(service, { username: 'alice' });
      assert.deepEqual(issuesOf(await alice.updateUser({ [kind]: of[1] })), [`${kind} TAKEN`]);
      assert.deepEqual(issuesOf(await anonymous.createUser({ [kind]: of[1] })), [`${kind} TAKEN`]);
    });

  test('a null Boolean is INVALID, told with every other fault', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const bob = await insertPerson(service, { username: 'bob' });
    const nothing = { isActive: null, isStaff: null, isSuperuser: null };
    assert.deepEqual(issuesOf(await root.updateUser({ ...nothing, email: 'no address' }, { id: bob.id })), [
      'isActive INVALID',
      'isStaff INVALID',
      'isSuperuser INVALID',
      'email INVALID',
    ]);
  });
});

describe('addresses', () => {
  for (const {
    kind,
    pending,
    verified,
    of: [old, next],
  } of addresses)
    test(`a ${kind} that is verified while its change waits for the user stays until the new one is verified`, async () => {
      const alice = await insertPerson(service, { [kind]: old });
      const verifying = new pg.Client(service.app.config.databaseUrl);
      await verifying.connect();
      await verifying.query('begin; select from users for update');
      await verifying.query('update users set first_verified_at = now()');
      await verifying.query('update security_tokens set verified_at = now()');
      const changing = alice.updateUser({ [kind]: next });
      const { query } = await connect(service.app.config.databaseUrl!);
      const isWaiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      while ((await query(isWaiting)).length === 0) await delay(10);
      await verifying.query('commit');
      await verifying.end();
      const { user } = expectMember(await changing, 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user[verified], user[pending]], [old, true, next]);
    });

  for (const { kind, of } of addresses) {
    test(`an unverified ${kind} is replaced at once, and what was live for it is dead`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { username: 'alice', [kind]: old });
      const codes = {
        VERIFICATION: await makeCode(old, 'VERIFICATION'),
        AUTHENTICATION: await makeCode(old, 'AUTHENTICATION'),
        PASSWORD_RESET: await makeCode(old, 'PASSWORD_RESET'),
      };
      const oldToken = tokenOf(old);
      const { user } = expectMember(await alice.updateUser({ [kind]: next }), 'UpdateUserSuccess');
      assert.equal(user[kind], next);
      assert.equal(user.pendingEmail ?? user.pendingPhone, null);
      assert.deepEqual(
        user.securityTokens.map(({ id, verified }: Record<string, unknown>) => [id, verified]),
        [[tokenOf(next), false]],
      );
      assert.equal(await codeOf(check(alice, oldToken, codes.VERIFICATION, 'VERIFICATION')), 'FORBIDDEN');

      // Somebody else may have the address now; its token has the same id, and nothing that was sent before is good for it.
      const bob = await signUp(service, { username: 'bob', [kind]: old });
      assert.deepEqual(
        [
          (await bob.checkOneTimePassword(oldToken, codes.VERIFICATION, 'VERIFICATION')).__typename,
          (await anonymous.checkOneTimePassword(oldToken, codes.AUTHENTICATION)).__typename,
          (await reset(oldToken, codes.PASSWORD_RESET)).__typename,
        ],
        Array(3).fill('InvalidOneTimePasswordError'),
      );
    });

    test(`an address that was added later does not prove its user before it is verified: ${kind}`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { username: 'alice', [kind]: old });
      await alice.updateUser({ [kind]: next });
      await anonymous.sendOneTimePassword(tokenOf(next));
      await anonymous.sendOneTimePassword(tokenOf(next), 'PASSWORD_RESET');
      assert.equal(await countMessagesTo(next), 0);
      await advance(service, 30);
      await verifyAddress(alice, next);
      const signedIn = expectMember(
        await anonymous.checkOneTimePassword(tokenOf(next), await makeCode(next, 'AUTHENTICATION')),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(signedIn.user.id, alice.id);
    });

    test(`a verified ${kind} stays and goes on proving its user until the new one is verified and takes its place`, async () => {
      const [old, next] = of;
      const { pending, verified } = addresses.find((one) => one.kind === kind)!;
      const alice = await insertPerson(service, { [kind]: old, hasPassword: true, verified: true });

      const { user } = expectMember(await alice.updateUser({ [kind]: next }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user[verified], user[pending]], [old, true, next]);
      assert.deepEqual(
        user.securityTokens.map((token: Record<string, unknown>) => [token.id, token.verified]),
        [
          [tokenOf(old), true],
          [tokenOf(next), false],
        ],
      );
      const oldCode = await makeCode(old, 'AUTHENTICATION');
      const signedIn = expectMember(
        await anonymous.checkOneTimePassword(tokenOf(old), oldCode),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(signedIn.user.id, alice.id);
      assert.equal((await anonymous.authenticate({ [kind]: old, password })).__typename, 'AuthenticateSuccess');
      assert.equal((await anonymous.authenticate({ [kind]: next, password })).__typename, 'InvalidCredentialsError');
      await anonymous.sendOneTimePassword(tokenOf(next));
      assert.equal(await countMessagesTo(next), 0, 'a pending address proves nobody to strangers');

      const late = [await makeCode(old, 'AUTHENTICATION'), await makeCode(old, 'PASSWORD_RESET')] as const;
      const told = await countMessagesTo(old);
      await verifyAddress(alice, next);
      const after = await alice.me();
      assert.deepEqual([after[kind], after[verified], after[pending]], [next, true, null]);
      assert.deepEqual(
        after.securityTokens.map((token: Record<string, unknown>) => [token.id, token.verified]),
        [[tokenOf(next), true]],
      );
      assert.equal(await countMessagesTo(old), told + 1, 'the old address is told');
      assert.equal(
        (await anonymous.checkOneTimePassword(tokenOf(old), late[0])).__typename,
        'InvalidOneTimePasswordError',
      );
      assert.equal((await reset(tokenOf(old), late[1])).__typename, 'InvalidOneTimePasswordError');
      await advance(service, 3600);
      await anonymous.sendOneTimePassword(tokenOf(old));
      assert.equal(await countMessagesTo(old), told + 1, 'the old address proves nobody any more');
      assert.equal((await anonymous.authenticate({ [kind]: old, password })).__typename, 'InvalidCredentialsError');
      assert.equal((await anonymous.authenticate({ [kind]: next, password })).__typename, 'AuthenticateSuccess');
      await signUp(service, { [kind]: old });
    });

    test(`a pending ${kind} is verified by its signed-in owner alone`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { [kind]: old, verified: true });
      await alice.updateUser({ [kind]: next });
      const tokenId = tokenOf(next);
      const code = await makeCode(next, 'VERIFICATION');
      const bob = await insertPerson(service, { username: 'bob' });
      assert.equal(await codeOf(check(anonymous, tokenId, code, 'VERIFICATION')), 'UNAUTHENTICATED');
      assert.equal(await codeOf(check(bob, tokenId, code, 'VERIFICATION')), 'FORBIDDEN');
      const asSignIn = await anonymous.checkOneTimePassword(tokenId, code);
      assert.equal(asSignIn.__typename, 'InvalidOneTimePasswordError');
      assert.equal((await alice.me())[kind], old);
      const verified = expectMember(
        await alice.checkOneTimePassword(tokenId, code, 'VERIFICATION'),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(verified.user[kind], next);
      assert.equal(verified.tokens, null);
    });

    test(`a second pending ${kind} replaces the first`, async () => {
      const [old, first, second] = of;
      const alice = await insertPerson(service, { [kind]: old, verified: true });
      await alice.updateUser({ [kind]: first });
      const code = await makeCode(first, 'VERIFICATION');
      const { user } = expectMember(await alice.updateUser({ [kind]: second }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user.pendingEmail ?? user.pendingPhone], [old, second]);
      assert.equal(user.securityTokens.length, 2);
      assert.equal(await codeOf(check(alice, tokenOf(first), code, 'VERIFICATION')), 'FORBIDDEN');
      await signUp(service, { [kind]: first });
      await verifyAddress(alice, second);
      assert.equal((await alice.me())[kind], second);
    });

    test(`a pending ${kind} that was replaced and is set again needs a new one-time password`, async () => {
      const [old, first, second] = of;
      const alice = await insertPerson(service, { [kind]: old, verified: true });
      await alice.updateUser({ [kind]: first });
      const code = await makeCode(first, 'VERIFICATION');
      await alice.updateUser({ [kind]: second });
      await alice.updateUser({ [kind]: first });
      const late = await alice.checkOneTimePassword(tokenOf(first), code, 'VERIFICATION');
      assert.equal(late.__typename, 'InvalidOneTimePasswordError');
    });

    test(`setting the present ${kind} again cancels the pending one`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { [kind]: old, verified: true });
      await alice.updateUser({ [kind]: next });
      const code = await makeCode(next, 'VERIFICATION');
      const { user } = expectMember(await alice.updateUser({ [kind]: old }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user.pendingEmail ?? user.pendingPhone], [old, null]);
      assert.deepEqual(
        user.securityTokens.map(({ verified }: Record<string, unknown>) => verified),
        [true],
      );
      assert.equal(await codeOf(check(alice, tokenOf(next), code, 'VERIFICATION')), 'FORBIDDEN');
      await signUp(service, { [kind]: next });
    });

    test(`setting the pending ${kind} again changes nothing, and what was sent to it is still good`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { [kind]: old, verified: true });
      await alice.updateUser({ [kind]: next });
      const code = await makeCode(next, 'VERIFICATION');
      await alice.updateUser({ [kind]: next });
      const verified = await alice.checkOneTimePassword(tokenOf(next), code, 'VERIFICATION');
      assert.equal(verified.user?.[kind], next);
    });

    test(`removing a ${kind} removes what waits to take its place, and the owner is told at the address`, async () => {
      const [old, next] = of;
      const alice = await insertPerson(service, { username: 'alice', [kind]: old, verified: true });
      await alice.updateUser({ [kind]: next });
      const oldCode = await makeCode(old, 'AUTHENTICATION');
      const code = await makeCode(next, 'VERIFICATION');
      const told = await countMessagesTo(old);
      const { user } = expectMember(await alice.updateUser({ [kind]: null }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user.pendingEmail, user.pendingPhone, user.securityTokens], [null, null, null, []]);
      assert.equal(await countMessagesTo(old), told + 1);
      const late = await anonymous.checkOneTimePassword(tokenOf(old), oldCode);
      assert.equal(late.__typename, 'InvalidOneTimePasswordError');
      assert.equal(await codeOf(check(alice, tokenOf(next), code, 'VERIFICATION')), 'FORBIDDEN');
      for (const address of [old, next]) await signUp(service, { [kind]: address });
    });
  }

  test('the same email in another spelling is the same: still verified, nothing pending, what was sent is good', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test', verified: true });
    const code = await makeCode('alice@a.test', 'AUTHENTICATION');
    const { user } = expectMember(await alice.updateUser({ email: 'ALICE@A.TEST' }), 'UpdateUserSuccess');
    assert.deepEqual([user.email, user.emailVerified, user.pendingEmail], ['ALICE@a.test', true, null]);
    assert.match(user.securityTokens[0]!.name, /^AL/);
    const signedIn = await anonymous.checkOneTimePassword(tokenOf('alice@a.test'), code);
    assert.equal(signedIn.user?.id, alice.id);
    await advance(service, 30);
    await anonymous.sendOneTimePassword(tokenOf('alice@a.test'));
    assert.equal(await countMessagesTo('ALICE@a.test'), 1, 'messages go to the address as it is stored now');
  });

  test('the same phone in another format and the same username in another case are the same', async () => {
    const alice = await insertPerson(service, { username: 'alice', phone, verified: true });
    const { user } = expectMember(
      await alice.updateUser({ username: 'ALICE', phone: '(202) 555 0101' }),
      'UpdateUserSuccess',
    );
    assert.deepEqual([user.username, user.phone, user.phoneVerified, user.pendingPhone], ['ALICE', phone, true, null]);
  });

  test('the pending email in another spelling is verified in that spelling', async () => {
    const alice = await insertPerson(service, { email: 'old@a.test', verified: true });
    await alice.updateUser({ email: 'new@b.test' });
    const { user } = expectMember(await alice.updateUser({ email: 'New@B.test' }), 'UpdateUserSuccess');
    assert.deepEqual([user.email, user.pendingEmail], ['old@a.test', 'New@b.test']);
    await verifyAddress(alice, 'New@b.test');
    assert.equal((await alice.me()).email, 'New@b.test');
  });

  test('an email and a phone wait and are verified independently of each other', async () => {
    const alice = await insertPerson(service, { email: 'old@a.test', phone, verified: true });
    const { user } = expectMember(
      await alice.updateUser({ email: 'new@b.test', phone: otherPhone }),
      'UpdateUserSuccess',
    );
    assert.deepEqual([user.pendingEmail, user.pendingPhone], ['new@b.test', otherPhone]);
    await verifyAddress(alice, 'new@b.test');
    const after = await alice.me();
    assert.deepEqual([after.email, after.phone, after.pendingPhone], ['new@b.test', phone, otherPhone]);
    await verifyAddress(alice, otherPhone);
    assert.equal((await alice.me()).phone, otherPhone);
  });
});

describe('proof', () => {
  test('identifiers are changed within ten minutes of signing in, and after that with the current password', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 590);
    assert.equal((await alice.updateUser({ email: 'one@a.test' })).__typename, 'UpdateUserSuccess');
    await advance(service, 20);
    for (const input of [{ email: 'two@a.test' }, { email: null }, { username: 'alicia' }, { phone }]) {
      assert.equal((await alice.updateUser(input)).__typename, 'InvalidCredentialsError');
    }
    assert.equal((await alice.me()).email, 'one@a.test');
    const changed = await alice.updateUser({ email: 'two@a.test' }, { currentPassword: password });
    assert.equal(changed.user?.email, 'two@a.test');
    assert.equal(
      (await alice.updateUser({ phone })).__typename,
      'InvalidCredentialsError',
      'the current password is good for one change',
    );
  });

  test('a one-time password in the session counts as authentication from then on', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test', hasPassword: true });
    await advance(service, 601);
    await verifyAddress(alice, 'alice@a.test');
    assert.equal((await alice.updateUser({ username: 'alice' })).__typename, 'UpdateUserSuccess');
  });

  test('signing in elsewhere does not make a session recent', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 601);
    const { tokens } = expectMember(
      await anonymous.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    assert.equal((await alice.updateUser({ username: 'alicia' })).__typename, 'InvalidCredentialsError');
    const there = operations(service, { token: tokens.accessToken });
    assert.equal((await there.updateUser({ username: 'alicia' })).__typename, 'UpdateUserSuccess');
  });

  for (const operation of ['updateUser', 'deleteUser', 'changePassword'] as const)
    test(`a wrong current password is counted, and the waits grow: ${operation}`, async () => {
      const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
      const attempt = (currentPassword: string) => {
        if (operation === 'deleteUser') return alice.deleteUser({ currentPassword });
        if (operation === 'changePassword')
          return alice.changePassword({ currentPassword, newPassword: 'another horse battery' });
        return alice.updateUser({ username: 'alicia' }, { currentPassword });
      };
      for (const [index, wait] of [1, 2, 4].entries()) {
        assert.equal((await attempt('wrong')).__typename, 'InvalidCredentialsError');
        const early = await attempt(password);
        assert.equal(early.__typename, 'TimeoutError');
        assert.deepEqual([early.failureCount, early.retryAfterSeconds], [index + 1, wait]);
        await advance(service, wait);
      }
      assert.equal((await alice.me()).username, 'alice');
      assert.match((await attempt(password)).__typename, /Success$/);
    });

  test('a right current password clears the count', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const wait of [1, 1]) {
      assert.equal(
        (await alice.updateUser({ phone }, { currentPassword: 'wrong' })).__typename,
        'InvalidCredentialsError',
      );
      assert.equal((await alice.updateUser({ phone }, { currentPassword: password })).retryAfterSeconds, wait);
      await advance(service, wait);
      assert.equal((await alice.updateUser({ phone }, { currentPassword: password })).__typename, 'UpdateUserSuccess');
    }
  });

  test('of 50 wrong current passwords at once one is compared', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    // So that the next failure makes them wait longer than fifty answers take.
    for (const wait of [1, 2, 4, 8]) {
      await alice.updateUser({ phone }, { currentPassword: 'wrong' });
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
      const refused = await alice.updateUser({ username: 'alicia' }, { currentPassword });
      assert.equal(refused.__typename, 'InvalidCredentialsError');
      await advance(service, 3600);
    }
    assert.equal((await alice.me()).username, 'alice');
  });
});

describe('roles', () => {
  const flags = ['isActive', 'isStaff', 'isSuperuser'];
  const document =
    'mutation ($id: ID, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { __typename ... on IdentityError { code } } }';

  test('nobody changes their own state or roles, however they name themselves', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const [alice, bob] = await insertPeople(service, [{ username: 'alice' }, { username: 'bob', role: 'staff' }]);
    for (const person of [alice, bob, root])
      for (const id of [undefined, null, person.id, person.id.toUpperCase()])
        for (const flag of flags)
          for (const value of [true, false, null]) {
            const { errors, data } = await person.ask(document, { id, input: { [flag]: value, username: 'other' } });
            // An id has one spelling: in another it is nobody's, or still one's own.
            const outcome = errors?.[0]?.extensions.code ?? data.updateUser.code;
            const expected = id === person.id.toUpperCase() ? /^(FORBIDDEN|NOT_FOUND|VALIDATION)$/ : /^FORBIDDEN$/;
            assert.match(String(outcome), expected, `${id} ${flag} ${value}`);
          }
    for (const [person, roles] of [
      [alice, [true, false, false]],
      [bob, [true, true, false]],
      [root, [true, true, true]],
    ] as const) {
      const account = await person.me();
      assert.deepEqual([account.isActive, account.isStaff, account.isSuperuser], roles);
      assert.notEqual(account.username, 'other');
    }
  });

  test('a superuser proves to be there like anybody else, however they name themselves', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    await makeAnotherSuperuser(root);
    await advance(service, 601);
    for (const id of [root.id, root.id.toUpperCase()]) {
      assert.notEqual((await root.updateUser({ username: 'other' }, { id })).__typename, 'UpdateUserSuccess', id);
      assert.notEqual((await root.deleteUser({ id })).__typename, 'DeleteUserSuccess', id);
      const { data } = await root.ask(
        'mutation ($id: ID!, $newPassword: String!) { setUserPassword(id: $id, newPassword: $newPassword) { __typename ... on IdentityError { code } } }',
        { id, newPassword: 'another horse battery' },
      );
      assert.notEqual(data?.setUserPassword.__typename, 'SetUserPasswordSuccess', id);
    }
    assert.equal((await root.me()).username, 'root');
  });

  test('a superuser changes the identifiers of others, by the same rules and without their proof', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', phone });
    await verifyAddress(alice, 'alice@a.test');
    await advance(service, 601);
    const { user } = expectMember(
      await root.updateUser({ username: 'alicia', email: 'new@b.test', phone: otherPhone }, { id: alice.id }),
      'UpdateUserSuccess',
    );
    assert.deepEqual(
      [user.username, user.email, user.pendingEmail, user.phone, user.pendingPhone],
      ['alicia', 'alice@a.test', 'new@b.test', otherPhone, null],
    );
  });

  async function makeAnotherSuperuser(root: Person): Promise<void> {
    const { __typename } = await root.createSuperuser({ username: 'second', password });
    assert.equal(__typename, 'CreateSuperuserSuccess');
  }
});

describe('deleteUser', () => {
  test('one deletes oneself within ten minutes of signing in, and after that with the current password', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    await advance(service, 601);
    assert.equal((await alice.deleteUser()).__typename, 'InvalidCredentialsError');
    assert.equal((await alice.deleteUser({ id: alice.id })).__typename, 'InvalidCredentialsError');
    assert.deepEqual(await alice.deleteUser({ currentPassword: password }), {
      __typename: 'DeleteUserSuccess',
      id: alice.id,
    });
    const bob = await insertPerson(service, { username: 'bob' });
    assert.equal((await bob.deleteUser({ id: bob.id })).__typename, 'DeleteUserSuccess');
  });

  test('with the account go its sessions, its tokens and its one-time passwords, and its identifiers are free', async () => {
    const identifiers = { username: 'alice', email: 'alice@a.test', phone };
    const alice = await insertPerson(service, { ...identifiers, hasPassword: true });
    const elsewhere = caller(service, {
      token: expectMember(await anonymous.authenticate({ phone, password }), 'AuthenticateSuccess').tokens.accessToken,
    });
    await verifyAddress(alice, 'alice@a.test');
    await alice.updateUser({ email: 'pending@a.test' });
    const code = await makeCode('alice@a.test', 'AUTHENTICATION');
    const told = await countMessagesTo('alice@a.test');

    assert.equal((await alice.deleteUser()).__typename, 'DeleteUserSuccess');
    for (const session of [alice, elsewhere])
      assert.equal((await session.ask('{ me { id } }')).errors?.[0]?.extensions.code, 'UNAUTHENTICATED');
    assert.equal((await anonymous.authenticate({ phone, password })).__typename, 'InvalidCredentialsError');
    assert.deepEqual(await anonymous.securityTokens('alice'), []);
    assert.equal(await countMessagesTo('alice@a.test'), told + 1, 'the verified address is told');
    assert.equal(await countMessagesTo(phone), 0, 'an address that nobody proved is told nothing');

    const next = await signUp(service, identifiers);
    assert.notEqual(next.id, alice.id);
    assert.deepEqual([next.account.emailVerified, next.account.hasUsablePassword], [false, false]);
    const late = await anonymous.checkOneTimePassword(tokenOf('alice@a.test'), code);
    assert.equal(late.__typename, 'InvalidOneTimePasswordError');
    await signUp(service, { email: 'pending@a.test' });
  });

  test('the throttle of an address outlives the account, so that deleting it opens no new attempts', async () => {
    const alice = await insertPerson(service, { email: 'alice@a.test' });
    const tokenId = tokenOf('alice@a.test');
    for (const wait of [1, 2, 4]) {
      assert.equal((await anonymous.checkOneTimePassword(tokenId, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
      if (wait < 4) await advance(service, wait);
    }
    await alice.deleteUser();
    const early = await anonymous.checkOneTimePassword(tokenId, 'WRONG');
    assert.deepEqual([early.__typename, early.failureCount], ['TimeoutError', 3]);
    const next = await signUp(service, { email: 'alice@a.test' });
    assert.equal(next.emailToken, tokenId);
    assert.equal(next.account.securityTokens[0]!.failureCount, 3);
    assert.equal((await anonymous.checkOneTimePassword(tokenId, 'WRONG')).__typename, 'TimeoutError');
  });

  test('the last active superuser is not deleted; one of two is', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    assert.deepEqual(issuesOf(await root.deleteUser()), ['null LAST_SUPERUSER']);
    const { user } = expectMember(
      await root.createSuperuser({ username: 'second', password }),
      'CreateSuperuserSuccess',
    );
    await root.updateUser({ isActive: false }, { id: user.id });
    assert.deepEqual(
      issuesOf(await root.deleteUser({ id: root.id })),
      ['null LAST_SUPERUSER'],
      'the other is inactive',
    );
    await root.updateUser({ isActive: true }, { id: user.id });
    assert.equal((await root.deleteUser()).__typename, 'DeleteUserSuccess');
    const { tokens } = expectMember(
      await anonymous.authenticate({ username: 'second', password }),
      'AuthenticateSuccess',
    );
    const second = caller(service, { token: tokens.accessToken });
    assert.deepEqual(issuesOf(await second.deleteUser()), ['null LAST_SUPERUSER']);
  });

  test('a superuser deletes another without a proof, a superuser among them', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const alice = await insertPerson(service, { email: 'alice@a.test' });
    const { user } = expectMember(await root.createSuperuser({ username: 'second' }), 'CreateSuperuserSuccess');
    const reader = operations(service, { token: root.tokens.accessToken });
    await advance(service, 601);
    for (const id of [alice.id, user.id]) {
      assert.deepEqual(await root.deleteUser({ id }), { __typename: 'DeleteUserSuccess', id });
      assert.equal((await root.deleteUser({ id })).__typename, 'NotFoundError');
      assert.equal(await reader.user(id), null);
    }
  });
});

describe('live one-time passwords', () => {
  const email = 'alice@a.test';
  const newPassword = 'another horse battery';
  type Purpose = 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  const purposes: Purpose[] = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'];

  interface World {
    root: Person;
    alice: Person;
  }

  /** What makes them void, each done to an account with a verified email, a phone, and one live for each purpose of either. */
  const events: Record<string, (world: World) => Promise<unknown>> = {
    'a change of password': ({ alice }) => alice.changePassword({ currentPassword: password, newPassword }),
    'a password set by a superuser': ({ root, alice }) => root.setUserPassword(alice.id, newPassword),
    'a change of the email': ({ alice }) => alice.updateUser({ email: 'other@a.test' }),
    'a change of the phone': ({ alice }) => alice.updateUser({ phone: otherPhone }),
    'a removal of the phone': ({ alice }) => alice.updateUser({ phone: null }),
    'a change of role': ({ root, alice }) => root.updateUser({ isStaff: true }, { id: alice.id }),
    'a deactivation': async ({ root, alice }) => {
      await root.updateUser({ isActive: false }, { id: alice.id });
      return root.updateUser({ isActive: true }, { id: alice.id });
    },
  };

  async function makeWorld({ verified = true } = {}): Promise<World> {
    const [root, alice] = await insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, phone, hasPassword: true, verified },
    ]);
    return { root, alice };
  }

  interface Live {
    address: string;
    purpose: Purpose;
    code: string;
  }

  async function makeLive(except?: { address: string; purpose: Purpose }): Promise<Live[]> {
    const live: Live[] = [];
    for (const address of [email, phone])
      for (const purpose of purposes)
        if (address !== except?.address || purpose !== except.purpose)
          live.push({ address, purpose, code: await makeCode(address, purpose) });
    return live;
  }

  /** What becomes of each when it is tried, by alice where it takes her to. */
  async function tryAll(live: Live[], currentPassword: string): Promise<Set<string>> {
    const { tokens } = expectMember(
      await anonymous.authenticate({ email, password: currentPassword }),
      'AuthenticateSuccess',
    );
    const alice = caller(service, { token: tokens.accessToken });
    const outcomes = new Set<string>();
    for (const { address, purpose, code } of live) {
      const tokenId = tokenOf(address);
      const outcome =
        purpose === 'VERIFICATION'
          ? await codeOrName(check(alice, tokenId, code, purpose), 'checkOneTimePassword')
          : purpose === 'AUTHENTICATION'
            ? (await anonymous.checkOneTimePassword(tokenId, code)).__typename
            : (await reset(tokenId, code)).__typename;
      outcomes.add(outcome);
    }
    return outcomes;
  }

  async function codeOrName(asked: ReturnType<Person['ask']>, field: string): Promise<string> {
    const { errors, data } = await asked;
    return errors?.[0]?.extensions.code ?? data[field].__typename;
  }

  test('without any of these events all of them are good', async () => {
    await makeWorld();
    const live = await makeLive();
    const resets = live.filter(({ purpose }) => purpose === 'PASSWORD_RESET');
    const others = live.filter(({ purpose }) => purpose !== 'PASSWORD_RESET');
    assert.deepEqual([...(await tryAll(others, password))], ['CheckOneTimePasswordSuccess']);
    assert.deepEqual([...(await tryAll(resets.slice(0, 1), password))], ['ResetPasswordSuccess']);
  });

  for (const [event, happen] of Object.entries(events))
    test(`are void after ${event}`, async () => {
      const world = await makeWorld();
      const live = await makeLive();
      const happened = (await happen(world)) as { __typename: string };
      assert.match(happened.__typename, /Success$/, JSON.stringify(happened));
      const current = event.includes('password') ? newPassword : password;
      const outcomes = await tryAll(live, current);
      // Of an address that is not the account's any more, its verification is nobody's.
      if (event.endsWith('phone')) outcomes.delete('FORBIDDEN');
      assert.deepEqual([...outcomes], ['InvalidOneTimePasswordError']);
    });

  test('are void after a reset', async () => {
    await makeWorld();
    const live = await makeLive({ address: email, purpose: 'PASSWORD_RESET' });
    const code = await makeCode(email, 'PASSWORD_RESET');
    assert.equal((await reset(tokenOf(email), code)).__typename, 'ResetPasswordSuccess');
    assert.deepEqual([...(await tryAll(live, newPassword))], ['InvalidOneTimePasswordError']);
  });

  test('are void after a first verification', async () => {
    const world = await makeWorld({ verified: false });
    const live = await makeLive({ address: email, purpose: 'VERIFICATION' });
    const code = await makeCode(email, 'VERIFICATION');
    const verified = await world.alice.checkOneTimePassword(tokenOf(email), code, 'VERIFICATION');
    assert.equal(verified.__typename, 'CheckOneTimePasswordSuccess');
    assert.deepEqual([...(await tryAll(live, password))], ['InvalidOneTimePasswordError']);
  });

  test('are still good after a change of username', async () => {
    const world = await makeWorld();
    const live = await makeLive();
    await world.alice.updateUser({ username: 'alice' });
    const others = live.filter(({ purpose }) => purpose !== 'PASSWORD_RESET');
    assert.deepEqual([...(await tryAll(others, password))], ['CheckOneTimePasswordSuccess']);
  });
});

function check(asker: Pick<Person, 'ask'>, tokenId: string, oneTimePassword: string, purpose: string) {
  return asker.ask(
    'mutation ($tokenId: ID!, $oneTimePassword: String!, $purpose: OneTimePasswordPurpose!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: $purpose) { __typename ... on IdentityError { code } } }',
    { tokenId, oneTimePassword, purpose },
  );
}

function reset(tokenId: string, oneTimePassword: string) {
  return anonymous.resetPassword({ tokenId, oneTimePassword, newPassword: 'another horse battery' });
}
