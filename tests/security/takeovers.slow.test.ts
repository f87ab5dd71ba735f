/** Attacks on accounts by a stolen session, a squatted address or an unproven one, and their limits. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { expectError, expectMember, issuesOf } from '../support/client.js';
import {
  byAddress,
  caller,
  insertPeople,
  insertPerson,
  type Person,
  password,
  person,
  signIn,
  signsIn,
  signUp,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const { makeCode, check, signInBy, resetBy, verifyAddress } = byAddress(service);

const email = 'victim@a.test';
const phone = '+12025550101';
const evil = 'thief@evil.test';
const newPassword = 'another horse battery';
const day = 86_400;

beforeEach(() => clear(service));

const subjectsTo = async (address: string) =>
  (await service.app.outbox()).filter(({ to, oneTimePassword }) => to === address && !oneTimePassword).length;

describe('a stolen session, minutes after its sign-in,', () => {
  /** What a thief tries. Each would add a way in, or remove one. */
  const attempts: Record<
    string,
    (thief: Person, proof: { currentPassword?: string }) => Promise<{ __typename: string }>
  > = {
    'adds no address': (thief, proof) => thief.updateUser({ phone: '+12025550109' }, proof),
    'replaces no address': (thief, proof) => thief.updateUser({ email: evil }, proof),
    'removes no address': (thief, proof) => thief.updateUser({ email: null }, proof),
    'sets no password': (thief, proof) => thief.changePassword({ newPassword: 'a thief’s own battery', ...proof }),
    'deletes no account': (thief, proof) => thief.deleteUser(proof),
  };

  for (const [about, attempt] of Object.entries(attempts)) {
    test(`${about}`, async () => {
      await insertPerson(service, { username: 'victim', email, hasPassword: true, verified: true });
      await advance(service, 2 * day);
      const thief = await signIn(service, { email, password });
      const before = await thief.me();
      expectMember(await attempt(thief, {}), 'StepUpRequiredError');
      assert.deepEqual(await thief.me(), before);
      assert.equal(await signsIn(service, email, password), true);
      assert.equal(await subjectsTo(email), 0);
    });

    test(`${about}, after a reset by a recycled phone that was verified after the email`, async () => {
      const owner = await insertPerson(service, { username: 'victim', email, hasPassword: true, verified: true });
      await owner.updateUser({ phone });
      await advance(service, day / 2);
      await verifyAddress(owner, phone);
      await advance(service, day / 2);
      const reset = expectMember(
        await resetBy(phone, await makeCode(phone, 'PASSWORD_RESET'), newPassword),
        'ResetPasswordSuccess',
      );
      const thief = person(service, reset.user, reset.tokens);
      await check(thief, phone, await makeCode(phone));
      for (const proof of [{}, { currentPassword: newPassword }])
        expectMember(await attempt(thief, proof), 'StepUpRequiredError');
      assert.equal((await thief.me()).email, email);
      assert.equal(await subjectsTo(email), 3, 'the new phone, its verification, and the reset');
    });
  }

  test('of an account with a phone alone becomes no takeover by an address of the thief', async () => {
    await insertPerson(service, { phone, hasPassword: true, verified: true });
    await advance(service, 2 * day);
    const thief = await signIn(service, { phone, password });
    expectMember(await thief.updateUser({ email: evil }), 'StepUpRequiredError');
    expectMember(await thief.reauthenticate('a guess'), 'InvalidCredentialsError');
    expectMember(await thief.changePassword({ newPassword }), 'StepUpRequiredError');
    assert.equal(await signsIn(service, phone, password), true);
  });
});

describe('a squatted address', () => {
  test('stays pending beside a verified one, however often it is added again', async () => {
    const squatter = await insertPerson(service, { phone, hasPassword: true, verified: true });
    for (let days = 0; days < 3; days += 1) {
      const again = await signIn(service, { phone, password });
      for (const address of [evil, email])
        expectMember(await again.updateUser({ email: address }, { currentPassword: password }), 'UpdateUserSuccess');
      await advance(service, day);
    }
    const victim = await signUp(service, { email });
    await verifyAddress(victim, email);
    const { user } = expectMember(await signInBy(email, await makeCode(email)), 'CheckOneTimePasswordSuccess');
    assert.equal(user.id, victim.id);
    const left = await signIn(service, { phone, password });
    assert.deepEqual([left.id, left.account.email, left.account.pendingEmail], [squatter.id, null, null]);
  });

  test('of an account that nobody owns is taken at sign-up, and the first code takes over the account', async () => {
    const squatter = await signUp(service, { username: 'mallory', email, phone, password });
    assert.deepEqual(issuesOf(await anonymous.createUser({ email })), ['email TAKEN']);
    const { user, tokens } = expectMember(await signInBy(email, await makeCode(email)), 'CheckOneTimePasswordSuccess');
    assert.deepEqual(
      [user.id, user.emailVerified, user.phone, user.pendingPhone, user.hasUsablePassword],
      [squatter.id, true, null, null, false],
    );
    assert.equal(await squatter.isSignedIn(), false);
    for (const identifier of ['mallory', email, phone])
      assert.equal(await signsIn(service, identifier, password), false);
    assert.equal((await person(service, user, tokens).me()).sessions.length, 1);
  });
});

