/** Ownership of accounts with an address of another person, and attacks on the owner. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { oneTimePasswords, storedNow } from '../../src/database/schema.js';
import { expectError, expectMember, expectWait, issuesOf } from '../support/client.js';
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
  verify,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

// The proxy permits requests from several addresses.
const service = await startService({ TRUST_PROXY: '127.0.0.1' });
const anonymous = caller(service);
const { tokenOf, makeCode, check, signInBy, resetBy, verifyAddress } = byAddress(service);
const hour = 3600;
const newPassword = 'another horse battery';

/** The victim reads one address, the stranger the other. */
const kinds = [
  { kind: 'email', other: 'phone', victims: 'victim@a.test', strangers: 'mallory@b.test' },
  { kind: 'phone', other: 'email', victims: '+12025550101', strangers: '+12025550102' },
] as const;
const strangersOf = { email: kinds[0].strangers, phone: kinds[1].strangers };

beforeEach(() => clear(service));

/** Returns whether an anonymous request sends a message. */
async function reaches(address: string, purpose: 'AUTHENTICATION' | 'PASSWORD_RESET'): Promise<boolean> {
  const before = await countCodesTo(address);
  expectMember(await anonymous.sendOneTimePassword(tokenOf(address), purpose), 'SendOneTimePasswordSuccess');
  await advance(service, 30);
  return (await countCodesTo(address)) > before;
}

async function countCodesTo(address: string): Promise<number> {
  return (await service.app.outbox()).filter((message) => message.to === address && message.oneTimePassword).length;
}

const expectVoid = (result: { __typename: string }) => assert.equal(result.__typename, 'InvalidOneTimePasswordError');

async function expectSignIn(address: string) {
  return expectMember(await signInBy(address, await makeCode(address)), 'CheckOneTimePasswordSuccess');
}

async function expectTaken(input: { email?: string; phone?: string }, by?: Person): Promise<void> {
  const [field = ''] = Object.keys(input);
  assert.deepEqual(issuesOf(await (by ? by.updateUser(input) : anonymous.createUser(input))), [`${field} TAKEN`]);
}

describe('an account that was created with the address of another person', () => {
  for (const { kind, other, victims } of kinds) {
    test(`belongs to the victim who signs in by the ${kind}: the stranger’s password and sessions are revoked`, async () => {
      const stranger = await insertPerson(service, { username: 'mallory', [kind]: victims, hasPassword: true });
      const elsewhere = await signIn(service, { username: 'mallory', password });
      const { user, tokens } = await expectSignIn(victims);
      assert.deepEqual(user, { ...user, id: stranger.id, hasUsablePassword: false, [`${kind}Verified`]: true });
      for (const session of [stranger, elsewhere]) assert.equal(await session.isSignedIn(), false);
      for (const identifier of ['mallory', victims]) assert.equal(await signsIn(service, identifier, password), false);
      const victim = person(service, user, tokens);
      assert.equal((await victim.me()).sessions.length, 1);
      expectMember(await victim.changePassword({ newPassword }), 'ChangePasswordSuccess');
    });

    test(`keeps its password if its signed-in owner verifies the ${kind}, and at later sign-ins by it`, async () => {
      const owner = await insertPerson(service, { [kind]: victims, hasPassword: true });
      const elsewhere = await signIn(service, { [kind]: victims, password });
      await verifyAddress(owner, victims);
      assert.equal((await expectSignIn(victims)).user.hasUsablePassword, true);
      for (const session of [owner, elsewhere]) assert.equal(await session.isSignedIn(), true);
    });

    test(`voids the victim’s earlier code for the ${kind} if the stranger verifies another address`, async () => {
      const strangers = strangersOf[other];
      const stranger = await insertPerson(service, { [kind]: victims, [other]: strangers, hasPassword: true });
      const codes = { signIn: await makeCode(victims), reset: await makeCode(victims, 'PASSWORD_RESET') };
      await verifyAddress(stranger, strangers);
      expectVoid(await signInBy(victims, codes.signIn));
      expectVoid(await resetBy(victims, codes.reset));
      assert.equal(await reaches(victims, 'AUTHENTICATION'), false);
      assert.equal(await stranger.isSignedIn(), true);
    });

    test(`voids the stranger’s earlier code if the victim verifies the ${kind}`, async () => {
      const strangers = strangersOf[other];
      const stranger = await insertPerson(service, { [kind]: victims, [other]: strangers, hasPassword: true });
      const codes = {
        signIn: await makeCode(strangers),
        reset: await makeCode(strangers, 'PASSWORD_RESET'),
        verification: await makeCode(strangers, 'VERIFICATION'),
      };
      await expectSignIn(victims);
      expectVoid(await signInBy(strangers, codes.signIn));
      expectVoid(await resetBy(strangers, codes.reset));
      await expectError(check(stranger, strangers, codes.verification, 'VERIFICATION'), 'UNAUTHENTICATED');
      for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
        assert.equal(await reaches(strangers, purpose), false);
    });
  }

  test('does not authenticate the victim if it has the staff role', async () => {
    const email = 'victim@a.test';
    const [root, stranger] = await insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, hasPassword: true },
    ]);
    const code = await makeCode(email);
    await root.updateUser({ isStaff: true }, { id: stranger.id });
    expectVoid(await signInBy(email, code));
    assert.equal(await reaches(email, 'AUTHENTICATION'), false);
  });
});

