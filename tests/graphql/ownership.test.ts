import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { oneTimePasswords, storedNow } from '../../src/database/schema.js';
import type { Answer } from '../support/client.js';
import { expectMember } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPerson,
  issueOneTimePassword,
  type Person,
  password,
  signUp,
  verify,
  verifyUnsent,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

// The proxy lets a test come from several places.
const service = await startService({ TRUST_PROXY: '127.0.0.1', OTP_MAX_FAILURES: '6' });
const anonymous = caller(service);
const hour = 3600;
const newPassword = 'another horse battery';

type Purpose = 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';

/** What belongs to whom: the victim reads one address, the stranger the other. */
const kinds = [
  { kind: 'email', victims: 'victim@a.test', strangers: 'mallory@b.test' },
  { kind: 'phone', victims: '+12025550101', strangers: '+12025550102' },
] as const;

beforeEach(() => clear(service));

const other = (kind: 'email' | 'phone') => (kind === 'email' ? 'phone' : 'email');
const addressOf = (kind: 'email' | 'phone', whose: 'victims' | 'strangers') =>
  kinds.find((one) => one.kind === kind)![whose];

const tokenOf = (address: string) => idOfAddress(service, address);

const makeCode = (address: string, purpose: Purpose) => issueOneTimePassword(service, tokenOf(address), purpose);

/** Whether anything arrives where somebody who is not signed in asks for it. */
async function reaches(address: string, purpose: Purpose): Promise<boolean> {
  const before = (await codesTo(address)).length;
  const sent = await anonymous.sendOneTimePassword(tokenOf(address), purpose);
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess', JSON.stringify(sent));
  await advance(service, 30);
  return (await codesTo(address)).length > before;
}

async function codesTo(address: string): Promise<string[]> {
  const messages = await service.app.outbox();
  return messages.flatMap(({ to, oneTimePassword }) => (to === address && oneTimePassword ? [oneTimePassword] : []));
}

async function signInBy(address: string, code: string) {
  return anonymous.checkOneTimePassword(tokenOf(address), code);
}

async function resetBy(address: string, oneTimePassword: string) {
  return anonymous.resetPassword({ tokenId: tokenOf(address), oneTimePassword, newPassword });
}

const verifyOwn = (owner: Person, address: string) => verifyUnsent(service, owner, tokenOf(address));

async function isSignedIn(session: Caller): Promise<boolean> {
  const { data, errors } = await session.ask('{ me { id } }');
  if (errors) assert.equal(errors[0]?.extensions.code, 'UNAUTHENTICATED');
  return data?.me?.id !== undefined;
}

/** The answer to the check of a verification, by whomever. */
function checkVerification(asker: Caller, tokenId: string, oneTimePassword: string): Promise<Answer> {
  return asker.ask(
    'mutation ($tokenId: ID!, $oneTimePassword: String!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: VERIFICATION) { __typename ... on IdentityError { code } } }',
    { tokenId, oneTimePassword },
  );
}

const codeOf = ({ errors, data }: Answer) => errors?.[0]?.extensions.code ?? JSON.stringify(data);

const isTaken = (result: { issues?: { code: string }[] | undefined }) => result.issues?.[0]?.code === 'TAKEN';