describe('a superuser’s session that proved itself 20 days ago', () => {
  const acts: Record<string, (root: Person, id: string, tokenId: string) => Promise<{ __typename: string }>> = {
    createSuperuser: (root) => root.createSuperuser({ username: 'evil', password: newPassword }),
    setUserPassword: (root, id) => root.setUserPassword(id, newPassword),
    'updateUser (roles)': (root, id) => root.updateUser({ isStaff: true }, { id }),
    'updateUser (activation)': (root, id) => root.updateUser({ isActive: false }, { id }),
    'updateUser (address)': (root, id) => root.updateUser({ email: evil }, { id }),
    deleteUser: (root, id) => root.deleteUser({ id }),
    generateOneTimePassword: (root, _, tokenId) => root.generateOneTimePassword(tokenId),
    unlockSecurityToken: (root, _, tokenId) => root.unlockSecurityToken(tokenId),
    revokeUserSessions: (root, id) => root.revokeUserSessions(id),
  };

  for (const [about, act] of Object.entries(acts))
    test(`may not ${about} before it authenticates again`, async () => {
      const people = [
        { username: 'root', email: 'root@a.test', role: 'superuser', hasPassword: true, verified: true },
        { email, verified: true },
      ] as const;
      const [root, target] = await insertPeople(service, people);
      await advance(service, 601);
      const refused: { __typename: string; password?: unknown; securityTokens?: { id: string }[] } = await act(
        root,
        target.id,
        target.emailToken,
      );
      assert.deepEqual(
        [refused.__typename, refused.password, refused.securityTokens?.map(({ id }) => id)],
        ['StepUpRequiredError', true, [root.emailToken]],
      );
      expectMember(await root.reauthenticate(password), 'ReauthenticateSuccess');
      assert.match((await act(root, target.id, target.emailToken)).__typename, /Success$/);
    });

  test('is told to every superuser where it makes another one or grants a role', async () => {
    const [root, , target] = await insertPeople(service, [
      { username: 'root', email: 'root@a.test', role: 'superuser', hasPassword: true, verified: true },
      { username: 'other', email: 'other@a.test', phone, role: 'superuser', verified: true },
      { email, verified: true },
    ]);
    expectMember(await root.createSuperuser({ username: 'evil', password: newPassword }), 'CreateSuperuserSuccess');
    expectMember(await root.updateUser({ isStaff: true }, { id: target.id }), 'UpdateUserSuccess');
    for (const address of ['root@a.test', 'other@a.test', phone]) assert.equal(await subjectsTo(address), 2, address);
    assert.equal(await subjectsTo(email), 1);
  });

  test('sets no password of another superuser', async () => {
    const [root, other] = await insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { username: 'other', role: 'superuser' },
    ]);
    expectMember(await root.setUserPassword(other.id, newPassword), 'NotFoundError');
  });
});

describe('a role', () => {
  for (const role of ['isStaff', 'isSuperuser'] as const)
    test(`${role} is refused to an account without a verified address, or with a pending one`, async () => {
      const [root, unproven, waiting] = await insertPeople(service, [
        { username: 'root', role: 'superuser' },
        { username: 'cfo', email: 'cfo@company.test', hasPassword: true },
        { email, verified: true },
      ]);
      await waiting.updateUser({ phone });
      for (const { id } of [unproven, waiting])
        assert.deepEqual(issuesOf(await root.updateUser({ [role]: true }, { id })), [`${role} NOT_VERIFIED`]);
      await expectError(unproven.users(), 'FORBIDDEN');
      await verifyAddress(waiting, phone);
      expectMember(await root.updateUser({ [role]: true }, { id: waiting.id }), 'UpdateUserSuccess');
    });
});

describe('the last verified address', () => {
  test('stays, unless a username with a password remains', async () => {
    const [bare, named, able] = await insertPeople(service, [
      { email, hasPassword: true, phone, verified: true },
      { username: 'named', email: 'named@a.test', verified: true },
      { username: 'able', email: 'able@a.test', hasPassword: true, verified: true },
    ]);
    expectMember(await bare.updateUser({ phone: null }), 'UpdateUserSuccess');
    for (const last of [bare, named]) expectMember(await last.updateUser({ email: null }), 'LastCredentialError');
    expectMember(await named.updateUser({ email: null, phone }), 'LastCredentialError');
    expectMember(await able.updateUser({ email: null }), 'UpdateUserSuccess');
    assert.equal((await able.me()).email, null);
  });

  test('stays for a superuser who changes another account too', async () => {
    const [root, owner] = await insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, verified: true },
    ]);
    expectMember(await root.updateUser({ email: null, username: 'renamed' }, { id: owner.id }), 'LastCredentialError');
    assert.equal((await owner.me()).username, null);
  });
});