describe('a mistyped address', () => {
  for (const { kind, other, victims: own, strangers: mistyped } of kinds) {
    for (const verified of [true, false])
      test(`a ${kind} added to an old account ${verified ? 'with' : 'without'} a verified address does not authenticate its reader`, async () => {
        const beside = kinds.find((one) => one.kind === other)!.victims;
        const owner = await insertPerson(service, {
          username: 'owner',
          [other]: beside,
          hasPassword: true,
          verified,
        });
        await advance(service, 7 * 24 * hour);
        await owner.updateUser({ [kind]: mistyped }, { currentPassword: password });
        await assertUselessTo(await makeCode(mistyped, 'VERIFICATION'), mistyped);

        await owner.updateUser({ [kind]: own }, { currentPassword: password });
        await verifyAddress(owner, own);
        const me = await owner.me();
        assert.deepEqual([me[kind], me[`${kind}Verified`]], [own, true]);
        await signUp(service, { [kind]: mistyped });
      });

    test(`a ${kind} that replaces a verified one neither locks out the owner nor authenticates its reader`, async () => {
      const owner = await insertPerson(service, { [kind]: own, hasPassword: true, verified: true });
      await owner.updateUser({ [kind]: mistyped });
      const code = await makeCode(mistyped, 'VERIFICATION');
      await assertUselessTo(code, mistyped);

      assert.equal((await expectSignIn(own)).user.id, owner.id);
      const reset = await resetBy(own, await makeCode(own, 'PASSWORD_RESET'));
      const { user, tokens } = expectMember(reset, 'ResetPasswordSuccess');
      assert.equal(user.id, owner.id);
      const session = person(service, user, tokens);
      // The reset has voided it.
      expectVoid(await check(session, mistyped, code, 'VERIFICATION'));
      const changed = expectMember(await session.updateUser({ [kind]: own }), 'UpdateUserSuccess').user;
      assert.deepEqual([changed[kind], changed.pendingEmail, changed.pendingPhone], [own, null, null]);
    });
  }

  /** A stranger who reads the messages to the mistyped address. */
  async function assertUselessTo(code: string, address: string): Promise<void> {
    const stranger = await insertPerson(service, { username: 'stranger' });
    await expectError(check(anonymous, address, code, 'VERIFICATION'), 'UNAUTHENTICATED');
    await expectError(check(stranger, address, code, 'VERIFICATION'), 'FORBIDDEN');
    expectVoid(await signInBy(address, code));
    expectVoid(await resetBy(address, code));
    for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
      assert.equal(await reaches(address, purpose), false);
  }
});