describe('an account that was made with somebody else’s address', () => {
  for (const { kind, victims } of kinds) {
    test(`is the victim’s who signs in by the ${kind}: the stranger’s password and sessions are gone`, async () => {
      const stranger = await insertPerson(service, { username: 'mallory', [kind]: victims, hasPassword: true });
      const { tokens } = expectMember(
        await anonymous.authenticate({ username: 'mallory', password }),
        'AuthenticateSuccess',
      );
      const sessions = [stranger, caller(service, { token: tokens.accessToken })];
      const signedIn = expectMember(
        await signInBy(victims, await makeCode(victims, 'AUTHENTICATION')),
        'CheckOneTimePasswordSuccess',
      );
      const { user } = signedIn;
      assert.deepEqual(user, { ...user, id: stranger.id, hasUsablePassword: false, [`${kind}Verified`]: true });
      for (const session of sessions) assert.equal(await isSignedIn(session), false);
      for (const identifier of ['mallory', victims])
        assert.equal((await anonymous.authenticate({ identifier, password })).__typename, 'InvalidCredentialsError');
      const victim = caller(service, { token: signedIn.tokens!.accessToken });
      assert.equal((await victim.me()).sessions.length, 1);
      assert.equal((await victim.changePassword({ newPassword })).__typename, 'ChangePasswordSuccess');
    });

    test(`keeps its password where its signed-in owner verifies the ${kind}, and at later sign-ins by it`, async () => {
      const owner = await insertPerson(service, { [kind]: victims, hasPassword: true });
      await verifyOwn(owner, victims);
      const signedIn = expectMember(
        await signInBy(victims, await makeCode(victims, 'AUTHENTICATION')),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(signedIn.user.hasUsablePassword, true);
      assert.equal(await isSignedIn(owner), true);
    });

    test(`is not the victim’s by a ${kind} after the stranger has proved another address: a code asked for before is void`, async () => {
      const strangers = addressOf(other(kind), 'strangers');
      const stranger = await insertPerson(service, { [kind]: victims, [other(kind)]: strangers, hasPassword: true });
      const signIn = await makeCode(victims, 'AUTHENTICATION');
      const reset = await makeCode(victims, 'PASSWORD_RESET');
      await verifyOwn(stranger, strangers);
      assert.equal((await signInBy(victims, signIn)).__typename, 'InvalidOneTimePasswordError');
      assert.equal((await resetBy(victims, reset)).__typename, 'InvalidOneTimePasswordError');
      assert.equal(await reaches(victims, 'AUTHENTICATION'), false);
      assert.equal(await isSignedIn(stranger), true);
    });

    test(`is not the stranger’s after the victim has proved the ${kind}: a code asked for before is void`, async () => {
      const strangers = addressOf(other(kind), 'strangers');
      const stranger = await insertPerson(service, { [kind]: victims, [other(kind)]: strangers, hasPassword: true });
      const signIn = await makeCode(strangers, 'AUTHENTICATION');
      const reset = await makeCode(strangers, 'PASSWORD_RESET');
      const verification = await makeCode(strangers, 'VERIFICATION');
      const code = await makeCode(victims, 'AUTHENTICATION');
      assert.equal((await signInBy(victims, code)).__typename, 'CheckOneTimePasswordSuccess');

      assert.equal((await signInBy(strangers, signIn)).__typename, 'InvalidOneTimePasswordError');
      assert.equal((await resetBy(strangers, reset)).__typename, 'InvalidOneTimePasswordError');
      const late = await checkVerification(stranger, tokenOf(strangers), verification);
      assert.equal(codeOf(late), 'UNAUTHENTICATED');
      assert.equal(await reaches(strangers, 'AUTHENTICATION'), false);
      assert.equal(await reaches(strangers, 'PASSWORD_RESET'), false);
    });
  }

  test('is not the victim’s where it has the role of staff', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const stranger = await insertPerson(service, { email: 'victim@a.test', hasPassword: true });
    const code = await makeCode('victim@a.test', 'AUTHENTICATION');
    await root.updateUser({ isStaff: true }, { id: stranger.id });
    assert.equal((await signInBy('victim@a.test', code)).__typename, 'InvalidOneTimePasswordError');
    assert.equal(await reaches('victim@a.test', 'AUTHENTICATION'), false);
  });
});

