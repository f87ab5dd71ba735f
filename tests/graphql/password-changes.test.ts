import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { oneTimePasswords } from '../../src/database/schema.js';
import { type Answer, expectMember, issuesOf, oneTimePasswordSentTo } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPerson,
  issueOneTimePassword,
  type Person,
  password,
  signUp,
  verifyUnsent,
} from '../support/people.js';
import { connect } from '../support/replicas.js';
import {
  advance,
  clear,
  createDatabase,
  sharedSecrets,
  spawnService,
  startService,
  temporaryFolder,
} from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const email = 'alice.liddell@wonderland.example';
const phone = '+12025550101';
const newPassword = 'another horse battery';

type Purpose = 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';

beforeEach(() => clear(service));

const tokenOf = (address: string) => idOfAddress(service, address);

const makeCode = (address: string, purpose: Purpose) => issueOneTimePassword(service, tokenOf(address), purpose);

async function reset(address: string, oneTimePassword: string, chosen = newPassword) {
  return anonymous.resetPassword({ tokenId: tokenOf(address), oneTimePassword, newPassword: chosen });
}

async function signInWith(identifier: string, typed: string): Promise<Caller> {
  const { __typename, tokens } = await anonymous.authenticate({ identifier, password: typed });
  assert.equal(__typename, 'AuthenticateSuccess');
  return caller(service, { token: tokens.accessToken });
}

async function isSignedIn(session: Caller): Promise<boolean> {
  const { data, errors } = await session.ask('{ me { id } }');
  if (errors) assert.equal(errors[0]?.extensions.code, 'UNAUTHENTICATED');
  return data?.me?.id !== undefined;
}

async function opens(identifier: string, typed: string): Promise<boolean> {
  const { __typename } = await anonymous.authenticate({ identifier, password: typed });
  if (__typename !== 'AuthenticateSuccess') assert.equal(__typename, 'InvalidCredentialsError');
  await advance(service, 3600);
  return __typename === 'AuthenticateSuccess';
}

const errorCode = ({ errors }: Answer) => errors?.[0]?.extensions.code;

/** Passwords that no account may have, and one that only Alice may not. */
const refused: [password: string, code: string][] = [
  ['', 'BLANK'],
  ['short', 'TOO_SHORT'],
  ['é̃'.repeat(129), 'TOO_LONG'],
  ['password1', 'TOO_COMMON'],
];
const similar = email.toUpperCase();

describe('changePassword', () => {
  test('the new password signs in and the old one does not; other sessions end, this one stays', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    const others = [await signInWith('alice', password), await signInWith('alice', password)];
    const told = (await service.app.outbox()).length;

    const changed = await alice.changePassword({ currentPassword: password, newPassword });
    assert.equal(changed.__typename, 'ChangePasswordSuccess', JSON.stringify(changed));
    assert.equal(changed.user.id, alice.id);
    assert.equal(changed.user.sessions.length, 1);
    assert.equal(await isSignedIn(alice), true);
    for (const other of others) assert.equal(await isSignedIn(other), false);
    assert.equal(await opens('alice', newPassword), true);
    assert.equal(await opens('alice', password), false);
    const [notice, ...rest] = await service.app.outbox();
    assert.equal(rest.length, told);
    assert.deepEqual([notice?.to, notice?.subject], [email, 'Your password was changed']);
  });

  for (const [typed, code] of [...refused, [similar, 'TOO_SIMILAR']] as const)
    test(`a new password that is ${code} is refused`, async () => {
      const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true });
      assert.deepEqual(issuesOf(await alice.changePassword({ currentPassword: password, newPassword: typed })), [
        `newPassword ${code}`,
      ]);
      assert.equal(await opens('alice', password), true);
    });

  test('having signed up or signed in by password is not enough without the current password', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const session of [alice, await signInWith('alice', password)])
      for (const input of [{ newPassword }, { newPassword, currentPassword: null }])
        assert.equal((await session.changePassword(input)).__typename, 'InvalidCredentialsError');
    assert.equal(await opens('alice', password), true);
  });

  test('a one-time password in this session within ten minutes is enough', async () => {
    const alice = await insertPerson(service, { email, hasPassword: true });
    await verifyUnsent(service, alice, alice.emailToken);
    await advance(service, 590);
    assert.equal((await alice.changePassword({ newPassword })).__typename, 'ChangePasswordSuccess');
    await advance(service, 11);
    assert.equal((await alice.changePassword({ newPassword: password })).__typename, 'InvalidCredentialsError');
  });

  test('a one-time password in another session is not enough', async () => {
    const alice = await insertPerson(service, { email, hasPassword: true });
    const other = await signInWith(email, password);
    await verifyUnsent(service, alice, alice.emailToken);
    assert.equal((await other.changePassword({ newPassword })).__typename, 'InvalidCredentialsError');
  });

  test('an account without a password gets its first one after a sign-in by one-time password', async () => {
    const alice = await insertPerson(service, { email });
    for (const input of [{ newPassword }, { newPassword, currentPassword: '' }])
      assert.equal((await alice.changePassword(input)).__typename, 'InvalidCredentialsError');
    const code = await makeCode(email, 'AUTHENTICATION');
    const { tokens } = expectMember(
      await anonymous.checkOneTimePassword(alice.emailToken, code),
      'CheckOneTimePasswordSuccess',
    );
    const session = caller(service, { token: tokens!.accessToken });
    const changed = await session.changePassword({ newPassword });
    assert.equal(changed.user?.hasUsablePassword, true);
    assert.equal(await opens(email, newPassword), true);
  });

  test('of ten changes at once one takes place', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const candidates = Array.from({ length: 10 }, (_, index) => `${newPassword} ${index}`);
    const results = await Promise.all(
      candidates.map((candidate) => alice.changePassword({ currentPassword: password, newPassword: candidate })),
    );
    const changed = candidates.filter((_, index) => results[index]!.__typename === 'ChangePasswordSuccess');
    assert.equal(changed.length, 1);
    assert.equal(await opens('alice', changed[0]!), true);
  });

  test('nobody who is not signed in changes a password', async () => {
    const document = 'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }';
    assert.equal(
      errorCode(await anonymous.ask(document, { input: { currentPassword: password, newPassword } })),
      'UNAUTHENTICATED',
    );
  });
});

