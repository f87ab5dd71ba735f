/** Ownership of accounts with an address of another person, and attacks on the owner. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { eq, sql } from 'drizzle-orm';
import { type AuditEventKind, auditEvents as audited, oneTimePasswords, storedNow } from '../../src/database/schema.js';
import { getUser } from '../../src/database/users.queries.js';
import { applyFlags } from '../../src/domain/accounts/profile.js';
import { expectError, expectMember, expectWait, issuesOf } from '../support/client.js';
import type { AccountFragment, SessionAndTokensFragment } from '../support/generated/graphql.js';
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

const pendingOf = (user: { pendingEmail: string | null; pendingPhone: string | null }, kind: 'email' | 'phone') =>
  kind === 'email' ? user.pendingEmail : user.pendingPhone;

async function auditEvents(kind: AuditEventKind) {
  return service.app.db.select().from(audited).where(eq(audited.kind, kind));
}

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
      // Nothing of before is left, so the session counts as that of a sign-up.
      expectMember(await victim.changePassword({ newPassword }), 'ChangePasswordSuccess');
    });

    test(`keeps its password if its signed-in owner verifies the ${kind}, and at later sign-ins by it`, async () => {
      const owner = await insertPerson(service, { [kind]: victims, hasPassword: true });
      const elsewhere = await signIn(service, { [kind]: victims, password });
      await verifyAddress(owner, victims);
      assert.equal((await expectSignIn(victims)).user.hasUsablePassword, true);
      for (const session of [owner, elsewhere]) assert.equal(await session.isSignedIn(), true);
    });

    for (const [after, purpose] of [
      ['verifies another address', 'AUTHENTICATION'],
      ['is deleted', 'PASSWORD_RESET'],
      ['is deactivated', 'AUTHENTICATION'],
      ['gives the address up', 'PASSWORD_RESET'],
    ] as const)
      test(`leaves the victim’s earlier code for the ${kind} valid if it ${after}: it leads to an account of their own`, async () => {
        const { stranger, code } = await squat(purpose);
        await afterwards[after](stranger);
        const proven = await (purpose === 'AUTHENTICATION' ? signInBy(victims, code) : resetBy(victims, code));
        const { user, tokens } = proven as { user: AccountFragment; tokens: SessionAndTokensFragment };
        assert.notEqual(user.id, stranger.id);
        assert.deepEqual(user, { ...user, username: null, [kind]: victims, [`${kind}Verified`]: true });
        const victim = person(service, user, tokens);
        assert.equal((await victim.me()).sessions.length, 1);
        await expectTaken({ [kind]: victims });
      });

    /** A stranger who signed up with the victim's address and their own, and the victim's code. */
    const squat = async (purpose: 'AUTHENTICATION' | 'PASSWORD_RESET') => {
      const strangers = strangersOf[other];
      const [stranger] = await insertPeople(service, [
        { username: 'mallory', [kind]: victims, [other]: strangers, hasPassword: true },
        { username: 'staff', role: 'staff' },
      ]);
      return { stranger, code: await makeCode(victims, purpose) };
    };

    const afterwards = {
      'verifies another address': (stranger: Person) => verifyAddress(stranger, strangersOf[other]),
      'is deleted': async (stranger: Person) => void expectMember(await stranger.deleteUser(), 'DeleteUserSuccess'),
      'is deactivated': async (stranger: Person) =>
        void (await service.app.db.transaction(async (tx) =>
          applyFlags(tx, await getUser(tx, stranger.id), { isActive: false }),
        )),
      'gives the address up': async (stranger: Person) =>
        void expectMember(await stranger.updateUser({ [kind]: null }), 'UpdateUserSuccess'),
    };

    test(`gives the victim’s code the next account that reserves the ${kind}`, async () => {
      const { stranger, code } = await squat('AUTHENTICATION');
      await stranger.deleteUser();
      const next = await signUp(service, { [kind]: victims, username: 'next', password });
      const { user } = expectMember(await signInBy(victims, code), 'CheckOneTimePasswordSuccess');
      assert.deepEqual([user.id, user.hasUsablePassword], [next.id, false]);
      assert.equal(await next.isSignedIn(), false);
    });

    test(`refuses the victim’s earlier code once an account has verified the ${kind}`, async () => {
      const { stranger, code } = await squat('AUTHENTICATION');
      await stranger.deleteUser();
      const next = await signUp(service, { [kind]: victims });
      await verifyAddress(next, victims);
      expectVoid(await signInBy(victims, code));
      assert.equal(await next.isSignedIn(), true);
    });

    test(`drops the stranger’s addresses if the victim verifies the ${kind}: their codes lead elsewhere`, async () => {
      const strangers = strangersOf[other];
      const [stranger] = await insertPeople(service, [{ [kind]: victims, [other]: strangers, hasPassword: true }]);
      await stranger.updateUser({ [other]: strangers });
      const codes = {
        signIn: await makeCode(strangers),
        verification: await makeCode(strangers, 'VERIFICATION'),
      };
      const { user: victim } = await expectSignIn(victims);
      assert.deepEqual(
        [victim[other], victim.pendingEmail, victim.pendingPhone, victim.securityTokens.length],
        [null, null, null, 1],
      );
      await expectError(check(stranger, strangers, codes.verification, 'VERIFICATION'), 'UNAUTHENTICATED');
      for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
        assert.equal(await reaches(strangers, purpose), false);
      const own = expectMember(await signInBy(strangers, codes.signIn), 'CheckOneTimePasswordSuccess').user;
      assert.notEqual(own.id, victim.id);
    });
  }

  test('drops its pending addresses too', async () => {
    const stranger = await insertPerson(service, { email: 'victim@a.test', hasPassword: true });
    await stranger.updateUser({ phone: '+12025550102' });
    const { user } = await expectSignIn('victim@a.test');
    assert.equal(user.pendingPhone, null);
  });

  test('turns its other address into a pending one if its signed-in owner verifies one', async () => {
    const owner = await insertPerson(service, { email: 'own@a.test', phone: '+12025550102', hasPassword: true });
    await verifyAddress(owner, 'own@a.test');
    const me = await owner.me();
    assert.deepEqual([me.phone, me.phoneVerified, me.pendingPhone], [null, null, '+12025550102']);
    await verifyAddress(owner, '+12025550102');
    assert.deepEqual((await owner.me()).phoneVerified, true);
  });
});