describe('a mistyped address', () => {
  for (const { kind, victims: own, strangers: mistyped } of kinds)
    for (const proven of [true, false])
      test(`a ${kind} added to an old account ${proven ? 'with' : 'without'} a verified address opens it to nobody`, async () => {
        const owner = await insertPerson(service, {
          username: 'owner',
          [other(kind)]: addressOf(other(kind), 'victims'),
          hasPassword: true,
          verified: proven,
        });
        await advance(service, 7 * 24 * hour);
        await owner.updateUser({ [kind]: mistyped }, { currentPassword: password });
        const code = await makeCode(mistyped, 'VERIFICATION');
        await assertUselessTo(code, mistyped);

        const { user } = expectMember(
          await owner.updateUser({ [kind]: own }, { currentPassword: password }),
          'UpdateUserSuccess',
        );
        assert.equal(user[kind], own);
        await verifyOwn(owner, own);
        assert.equal((await owner.me())[`${kind}Verified`], true);
        await signUp(service, { [kind]: mistyped });
      });

  for (const { kind, victims: own, strangers: mistyped } of kinds)
    test(`a ${kind} that is to replace a verified one locks nobody out and lets nobody in`, async () => {
      const owner = await insertPerson(service, { [kind]: own, hasPassword: true, verified: true });
      await owner.updateUser({ [kind]: mistyped });
      const code = await makeCode(mistyped, 'VERIFICATION');
      await assertUselessTo(code, mistyped);

      const signedIn = expectMember(
        await signInBy(own, await makeCode(own, 'AUTHENTICATION')),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(signedIn.user.id, owner.id);
      const reset = expectMember(await resetBy(own, await makeCode(own, 'PASSWORD_RESET')), 'ResetPasswordSuccess');
      assert.equal(reset.user?.id, owner.id);
      const session = caller(service, { token: reset.tokens.accessToken });
      const late = await checkVerification(session, tokenOf(mistyped), code);
      assert.match(codeOf(late), /INVALID_ONE_TIME_PASSWORD/, 'the reset has made it void');
      const { user } = expectMember(await session.updateUser({ [kind]: own }), 'UpdateUserSuccess');
      assert.deepEqual([user[kind], user.pendingEmail, user.pendingPhone], [own, null, null]);
    });

  /** The stranger who reads what is sent to the mistyped address. */
  async function assertUselessTo(code: string, address: string): Promise<void> {
    const tokenId = tokenOf(address);
    const stranger = await insertPerson(service, { username: 'stranger' });
    assert.equal(codeOf(await checkVerification(anonymous, tokenId, code)), 'UNAUTHENTICATED');
    assert.equal(codeOf(await checkVerification(stranger, tokenId, code)), 'FORBIDDEN');
    assert.equal((await signInBy(address, code)).__typename, 'InvalidOneTimePasswordError');
    assert.equal((await resetBy(address, code)).__typename, 'InvalidOneTimePasswordError');
    assert.equal(await reaches(address, 'AUTHENTICATION'), false);
    assert.equal(await reaches(address, 'PASSWORD_RESET'), false);
  }
});

describe('an address squatted beside a verified one', () => {
  /** The ways to keep somebody else’s address: beside a verified one of the other kind, or waiting to replace one of its own. */
  const squats: { name: string; squat: (kind: 'email' | 'phone', address: string) => Promise<Person> }[] = [
    {
      name: 'added beside a verified address of the other kind',
      async squat(kind, address) {
        const mallory = await insertPerson(service, {
          [other(kind)]: addressOf(other(kind), 'strangers'),
          verified: true,
        });
        await mallory.updateUser({ [kind]: address });
        return mallory;
      },
    },
    {
      name: 'given at sign-up beside one that was verified',
      async squat(kind, address) {
        const identifiers = { [kind]: address, [other(kind)]: addressOf(other(kind), 'strangers') };
        const mallory = await signUp(service, identifiers);
        await verifyOwn(mallory, addressOf(other(kind), 'strangers'));
        return mallory;
      },
    },
    {
      name: 'pending',
      async squat(kind, address) {
        const mallory = await insertPerson(service, { [kind]: addressOf(kind, 'strangers'), verified: true });
        await mallory.updateUser({ [kind]: address });
        return mallory;
      },
    },
  ];

  for (const { kind, victims } of kinds)
    for (const { name, squat } of squats) {
      test(`is released after a day to whoever signs up with it: a ${kind} ${name}`, async () => {
        const mallory = await squat(kind, victims);
        const kept = await mallory.me();
        const code = await makeCode(victims, 'VERIFICATION');
        assert.equal(await reaches(victims, 'AUTHENTICATION'), false);
        await advance(service, 23 * hour);
        assert.ok(isTaken(await anonymous.createUser({ [kind]: victims })));
        await advance(service, hour);
        const victim = await signUp(service, { [kind]: victims });
        assert.deepEqual(
          (await victim.me()).securityTokens.map(({ id }: { id: string }) => id),
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
        assert.equal(codeOf(await checkVerification(mallory, tokenOf(victims), code)), 'FORBIDDEN');
        assert.match(codeOf(await checkVerification(victim, tokenOf(victims), code)), /INVALID_ONE_TIME_PASSWORD/);
        await advance(service, 30);
        assert.equal(
          expectMember(
            await signInBy(victims, await makeCode(victims, 'AUTHENTICATION')),
            'CheckOneTimePasswordSuccess',
          ).user.id,
          victim.id,
        );
      });

      test(`is released after a day to whoever adds it: a ${kind} ${name}`, async () => {
        await squat(kind, victims);
        await advance(service, 23 * hour);
        const victim = await signUp(service, { username: 'victim' });
        assert.ok(isTaken(await victim.updateUser({ [kind]: victims })));
        await advance(service, hour);
        const { __typename, user } = await victim.updateUser({ [kind]: victims }, {});
        assert.equal(__typename, 'InvalidCredentialsError', 'an hour has passed for the victim too');
        assert.equal(user, undefined);
        const fresh = await insertPerson(service, { username: 'fresh' });
        const added = await fresh.updateUser({ [kind]: victims });
        assert.equal(added.user?.[kind], victims);
        await verifyOwn(fresh, victims);
      });
    }

  test('is kept by whoever verifies it within the day', async () => {
    const mallory = await insertPerson(service, { phone: '+12025550102', verified: true });
    await mallory.updateUser({ email: 'mallory@b.test' });
    await verifyOwn(mallory, 'mallory@b.test');
    await advance(service, 48 * hour);
    assert.ok(isTaken(await anonymous.createUser({ email: 'mallory@b.test' })));
  });

  test('has stood beside a verified one for a day only when the other has been verified for a day', async () => {
    const mallory = await insertPerson(service, { email: 'victim@a.test', phone: '+12025550102' });
    await advance(service, 23 * hour);
    await verifyOwn(mallory, '+12025550102');
    await advance(service, 23 * hour);
    assert.ok(isTaken(await anonymous.createUser({ email: 'victim@a.test' })));
    await advance(service, hour);
    await signUp(service, { email: 'victim@a.test' });
  });

  test('is not released where the sign-up is refused for something else', async () => {
    const mallory = await insertPerson(service, { phone: '+12025550102', verified: true });
    await mallory.updateUser({ email: 'victim@a.test' });
    await insertPerson(service, { username: 'taken' });
    await advance(service, 24 * hour);
    const refused = await anonymous.createUser({ username: 'taken', email: 'victim@a.test' });
    assert.equal(refused.__typename, 'ValidationError');
    assert.equal((await mallory.me()).email, 'victim@a.test');
  });

  test('is not released where no verified one stands beside it: whoever reads it proves it', async () => {
    await signUp(service, { username: 'mallory', email: 'victim@a.test', password });
    await advance(service, 48 * hour);
    assert.ok(isTaken(await anonymous.createUser({ email: 'victim@a.test' })));
    const signedIn = expectMember(
      await signInBy('victim@a.test', await makeCode('victim@a.test', 'AUTHENTICATION')),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(signedIn.user.username, 'mallory');
  });
});

describe('a stranger', () => {
  for (const { kind, victims } of kinds) {
    test(`does not spend the owner’s sends: ${kind}`, async () => {
      const owner = await insertPerson(service, { [kind]: victims });
      const tokenId = tokenOf(victims);
      // As many as the limits allow in a day, and then some that they do not.
      for (let sent = 0; sent < 10; sent += 1) {
        const { __typename } = await anonymous.sendOneTimePassword(tokenId);
        assert.equal(__typename, 'SendOneTimePasswordSuccess');
        await advance(service, 720);
      }
      assert.equal((await anonymous.sendOneTimePassword(tokenId)).__typename, 'TimeoutError');
      assert.equal((await anonymous.sendOneTimePassword(tokenId, 'PASSWORD_RESET')).__typename, 'TimeoutError');
      const before = (await codesTo(victims)).length;
      await verify(service, owner, tokenId);
      assert.equal((await codesTo(victims)).length, before + 1);
    });

    test(`does not make the owner wait to verify: ${kind}`, async () => {
      const owner = await insertPerson(service, { [kind]: victims });
      const tokenId = tokenOf(victims);
      const code = await makeCode(victims, 'VERIFICATION');
      for (const wait of [1, 2, 4, 8, 16]) {
        await signInBy(victims, 'WRONG');
        await resetBy(victims, 'WRONG');
        await advance(service, wait);
      }
      await signInBy(victims, 'WRONG');
      assert.equal((await signInBy(victims, 'WRONG')).__typename, 'TimeoutError');
      const verified = await owner.checkOneTimePassword(tokenId, code, 'VERIFICATION');
      assert.equal(verified.__typename, 'CheckOneTimePasswordSuccess');
    });
  }

  test('who fails to sign in keeps the owner out nowhere near, and elsewhere a minute at most', async () => {
    const from = (ipAddress: string) => caller(service, { headers: { 'x-forwarded-for': ipAddress } });
    await from('192.0.2.1').createUser({ username: 'alice', password });
    const stranger = from('198.51.100.1');
    for (let failures = 0; failures < 12; failures += 1) {
      await stranger.authenticate({ username: 'alice', password: 'wrong' });
      await advance(service, 3600);
    }
    await stranger.authenticate({ username: 'alice', password: 'wrong' });
    const own = await from('192.0.2.1').authenticate({ username: 'alice', password: 'wrong' });
    assert.equal(own.__typename, 'InvalidCredentialsError', 'evaluated');
    await advance(service, 1);
    const elsewhere = await from('203.0.113.1').authenticate({ username: 'alice', password });
    assert.equal(elsewhere.__typename, 'TimeoutError');
    assert.ok(elsewhere.retryAfterSeconds <= 60);
    const near = await from('192.0.2.1').authenticate({ username: 'alice', password });
    assert.equal(near.__typename, 'AuthenticateSuccess');
  });
});

for (const proof of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
  test(`from where whoever came before has signed in is no place that the owner is known by, after ${proof}`, async () => {
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    const email = 'victim@a.test';
    await signUp(service, { email, password }, from('203.0.113.7'));
    const code = await makeCode(email, proof);
    const proved = proof === 'AUTHENTICATION' ? await signInBy(email, code) : await resetBy(email, code);
    assert.match(proved.__typename, /Success$/);
    const guess = async (address: string) =>
      (await caller(service, from(address)).authenticate({ email, password: 'wrong' })).__typename;
    assert.equal(await guess('198.51.100.1'), 'InvalidCredentialsError');
    assert.equal(await guess('203.0.113.7'), 'TimeoutError');
  });

describe('unlockSecurityToken', () => {
  const email = 'alice@a.test';
  const document =
    'mutation ($tokenId: ID!) { unlockSecurityToken(tokenId: $tokenId) { __typename ... on IdentityError { code } } }';

  /** Closes the address for a day, as the last failure that the throttle allows does. */
  async function lock(address: string): Promise<void> {
    const failures = { failureCount: 6, retryAt: sql<Date>`${storedNow} + interval '1 day'` };
    await service.app.db
      .insert(oneTimePasswords)
      .values({ tokenId: tokenOf(address), purpose: 'AUTHENTICATION', ...failures })
      .onConflictDoUpdate({ target: [oneTimePasswords.tokenId, oneTimePasswords.purpose], set: failures });
    const closed = expectMember(await signInBy(address, 'WRONG'), 'TimeoutError');
    assert.deepEqual([closed.failureCount, closed.retryAfterSeconds > 86_000], [6, true]);
  }

  test('six failures close the address for a day', async () => {
    for (const wait of [1, 2, 4, 8, 16, 0]) {
      assert.equal((await signInBy(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
      await advance(service, wait);
    }
    const closed = expectMember(await signInBy(email, 'WRONG'), 'TimeoutError');
    assert.deepEqual([closed.failureCount, closed.retryAfterSeconds > 86_000], [6, true]);
  });

  test('its owner frees it, and what is live stays so', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    await advance(service, 30);
    await lock(email);
    const code = await makeCode(email, 'AUTHENTICATION');
    assert.equal((await signInBy(email, code)).__typename, 'TimeoutError');
    const { __typename, securityToken } = await alice.unlockSecurityToken(alice.emailToken);
    assert.equal(__typename, 'UnlockSecurityTokenSuccess');
    assert.deepEqual(
      [securityToken.id, securityToken.failureCount, securityToken.retryAt],
      [alice.emailToken, 0, null],
    );
    assert.notEqual(securityToken.expiresAt, null);
    assert.equal((await signInBy(email, code)).__typename, 'CheckOneTimePasswordSuccess');
  });

  test('the waits begin anew after it', async () => {
    const alice = await insertPerson(service, { email });
    await lock(email);
    await alice.unlockSecurityToken(alice.emailToken);
    assert.equal((await signInBy(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
    const early = await signInBy(email, 'WRONG');
    assert.deepEqual([early.failureCount, early.retryAfterSeconds], [1, 1]);
  });

  test('it frees the token for every purpose, and no other token', async () => {
    const alice = await insertPerson(service, { email, phone: '+12025550101' });
    await lock(email);
    await lock('+12025550101');
    await resetBy(email, 'WRONG');
    await alice.unlockSecurityToken(alice.emailToken);
    const [emailToken, phoneToken] = (await alice.me()).securityTokens;
    assert.deepEqual([emailToken!.failureCount, phoneToken!.failureCount], [0, 6]);
    assert.equal((await resetBy(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
  });

  test('its owner frees a pending one too', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    await alice.updateUser({ email: 'new@a.test' });
    const { __typename, securityToken } = expectMember(
      await alice.unlockSecurityToken(tokenOf('new@a.test')),
      'UnlockSecurityTokenSuccess',
    );
    assert.deepEqual([__typename, securityToken.verified], ['UnlockSecurityTokenSuccess', false]);
  });

  test('its owner has to have authenticated lately', async () => {
    const alice = await insertPerson(service, { email, hasPassword: true });
    await lock(email);
    await advance(service, 601);
    assert.equal(codeOf(await alice.ask(document, { tokenId: alice.emailToken })), 'FORBIDDEN');
    const { tokens } = expectMember(await anonymous.authenticate({ email, password }), 'AuthenticateSuccess');
    const session = caller(service, { token: tokens.accessToken });
    assert.equal((await session.unlockSecurityToken(alice.emailToken)).__typename, 'UnlockSecurityTokenSuccess');
  });

  test('its owner frees it three times a day, so that nobody guesses and unlocks again and again', async () => {
    const alice = await insertPerson(service, { email });
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    for (let time = 1; time <= 3; time += 1) {
      assert.equal((await signInBy(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
      assert.equal((await alice.unlockSecurityToken(alice.emailToken)).__typename, 'UnlockSecurityTokenSuccess');
    }
    assert.equal((await signInBy(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
    const refused = expectMember(await alice.unlockSecurityToken(alice.emailToken), 'TimeoutError');
    assert.deepEqual([refused.__typename, refused.failureCount], ['TimeoutError', null]);
    assert.ok(refused.retryAfterSeconds > 86_000 && refused.retryAfterSeconds <= 86_400);
    const [token] = (await alice.me()).securityTokens;
    assert.equal(token!.failureCount, 1, 'nothing was cleared');
    assert.equal((await root.unlockSecurityToken(alice.emailToken)).__typename, 'UnlockSecurityTokenSuccess');
  });

  test('a superuser frees anybody’s; where nobody has the address there is nothing to free', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    await insertPerson(service, { email });
    await lock(email);
    assert.equal((await root.unlockSecurityToken(tokenOf(email))).securityToken?.failureCount, 0);
    assert.equal((await root.unlockSecurityToken(tokenOf('nobody@a.test'))).__typename, 'NotFoundError');
  });
});