describe('an address squatted beside a verified one', () => {
  type Kind = (typeof kinds)[number];
  /** Ways to hold the address of another person: beside a verified address, or pending. */
  const squats: Record<string, (of: Kind) => Promise<Person>> = {
    async 'added beside a verified address of the other kind'({ kind, other, victims }) {
      const mallory = await insertPerson(service, { [other]: strangersOf[other], verified: true });
      await mallory.updateUser({ [kind]: victims });
      return mallory;
    },
    async 'given at sign-up beside one that was verified'({ kind, other, victims }) {
      const mallory = await signUp(service, { [kind]: victims, [other]: strangersOf[other] });
      await verifyAddress(mallory, strangersOf[other]);
      return mallory;
    },
    async pending({ kind, victims, strangers }) {
      const mallory = await insertPerson(service, { [kind]: strangers, verified: true });
      await mallory.updateUser({ [kind]: victims });
      return mallory;
    },
  };

  for (const of of kinds)
    for (const [name, squat] of Object.entries(squats)) {
      const { kind, victims } = of;
      test(`is released after a day to a user who signs up with it: a ${kind} ${name}`, async () => {
        const mallory = await squat(of);
        const kept = await mallory.me();
        const code = await makeCode(victims, 'VERIFICATION');
        assert.equal(await reaches(victims, 'AUTHENTICATION'), false);
        await advance(service, 23 * hour);
        await expectTaken({ [kind]: victims });
        await advance(service, hour);
        const victim = await signUp(service, { [kind]: victims });
        assert.deepEqual(
          victim.account.securityTokens.map(({ id }) => id),
          [tokenOf(victims)],
        );

        const left = await mallory.me();
        const { securityTokens, sessions, lastLogin, dateJoined } = left;
        assert.deepEqual(left, {
          ...kept,
          ...{ securityTokens, sessions, lastLogin, dateJoined, pendingEmail: null, pendingPhone: null },
          ...(kept[kind] === victims && { [kind]: null, [`${kind}Verified`]: null }),
        });
        assert.deepEqual(
          securityTokens.map(({ verified }) => verified),
          [true],
        );
        await expectError(check(mallory, victims, code, 'VERIFICATION'), 'FORBIDDEN');
        expectVoid(await check(victim, victims, code, 'VERIFICATION'));
        assert.equal((await expectSignIn(victims)).user.id, victim.id);
      });

      test(`is released after a day to a user who adds it: a ${kind} ${name}`, async () => {
        await squat(of);
        await advance(service, 23 * hour);
        const victim = await insertPerson(service, { username: 'victim' });
        await expectTaken({ [kind]: victims }, victim);
        await advance(service, hour);
        // An hour has passed for the victim too.
        expectMember(await victim.updateUser({ [kind]: victims }), 'InvalidCredentialsError');
        const fresh = await insertPerson(service, { username: 'fresh' });
        const { user } = expectMember(await fresh.updateUser({ [kind]: victims }), 'UpdateUserSuccess');
        assert.equal(user[kind], victims);
        await verifyAddress(fresh, victims);
      });
    }

  const email = 'victim@a.test';
  const phone = '+12025550102';

  test('stays with the user who verifies it within the day', async () => {
    const mallory = await insertPerson(service, { phone, verified: true });
    await mallory.updateUser({ email });
    await verifyAddress(mallory, email);
    await advance(service, 48 * hour);
    await expectTaken({ email });
  });

  test('is released only after the other address has been verified for a day', async () => {
    const mallory = await insertPerson(service, { email, phone });
    await advance(service, 23 * hour);
    await verifyAddress(mallory, phone);
    await advance(service, 23 * hour);
    await expectTaken({ email });
    await advance(service, hour);
    await signUp(service, { email });
  });

  test('is not released if the sign-up has another error', async () => {
    const [mallory] = await insertPeople(service, [{ phone, verified: true }, { username: 'taken' }]);
    await mallory.updateUser({ email });
    await advance(service, 24 * hour);
    expectMember(await anonymous.createUser({ username: 'taken', email }), 'ValidationError');
    assert.equal((await mallory.me()).email, email);
  });

  test('is not released without a verified address beside it', async () => {
    await signUp(service, { username: 'mallory', email, password });
    await advance(service, 48 * hour);
    await expectTaken({ email });
    assert.equal((await expectSignIn(email)).user.username, 'mallory');
  });
});