describe('setUserPassword', () => {
  test('a superuser sets another’s password, which ends all sessions of that user', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    const other = await signInWith('alice', password);
    const set = await root.setUserPassword(alice.id, newPassword);
    assert.equal(set.__typename, 'SetUserPasswordSuccess', JSON.stringify(set));
    assert.deepEqual([set.user.id, set.user.hasUsablePassword, set.user.sessions], [alice.id, true, []]);
    for (const session of [alice, other]) assert.equal(await isSignedIn(session), false);
    assert.equal(await isSignedIn(root), true);
    assert.equal((await service.app.outbox())[0]?.subject, 'Your password was changed');
    assert.equal(await opens('alice', newPassword), true);
    assert.equal(await opens('alice', password), false);
  });

  test('an account without a password gets one, and another superuser too', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await insertPerson(service, { username: 'alice' });
    const { user: second } = expectMember(await root.createSuperuser({ username: 'second' }), 'CreateSuperuserSuccess');
    for (const { id, username } of [{ id: alice.id, username: 'alice' }, second]) {
      assert.equal((await root.setUserPassword(id, newPassword)).__typename, 'SetUserPasswordSuccess');
      assert.equal(await opens(username!, newPassword), true);
    }
  });

  test('the password is judged with the identifiers of the user who gets it', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await insertPerson(service, { email, hasPassword: true });
    const bob = await insertPerson(service, { username: 'bob' });
    for (const [typed, code] of [...refused, [similar, 'TOO_SIMILAR']] as const)
      assert.deepEqual(issuesOf(await root.setUserPassword(alice.id, typed)), [`newPassword ${code}`]);
    assert.equal(await isSignedIn(alice), true);
    assert.equal((await root.setUserPassword(bob.id, similar)).__typename, 'SetUserPasswordSuccess');
  });
});