describe('a mistyped address', () => {
  for (const { kind, victims: own, strangers: mistyped } of kinds) {
    test(`a ${kind} that is added reserves nothing, signs nobody in, and is replaced by the right one`, async () => {
      const owner = await insertPerson(service, { username: 'owner', hasPassword: true });
      const { user } = expectMember(await owner.updateUser({ [kind]: mistyped }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], pendingOf(user, kind)], [null, mistyped]);
      await assertUselessTo(await makeCode(mistyped, 'VERIFICATION'), mistyped);
      await owner.updateUser({ [kind]: own });
      await verifyAddress(owner, own);
      const me = await owner.me();
      assert.deepEqual([me[kind], me[`${kind}Verified`], pendingOf(me, kind)], [own, true, null]);
      await signUp(service, { [kind]: mistyped });
    });

    test(`a ${kind} that replaces a verified one leaves it in force until it is verified`, async () => {
      const owner = await insertPerson(service, { [kind]: own, hasPassword: true, verified: true });
      await owner.updateUser({ [kind]: mistyped });
      await assertUselessTo(await makeCode(mistyped, 'VERIFICATION'), mistyped);
      assert.equal((await expectSignIn(own)).user.id, owner.id);
      const reset = await resetBy(own, await makeCode(own, 'PASSWORD_RESET'));
      assert.equal(expectMember(reset, 'ResetPasswordSuccess').user.id, owner.id);
    });

    test(`a ${kind} given at sign-up is replaced by the right one once that is verified`, async () => {
      const owner = await insertPerson(service, { [kind]: mistyped, hasPassword: true });
      const { user } = expectMember(await owner.updateUser({ [kind]: own }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], pendingOf(user, kind)], [mistyped, own]);
      await verifyAddress(owner, own);
      const me = await owner.me();
      assert.deepEqual([me[kind], me[`${kind}Verified`], pendingOf(me, kind)], [own, true, null]);
      await signUp(service, { [kind]: mistyped });
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

  test('receives its code at once, and the code works', async () => {
    const owner = await insertPerson(service, { username: 'owner', hasPassword: true });
    await owner.updateUser({ email: 'new@a.test' });
    const [message] = await service.app.outbox();
    assert.equal(message?.to, 'new@a.test');
    const checked = await check(owner, 'new@a.test', message.oneTimePassword ?? '', 'VERIFICATION');
    assert.equal(expectMember(checked, 'CheckOneTimePasswordSuccess').user.emailVerified, true);
  });

  test('receives at most ten codes a day, however many accounts hold it', async () => {
    for (let account = 0; account < 12; account += 1) {
      const squatter = await insertPerson(service, { username: `squatter${account}` });
      await squatter.updateUser({ email: 'victim@a.test' });
    }
    assert.equal(await countCodesTo('victim@a.test'), 10);
  });
});

describe('an address that another account holds pending', () => {
  type Kind = (typeof kinds)[number];
  /** Ways to hold the address of another person. */
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
    async 'in place of a verified one'({ kind, victims, strangers }) {
      const mallory = await insertPerson(service, { [kind]: strangers, verified: true });
      await mallory.updateUser({ [kind]: victims });
      return mallory;
    },
    async 'as the only address of a superuser'({ kind, victims }) {
      const root = await insertPerson(service, { username: 'root', role: 'superuser' });
      const made = await root.createSuperuser({ [kind]: victims, password });
      expectMember(made, 'CreateSuperuserSuccess');
      return signIn(service, { [kind]: victims, password });
    },
  };

  for (const of of kinds)
    for (const [name, squat] of Object.entries(squats)) {
      const { kind, victims } = of;
      test(`reserves nothing, and the claim ends when the victim verifies it: a ${kind} ${name}`, async () => {
        const mallory = await squat(of);
        const kept = await mallory.me();
        assert.equal(pendingOf(kept, kind), victims);
        assert.equal(await reaches(victims, 'AUTHENTICATION'), false);
        const victim = await signUp(service, { [kind]: victims });
        assert.equal(pendingOf(await mallory.me(), kind), victims);
        assert.equal((await expectSignIn(victims)).user.id, victim.id);
        const left = await mallory.me();
        assert.equal(pendingOf(left, kind), null);
        if (kept.username === null && kept.email === null && kept.phone === null)
          assert.match(left.username ?? '', /^user-[a-z0-9]{10}$/);
        else assert.equal(left.username, kept.username);
        assert.deepEqual([left.emailVerified, left.phoneVerified], [kept.emailVerified, kept.phoneVerified]);
        await expectTaken({ [kind]: victims });
      });
    }

  const email = 'victim@a.test';

  test('moves to the account that verifies it, and a reservation ends', async () => {
    const [early, late] = await insertPeople(service, [{ username: 'early', hasPassword: true }, { username: 'late' }]);
    await early.updateUser({ email });
    await late.updateUser({ email });
    const reserving = await signUp(service, { email, password });
    await verifyAddress(late, email);
    assert.deepEqual([(await late.me()).email, (await late.me()).emailVerified], [email, true]);
    assert.equal((await early.me()).pendingEmail, null);
    const loser = await reserving.me();
    assert.deepEqual([loser.email, /^user-[a-z0-9]{10}$/.test(loser.username ?? '')], [null, true]);
    assert.equal(await signsIn(service, loser.username ?? '', password), true);
    const lost = await auditEvents('ADDRESS_LOST');
    assert.deepEqual(
      lost.map(({ subjectId, actorId }) => [subjectId, actorId]).sort(),
      [
        [early.id, late.id],
        [reserving.id, late.id],
      ].sort(),
    );
  });

  test('is refused to the later of two accounts that verify it', async () => {
    const [first, second] = await insertPeople(service, [{ username: 'first' }, { username: 'second' }]);
    for (const { updateUser } of [first, second]) await updateUser({ email });
    const codes = [];
    for (const one of [first, second]) {
      await one.sendOneTimePassword(tokenOf(email), 'VERIFICATION');
      codes.push((await service.app.outbox())[0]?.oneTimePassword ?? '');
    }
    assert.equal((await check(second, email, codes[1]!, 'VERIFICATION')).__typename, 'CheckOneTimePasswordSuccess');
    await expectError(check(first, email, codes[0]!, 'VERIFICATION'), 'FORBIDDEN');
  });

  test('has codes and failures of its own in each account', async () => {
    const [first, second] = await insertPeople(service, [{ username: 'first' }, { username: 'second' }]);
    for (const { updateUser } of [first, second]) await updateUser({ email });
    await first.sendOneTimePassword(tokenOf(email), 'VERIFICATION');
    const code = (await service.app.outbox())[0]?.oneTimePassword ?? '';
    expectVoid(await check(second, email, code, 'VERIFICATION'));
    expectWait(await check(second, email, code, 'VERIFICATION'), 1, 1);
    assert.equal((await check(first, email, code, 'VERIFICATION')).__typename, 'CheckOneTimePasswordSuccess');
  });

  test('signs in by password the account that verified it, else that reserves it, else the oldest', async () => {
    const words = ['one horse battery', 'two horse battery', 'three horse battery'];
    const [old, young] = await insertPeople(service, [{ username: 'old' }, { username: 'young' }]);
    for (const [index, one] of [old, young].entries()) {
      expectMember(await one.changePassword({ newPassword: words[index]! }), 'ChangePasswordSuccess');
      await one.updateUser({ email });
      await advance(service, 1);
    }
    const signInAs = async () => {
      const found: boolean[] = [];
      for (const each of words) {
        found.push(await signsIn(service, email, each));
        await advance(service, 60);
      }
      return found;
    };
    assert.deepEqual(await signInAs(), [true, false, false]);
    const third = await signUp(service, { email, password: words[2]! });
    assert.deepEqual(await signInAs(), [false, false, true]);
    await verifyAddress(young, email);
    assert.deepEqual(await signInAs(), [false, true, false]);
    assert.equal((await third.me()).email, null);
  });

  for (const free of [true, false])
    test(`of an inactive account reserves nothing, and is reserved again ${free ? 'with it' : 'unless it was taken'}`, async () => {
      const [root, mallory] = await insertPeople(service, [
        { username: 'root', role: 'superuser' },
        { email, phone: '+12025550102' },
      ]);
      await expectTaken({ email });
      const inactive = expectMember(
        await root.updateUser({ isActive: false }, { id: mallory.id }),
        'UpdateUserSuccess',
      );
      assert.deepEqual([inactive.user.email, inactive.user.pendingEmail], [null, email]);
      assert.match(inactive.user.username ?? '', /^user-[a-z0-9]{10}$/);
      if (!free) await signUp(service, { email });
      const { user } = expectMember(await root.updateUser({ isActive: true }, { id: mallory.id }), 'UpdateUserSuccess');
      assert.deepEqual([user.email, user.pendingEmail], free ? [email, null] : [null, email]);
      assert.deepEqual([user.phone, user.phoneVerified, user.pendingPhone], ['+12025550102', false, null]);
      await expectTaken({ email });
    });

  test('stays taken after it was verified, also by an account that is inactive', async () => {
    const [root, owner] = await insertPeople(service, [
      { username: 'root', role: 'superuser' },
      { email, verified: true },
    ]);
    await root.updateUser({ isActive: false }, { id: owner.id });
    await expectTaken({ email });
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
    expectMember(await alice.unlockSecurityToken(alice.emailToken), 'StepUpRequiredError');
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