describe('a stranger', () => {
  for (const { kind, victims } of kinds) {
    test(`does not use up the sends of the owner: ${kind}`, async () => {
      const owner = await insertPerson(service, { [kind]: victims });
      const tokenId = tokenOf(victims);
      expectMember(await anonymous.sendOneTimePassword(tokenId), 'SendOneTimePasswordSuccess');
      for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
        expectWait(await anonymous.sendOneTimePassword(tokenId, purpose), null);
      const before = await countCodesTo(victims);
      await verify(service, owner, tokenId);
      assert.equal(await countCodesTo(victims), before + 1);
    });
  }

  const from = (address: string) => caller(service, { headers: { 'x-forwarded-for': address } });

  for (const proof of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
    test(`loses its known networks after ${proof} by the owner`, async () => {
      const email = 'victim@a.test';
      await from('203.0.113.7').createUser({ email, password });
      const code = await makeCode(email, proof);
      const proved = await (proof === 'AUTHENTICATION' ? signInBy(email, code) : resetBy(email, code));
      assert.match(proved.__typename, /Success$/);
      const guess = (address: string) => from(address).authenticate({ email, password: 'wrong' });
      expectMember(await guess('198.51.100.1'), 'InvalidCredentialsError');
      expectMember(await guess('203.0.113.7'), 'TimeoutError');
    });
});

describe('unlockSecurityToken', () => {
  const email = 'alice@a.test';
  const phone = '+12025550101';

  /** Locks the address for a day, like the last permitted failure. */
  async function lock(address: string): Promise<void> {
    const failures = { failureCount: 6, retryAt: sql<Date>`${storedNow} + interval '1 day'` };
    await service.app.db
      .insert(oneTimePasswords)
      .values({ tokenId: tokenOf(address), purpose: 'AUTHENTICATION', ...failures })
      .onConflictDoUpdate({ target: [oneTimePasswords.tokenId, oneTimePasswords.purpose], set: failures });
    await expectLocked(address);
  }

  async function expectLocked(address: string): Promise<void> {
    const closed = expectMember(await signInBy(address, 'WRONG'), 'TimeoutError');
    assert.deepEqual([closed.failureCount, closed.retryAfterSeconds > 86_000], [6, true]);
  }

  async function unlock(by: Person, address = email) {
    return expectMember(await by.unlockSecurityToken(tokenOf(address)), 'UnlockSecurityTokenSuccess').securityToken;
  }

  test('its owner unlocks it, valid one-time passwords stay valid, and the waits restart', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    await lock(email);
    const code = await makeCode(email);
    expectWait(await signInBy(email, code), 6);
    const { id, failureCount, retryAt, expiresAt } = await unlock(alice);
    assert.deepEqual([id, failureCount, retryAt], [alice.emailToken, 0, null]);
    assert.notEqual(expiresAt, null);
    expectVoid(await signInBy(email, 'WRONG'));
    expectWait(await signInBy(email, 'WRONG'), 1, 1);
    await advance(service, 1);
    expectMember(await signInBy(email, code), 'CheckOneTimePasswordSuccess');
  });

  test('it unlocks the token for every purpose, and no other token', async () => {
    const alice = await insertPerson(service, { email, phone });
    await lock(email);
    await lock(phone);
    await resetBy(email, 'WRONG');
    await unlock(alice);
    assert.deepEqual(
      (await alice.me()).securityTokens.map(({ failureCount }) => failureCount),
      [0, 6],
    );
    expectVoid(await resetBy(email, 'WRONG'));
  });

  test('its owner unlocks a pending address too', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    await alice.updateUser({ email: 'new@a.test' });
    assert.equal((await unlock(alice, 'new@a.test')).verified, false);
  });

  test('it requires a recent authentication of the owner', async () => {
    const alice = await insertPerson(service, { email, hasPassword: true });
    await lock(email);
    await advance(service, 601);
    await expectError(alice.unlockSecurityToken(alice.emailToken), 'FORBIDDEN');
    await unlock(await signIn(service, { email, password }));
  });

  test('its owner unlocks it at most three times a day, to limit repeated guesses', async () => {
    const [alice, root] = await insertPeople(service, [{ email }, { username: 'root', role: 'superuser' }]);
    for (let time = 1; time <= 3; time += 1) {
      expectVoid(await signInBy(email, 'WRONG'));
      await unlock(alice);
    }
    expectVoid(await signInBy(email, 'WRONG'));
    const refused = expectMember(await alice.unlockSecurityToken(alice.emailToken), 'TimeoutError');
    assert.equal(refused.failureCount, null);
    assert.ok(refused.retryAfterSeconds > 86_000 && refused.retryAfterSeconds <= 86_400);
    assert.equal((await alice.me()).securityTokens[0]!.failureCount, 1, 'nothing was cleared');
    await unlock(root);
  });

  test('a superuser unlocks any address, and gets NotFoundError for an address without an account', async () => {
    const [root] = await insertPeople(service, [{ username: 'root', role: 'superuser' }, { email }]);
    await lock(email);
    assert.equal((await unlock(root)).failureCount, 0);
    expectMember(await root.unlockSecurityToken(tokenOf('nobody@a.test')), 'NotFoundError');
  });
});