describe('resetPassword', () => {
  /** Whoever has a verified email, and the one-time password that was sent there. */
  async function ask(): Promise<{ alice: Person; code: string }> {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    return { alice, code: await makeCode(email, 'PASSWORD_RESET') };
  }

  async function failureCount(alice: Person): Promise<number | null> {
    return (await alice.me()).securityTokens[0]!.failureCount;
  }

  test('sets the password, ends every session and opens one', async () => {
    const { alice, code } = await ask();
    const other = await signInWith('alice', password);
    const done = await reset(email, code.toLowerCase());
    assert.equal(done.__typename, 'ResetPasswordSuccess', JSON.stringify(done));
    assert.equal(done.user.id, alice.id);
    assert.deepEqual(
      done.user.sessions.map(({ current }: { current: boolean }) => current),
      [true],
    );
    assert.deepEqual(done.tokens.session.authenticationMethods, ['EMAIL_ONE_TIME_PASSWORD']);
    for (const session of [alice, other]) assert.equal(await isSignedIn(session), false);
    const session = caller(service, { token: done.tokens.accessToken });
    assert.equal(await isSignedIn(session), true);
    assert.equal((await service.app.outbox())[0]?.subject, 'Your password was changed');
    assert.equal(
      (await session.changePassword({ newPassword: `${newPassword} 2` })).__typename,
      'ChangePasswordSuccess',
    );
    assert.equal(await opens('alice', `${newPassword} 2`), true);
    assert.equal(await opens('alice', password), false);
  });

  test('by phone as by email', async () => {
    await insertPerson(service, { phone, hasPassword: true, verified: true });
    const done = await reset(phone, await makeCode(phone, 'PASSWORD_RESET'));
    assert.deepEqual(done.tokens?.session.authenticationMethods, ['PHONE_ONE_TIME_PASSWORD']);
    assert.equal(await opens(phone, newPassword), true);
  });

  test('the one-time password is spent by it', async () => {
    const { code } = await ask();
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
    assert.equal((await reset(email, code, `${newPassword} 2`)).__typename, 'InvalidOneTimePasswordError');
    assert.equal(await opens('alice', newPassword), true);
  });

  test('an expired one-time password is refused', async () => {
    const { code } = await ask();
    await advance(service, 600);
    assert.equal((await reset(email, code)).__typename, 'InvalidOneTimePasswordError');
    assert.equal(await opens('alice', password), true);
  });

  test('a password that nobody may have is refused before the one-time password is looked at', async () => {
    const { alice, code } = await ask();
    for (const [typed, issue] of refused)
      for (const oneTimePassword of [code, 'WRONG'])
        assert.deepEqual(issuesOf(await reset(email, oneTimePassword, typed)), [`newPassword ${issue}`]);
    assert.equal(await failureCount(alice), 0);
    assert.equal((await reset(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
    for (const [typed, issue] of refused)
      assert.deepEqual(issuesOf(await reset(email, code, typed)), [`newPassword ${issue}`], 'before the timeout too');
    await advance(service, 1);
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
  });

  test('a wrong one-time password is counted, and the waits grow', async () => {
    const { alice, code } = await ask();
    for (const [index, wait] of [1, 2, 4, 8].entries()) {
      assert.equal((await reset(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
      assert.equal(await failureCount(alice), index + 1);
      const early = await reset(email, code);
      assert.deepEqual(
        [early.__typename, early.failureCount, early.retryAfterSeconds],
        ['TimeoutError', index + 1, wait],
      );
      await advance(service, wait);
    }
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
    const { tokens } = expectMember(
      await anonymous.authenticate({ username: 'alice', password: newPassword }),
      'AuthenticateSuccess',
    );
    const [token] = (await caller(service, { token: tokens.accessToken }).me()).securityTokens;
    assert.deepEqual([token!.failureCount, token!.retryAt, token!.expiresAt], [0, null, null]);
  });

  test('a password too similar to the user neither counts nor spends: the same one-time password is good at once', async () => {
    const { alice, code } = await ask();
    for (let round = 0; round < 3; round += 1)
      assert.deepEqual(issuesOf(await reset(email, code, similar)), ['newPassword TOO_SIMILAR']);
    assert.equal(await failureCount(alice), 0);
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
  });

  test('a password too similar to the user leaves an earlier failure counted', async () => {
    const { alice, code } = await ask();
    for (const wait of [1, 2]) {
      await reset(email, 'WRONG');
      await advance(service, wait);
    }
    assert.deepEqual(issuesOf(await reset(email, code, similar)), ['newPassword TOO_SIMILAR']);
    assert.equal(await failureCount(alice), 2);
    assert.equal((await reset(email, 'WRONG')).__typename, 'InvalidOneTimePasswordError');
    const early = await reset(email, code);
    assert.deepEqual([early.failureCount, early.retryAfterSeconds], [3, 4]);
    await advance(service, 4);
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
  });

  test('only whoever has the one-time password is told that a password is too similar', async () => {
    await ask();
    assert.equal((await reset(email, 'WRONG', similar)).__typename, 'InvalidOneTimePasswordError');
  });

  test('an address that nobody has is answered like one that somebody has', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    await insertPerson(service, { username: 'alice', email, hasPassword: true, verified: true });
    const inactive = await insertPerson(service, { email: 'inactive@a.test', verified: true });
    await root.updateUser({ isActive: false }, { id: inactive.id });
    const later = await insertPerson(service, { username: 'later' });
    await later.updateUser({ email: 'later@a.test' });

    /** What a stranger is told, less what is bound to differ. */
    async function transcript(address: string): Promise<unknown[]> {
      const told: unknown[] = [];
      const tell = ({ retryAt: _, expiresAt: __, ...facts }: Record<string, unknown>) => told.push(facts);
      const tokenId = tokenOf(address);
      for (let round = 1; round <= 5; round += 1) {
        tell(await anonymous.sendOneTimePassword(tokenId, 'PASSWORD_RESET'));
        tell(await reset(address, 'WRONG', 'short'));
        tell(await reset(address, 'WRONG', 'password1'));
        tell(await reset(address, 'WRONG', similar));
        tell(await reset(address, '', newPassword));
        await advance(service, 2 ** (round - 1));
        tell(await reset(address, 'WRONG'));
        await advance(service, 3600);
      }
      return told;
    }
    const expected = await transcript(email);
    assert.ok(expected.some((answer) => (answer as Record<string, unknown>).__typename === 'TimeoutError'));
    for (const address of ['nobody@a.test', 'inactive@a.test', 'later@a.test'])
      assert.deepEqual(await transcript(address), expected, address);
  });

  test('whoever proves an address given at sign-up becomes the owner: password and sessions from before are gone', async () => {
    const stranger = await insertPerson(service, { username: 'mallory', email, phone, hasPassword: true });
    const other = await signInWith('mallory', password);
    const strangersCode = await makeCode(phone, 'PASSWORD_RESET');

    const done = await reset(email, await makeCode(email, 'PASSWORD_RESET'));
    assert.deepEqual([done.user?.id, done.user?.emailVerified, done.user?.phoneVerified], [stranger.id, true, false]);
    for (const session of [stranger, other]) assert.equal(await isSignedIn(session), false);
    assert.equal(await opens('mallory', password), false);
    assert.equal(await opens('mallory', newPassword), true);
    // The stranger's phone was given at sign-up too, but the account has an owner now.
    assert.equal((await reset(phone, strangersCode)).__typename, 'InvalidOneTimePasswordError');
    const messages = (await service.app.outbox()).length;
    await anonymous.sendOneTimePassword(tokenOf(phone), 'PASSWORD_RESET');
    assert.equal((await service.app.outbox()).length, messages);
  });

  test('is for staff and superusers by a verified address alone', async () => {
    const root = await insertPerson(service, { email: 'root@a.test', role: 'superuser' });
    const staff = await insertPerson(service, { email, hasPassword: true });
    const code = await makeCode(email, 'PASSWORD_RESET');
    await root.updateUser({ isStaff: true }, { id: staff.id });
    assert.equal((await reset(email, code)).__typename, 'InvalidOneTimePasswordError');
    const messages = (await service.app.outbox()).length;
    for (const address of [email, 'root@a.test'])
      await anonymous.sendOneTimePassword(tokenOf(address), 'PASSWORD_RESET');
    assert.equal((await service.app.outbox()).length, messages);
    await advance(service, 30);
    await verifyUnsent(service, staff, staff.emailToken);
    const done = await reset(email, await makeCode(email, 'PASSWORD_RESET'));
    assert.equal(done.__typename, 'ResetPasswordSuccess');
  });

  test('an inactive account is not reset', async () => {
    const { alice, code } = await ask();
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    await root.updateUser({ isActive: false }, { id: alice.id });
    assert.equal((await reset(email, code)).__typename, 'InvalidOneTimePasswordError');
    await root.updateUser({ isActive: true }, { id: alice.id });
    assert.equal(await opens('alice', password), true);
  });

  test('no other one-time password is good for it, nor anything that is none', async () => {
    const { alice, code } = await ask();
    await insertPerson(service, { email: 'bob@a.test', verified: true });
    const others = {
      VERIFICATION: await makeCode(email, 'VERIFICATION'),
      AUTHENTICATION: await makeCode(email, 'AUTHENTICATION'),
      'another’s': await makeCode('bob@a.test', 'PASSWORD_RESET'),
      empty: '',
      'empty but for what does not count': ' - -',
    };
    for (const [what, typed] of Object.entries(others)) {
      assert.equal((await reset(email, typed)).__typename, 'InvalidOneTimePasswordError', what);
      await advance(service, 16);
    }
    const document = 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }';
    for (const oneTimePassword of [undefined, null, 0, 12345678, true, [code, code], { code }])
      assert.equal(
        errorCode(
          await anonymous.ask(document, { input: { tokenId: alice.emailToken, oneTimePassword, newPassword } }),
        ),
        'BAD_USER_INPUT',
        JSON.stringify(oneTimePassword),
      );
    assert.equal(await opens('alice', password), true);
    assert.equal((await reset(email, code)).__typename, 'InvalidOneTimePasswordError', 'expired by now');
  });

  test('where none is live nothing is good for it', async () => {
    const { code } = await ask();
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
    for (const typed of ['', code, 'null', 'undefined', '0']) {
      assert.equal((await reset(email, typed, `${newPassword} 2`)).__typename, 'InvalidOneTimePasswordError', typed);
      await advance(service, 16);
    }
    assert.equal(await opens('alice', newPassword), true);
  });

  test('its one-time password is good for nothing else', async () => {
    const { alice, code } = await ask();
    for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET', 'VERIFICATION'] as const) {
      const checked = await alice.checkOneTimePassword(alice.emailToken, code, purpose);
      assert.equal(checked.__typename, 'InvalidOneTimePasswordError', purpose);
    }
    await advance(service, 1);
    assert.equal((await reset(email, code)).__typename, 'ResetPasswordSuccess');
  });

  test('a made-up token id is refused and stores nothing', async () => {
    const { alice } = await ask();
    const count = () => service.app.db.$count(oneTimePasswords);
    const before = await count();
    const document = 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }';
    const almost = alice.emailToken.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    for (const tokenId of ['', 'e', almost, alice.id, alice.emailToken.replace(/^e/, 'p')])
      assert.equal(
        errorCode(await anonymous.ask(document, { input: { tokenId, oneTimePassword: 'X', newPassword } })),
        'BAD_USER_INPUT',
      );
    assert.equal(await count(), before);
  });
});

test('no password and no one-time password is in any answer or line of the log', async () => {
  const DATABASE_URL = await createDatabase();
  const { advance } = await connect(DATABASE_URL);
  const process = await spawnService({
    DATABASE_URL,
    DATA_DIR: temporaryFolder(),
    LOG_LEVEL: 'trace',
    ...sharedSecrets(),
  });
  const answers: string[] = [];
  const recording = (options = {}) => {
    const asker = caller(process, options);
    return async (document: string, variables: Record<string, unknown>) => {
      const { headers: _, ...answer } = await asker.ask(document, variables);
      answers.push(JSON.stringify(answer));
      return answer;
    };
  };
  const first = 'canary horse staple one';
  const second = 'canary horse staple two';
  const alice = await signUp(process, { email, password: first });
  const verificationSent = await alice.sendOneTimePassword(alice.emailToken, 'VERIFICATION');
  assert.equal(verificationSent.__typename, 'SendOneTimePasswordSuccess');
  const verification = await oneTimePasswordSentTo(process, email);
  await caller(process).sendOneTimePassword(alice.emailToken, 'PASSWORD_RESET');
  const code = await oneTimePasswordSentTo(process, email);
  const everything =
    '{ __typename ... on ResetPasswordSuccess { user { id username email } } ... on IdentityError { code message ... on ValidationError { issues { field code message } } } }';
  const ask = recording();
  const document = `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) ${everything} }`;
  const input = { tokenId: alice.emailToken, oneTimePassword: code, newPassword: second };
  await ask(document, { input: { ...input, oneTimePassword: verification } });
  await ask(document, { input: { ...input, newPassword: [second] } });
  await ask(document, { input: { ...input, oneTimePassword: { code } } });
  await ask(document, { input: { ...input, newPassword: 'canary' } });
  await advance(1);
  const done = await ask(document, { input });
  assert.equal(done.data.resetPassword.__typename, 'ResetPasswordSuccess');
  await recording({ token: alice.tokens.accessToken })(
    'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }',
    { input: { currentPassword: second, newPassword: first } },
  );
  await process.kill('SIGTERM');
  assert.match(process.output(), /message kept in the outbox/);
  for (const secret of ['canary', verification, code]) {
    assert.ok(!process.output().includes(secret), `${secret} is in the log`);
    for (const answer of answers) assert.ok(!answer.includes(secret), `${secret} is in ${answer}`);
  }
});
