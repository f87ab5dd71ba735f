/** Accounts: sign-ups, superusers, and the current user. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectError, expectMember, issuesOf } from '../support/client.js';
import { type CreateUserInput } from '../support/generated/graphql.js';
import {
  type Caller,
  caller,
  insertPeople,
  insertPerson,
  makeSuperuser,
  password,
  signIn,
  signsIn,
  signUp,
} from '../support/people.js';
import { advance, clear, countRows, sharedSecrets, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

beforeEach(() => clear(service));

/** Counts the rows of each table of accounts. */
async function countAccounts(of = service): Promise<Record<string, number>> {
  const count = (table: 'users' | 'security_tokens' | 'sessions') => countRows(of, table);
  return { users: await count('users'), tokens: await count('security_tokens'), sessions: await count('sessions') };
}

/** Returns the issues of a sign-up as `field CODE`. */
async function faultsOf(input: CreateUserInput, by: Caller = anonymous) {
  return issuesOf(await by.createUser(input));
}

describe('createUser', () => {
  test('signs up by username', async () => {
    const { user, tokens } = expectMember(
      await anonymous.createUser({ username: 'Ａlice', password }),
      'CreateUserSuccess',
    );
    const { id, dateJoined, ...rest } = user;
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.match(dateJoined, instant);
    assert.deepEqual(rest, {
      username: 'Alice',
      email: null,
      phone: null,
      emailVerified: null,
      phoneVerified: null,
      pendingEmail: null,
      pendingPhone: null,
      hasUsablePassword: true,
      isActive: true,
      isStaff: false,
      isSuperuser: false,
      lastLogin: null,
      securityTokens: [],
    });
    assert.deepEqual(tokens!.session.authenticationMethods, ['PASSWORD']);
    assert.equal(tokens!.session.current, true);
  });

  test('signs up by email, with a security token of the address', async () => {
    const { account, emailToken } = await signUp(service, { email: 'Alice@BÜCHER.example', password });
    assert.deepEqual(
      [account.email, account.emailVerified, account.phoneVerified],
      ['Alice@xn--bcher-kva.example', false, null],
    );
    assert.match(emailToken, /^e/);
    const fresh = { verified: false, failureCount: 0, retryAt: null, expiresAt: null };
    assert.deepEqual(account.securityTokens, [
      { __typename: 'EmailToken', id: emailToken, name: 'Al***@xn***********.ex*****', ...fresh },
    ]);
  });

  test('signs up by all three identifiers, a phone in any format, and returns the email token first', async () => {
    const input = { username: 'alice', email: 'alice@example.com', phone: '(202) 555-0123', password };
    const { account } = await signUp(service, input);
    assert.deepEqual(account, { ...account, username: 'alice', email: 'alice@example.com', phone: '+12025550123' });
    assert.deepEqual([account.emailVerified, account.phoneVerified], [false, false]);
    assert.deepEqual(
      account.securityTokens.map(({ __typename, name }) => `${__typename} ${name}`),
      ['EmailToken al***@ex*****.***', 'PhoneToken +*********23'],
    );
    assert.deepEqual(await countAccounts(), { users: 1, tokens: 2, sessions: 1 });
  });

  test('treats null as absent', async () => {
    const nulls = { email: null, phone: null, password: null };
    const { account } = await signUp(service, { username: 'alice', ...nulls });
    assert.deepEqual([account.email, account.phone, account.hasUsablePassword], [null, null, false]);
    assert.deepEqual(await faultsOf({ username: null, ...nulls }), ['null IDENTIFIER_REQUIRED']);
  });

  test('without a password creates an account that accepts no password', async () => {
    const { account, tokens } = await signUp(service, { username: 'alice' });
    assert.deepEqual([account.hasUsablePassword, tokens.session.authenticationMethods], [false, []]);
    for (const guess of ['', 'null', 'undefined', password]) {
      assert.equal(await signsIn(service, 'alice', guess), false, guess);
      await advance(service, 60);
    }
  });

  test('reports the error of each field', async () => {
    const wrong: [CreateUserInput, string[]][] = [
      [{}, ['null IDENTIFIER_REQUIRED']],
      [{ password }, ['null IDENTIFIER_REQUIRED']],
      [{ username: '' }, ['username BLANK']],
      [{ email: '' }, ['email BLANK']],
      [{ phone: '' }, ['phone BLANK']],
      [{ username: 'alice', email: '' }, ['email BLANK']],
      [{ username: 'alice', password: '' }, ['password BLANK']],
      [{ username: 'alice@example.com' }, ['username INVALID']],
      [{ username: 'a'.repeat(151) }, ['username TOO_LONG']],
      [{ email: 'alice' }, ['email INVALID']],
      [{ phone: '555-1234' }, ['phone INVALID']],
      [{ username: 'alice', password: 'short' }, ['password TOO_SHORT']],
      [{ username: 'alice', password: 'x'.repeat(257) }, ['password TOO_LONG']],
      [{ username: 'alice', password: 'password1' }, ['password TOO_COMMON']],
      [{ username: 'kaspar.hauserling', password: 'kaspar.hauserling' }, ['password TOO_SIMILAR']],
      [{ email: 'kaspar.hauserling@example.com', password: 'kaspar.hauserling' }, ['password TOO_SIMILAR']],
      [{ phone: '+442079460123', password: '442079460123' }, ['password TOO_SIMILAR']],
    ];
    for (const [input, expected] of wrong) assert.deepEqual(await faultsOf(input), expected, JSON.stringify(input));
    assert.deepEqual(await countAccounts(), { users: 0, tokens: 0, sessions: 0 });
  });

  test('reports all errors together', async () => {
    assert.deepEqual(await faultsOf({ username: 'a b', email: 'nope', phone: '123', password: 'short' }), [
      'username INVALID',
      'email INVALID',
      'phone INVALID',
      'password TOO_SHORT',
    ]);
    assert.deepEqual(await faultsOf({ username: '', email: '', phone: '', password: '' }), [
      'username BLANK',
      'email BLANK',
      'phone BLANK',
      'password BLANK',
    ]);
    assert.deepEqual(await faultsOf({ password: 'password1' }), ['null IDENTIFIER_REQUIRED', 'password TOO_COMMON']);
  });

  test('has a readable message for each issue', async () => {
    const answer = await anonymous.ask(
      'mutation { createUser(input: { username: "a b", password: "" }) { ... on ValidationError { message issues { message } } } }',
    );
    const { message, issues } = answer.data.createUser;
    assert.equal(issues.length, 2);
    for (const issue of issues) assert.ok(message.includes(issue.message));
  });
  test('reports every taken field, and stores nothing', async () => {
    await insertPeople(service, [{ username: 'alice' }, { email: 'bob@example.com' }, { phone: '+12025550123' }]);
    const taken = { username: 'ＡLICE', email: 'BOB@example.com', phone: '202-555-0123' };
    assert.deepEqual(await faultsOf(taken), ['username TAKEN', 'email TAKEN', 'phone TAKEN']);
    const { email } = taken;
    assert.deepEqual(await faultsOf({ username: 'carol', email, phone: '+12025550124' }), ['email TAKEN']);
    assert.deepEqual(await countAccounts(), { users: 3, tokens: 2, sessions: 3 });
    expectMember(await anonymous.createUser({ username: 'carol', phone: '+12025550124' }), 'CreateUserSuccess');
  });

  test('by a signed-in caller creates an account for another person, and opens no session', async () => {
    const alice = await signUp(service, { username: 'alice', password });
    const { user, tokens } = expectMember(
      await alice.createUser({ username: 'bob', email: 'bob@example.com', password }),
      'CreateUserSuccess',
    );
    assert.equal(user.username, 'bob');
    assert.equal(tokens, null);
    assert.deepEqual(user.securityTokens[0]!.verified, null, 'alice is a stranger to the address');
    assert.equal((await alice.me()).username, 'alice');
    assert.deepEqual(await countAccounts(), { users: 2, tokens: 1, sessions: 1 });
  });
});

describe('sign-ups', () => {
  test('are limited per client address', async () => {
    const limited = await startService({ TRUST_PROXY: '127.0.0.1', SIGN_UPS_PER_HOUR: '2' });
    const from = (address: string) => caller(limited, { headers: { 'x-forwarded-for': address } });
    const client = from('203.0.113.1');
    assert.deepEqual(await faultsOf({ username: 'a b' }, client), ['username INVALID']);
    expectMember(await client.createUser({ username: 'alice' }), 'CreateUserSuccess');
    // The limit protects taken names, so a rejected sign-up counts.
    assert.deepEqual(await faultsOf({ username: 'alice' }, client), ['username TAKEN']);
    const refused = expectMember(await client.createUser({ username: 'bob' }), 'TimeoutError');
    assert.deepEqual([refused.code, refused.failureCount], ['TIMEOUT', null]);
    assert.ok(refused.retryAfterSeconds > 3590 && refused.retryAfterSeconds <= 3600);
    assert.match(refused.retryAt, instant);
    assert.equal((await countAccounts(limited)).users, 1);

    expectMember(await from('203.0.113.2').createUser({ username: 'carol' }), 'CreateUserSuccess');
    await advance(limited, 3600);
    expectMember(await client.createUser({ username: 'bob' }), 'CreateUserSuccess');
  });

  test('are rejected for an address whose channel is disabled', async () => {
    const silent = await startService({ NODE_ENV: 'production', BCRYPT_COST: '10', ...sharedSecrets() });
    const ask = caller(silent);
    assert.deepEqual(await faultsOf({ email: 'alice@example.com', phone: '+12025550123' }, ask), [
      'email INVALID',
      'phone INVALID',
    ]);
    expectMember(await ask.createUser({ username: 'alice' }), 'CreateUserSuccess');

    const british = await startService({ SMS_CALLING_CODES: '44,49', DEFAULT_REGION: 'GB' });
    assert.deepEqual(await faultsOf({ phone: '+12025550123' }, caller(british)), ['phone INVALID']);
    assert.equal((await signUp(british, { phone: '020 7946 0123' })).account.phone, '+442079460123');
  });
});

describe('me', () => {
  test('is null without a signed-in user', async () => {
    const { data, errors } = await anonymous.ask('{ me { id } }');
    assert.deepEqual([data, errors], [{ me: null }, undefined]);
  });

  test('returns the caller with tokens and sessions', async () => {
    const alice = await signUp(service, { username: 'alice', email: 'alice@example.com', password });
    const { sessions, ...user } = await alice.me();
    assert.deepEqual(user, alice.account);
    assert.deepEqual(sessions, [{ id: alice.tokens.session.id, current: true }]);
  });
});

describe('createSuperuser', () => {
  const bootstrap = (secret = service.app.bootstrapSecret!) =>
    caller(service, { headers: { 'x-bootstrap-secret': secret } });
  const refuse = (by: Caller, code: string) => expectError(by.createSuperuser({ username: 'eve' }), code);
  const make = async (by: Caller, username: string, more = {}) =>
    expectMember(await by.createSuperuser({ username, password, ...more }), 'CreateSuperuserSuccess').user;

  test('creates the first superuser by the bootstrap secret', async () => {
    const user = await make(bootstrap(), 'root', { email: 'root@example.com' });
    assert.deepEqual([user.isSuperuser, user.isStaff, user.isActive], [true, true, true]);
    assert.equal(user.securityTokens.length, 1);
    // No session: the secret belongs to the deployment, not to the user.
    assert.deepEqual(await countAccounts(), { users: 1, tokens: 0, sessions: 0 });
    // A superuser always owns the account, so an unverified address reserves nothing.
    assert.deepEqual([user.email, user.pendingEmail], [null, 'root@example.com']);
    await signIn(service, { username: 'root', password });
  });

  test('rejects anonymous callers without the secret', async () => {
    await refuse(anonymous, 'UNAUTHENTICATED');
    const { bootstrapSecret } = service.app;
    for (const wrong of ['', 'wrong', bootstrapSecret!.slice(1), `${bootstrapSecret}x`, bootstrapSecret!.toUpperCase()])
      await refuse(bootstrap(wrong), 'UNAUTHENTICATED');
    assert.equal((await countAccounts()).users, 0);
  });

  test('rejects the secret after the first superuser exists', async () => {
    await makeSuperuser(service);
    await refuse(bootstrap(), 'FORBIDDEN');
    await refuse(anonymous, 'UNAUTHENTICATED');
    assert.equal((await countAccounts()).users, 1);
  });

  test('creates another superuser for a superuser', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    assert.equal((await make(root, 'second')).isSuperuser, true);
    assert.equal((await root.me()).username, 'root');
  });

  test('is FORBIDDEN for users and staff, except for the first superuser by the secret', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const withSecret = (secret: string) =>
      caller(service, { token: alice.tokens.accessToken, headers: { 'x-bootstrap-secret': secret } });
    const holder = withSecret(service.app.bootstrapSecret!);
    await refuse(alice, 'FORBIDDEN');
    await service.app.db.execute(sql`update users set is_staff = true`);
    await refuse(alice, 'FORBIDDEN');
    await refuse(withSecret('a'.repeat(43)), 'FORBIDDEN');
    assert.equal((await countAccounts()).users, 1);
    await make(holder, 'root');
    await refuse(holder, 'FORBIDDEN');
    assert.equal((await countAccounts()).users, 2);
  });

  test('reports errors like createUser', async () => {
    const refused = await bootstrap().createSuperuser({ username: '', email: 'x', phone: '1', password: 'short' });
    const faults = ['username BLANK', 'email INVALID', 'phone INVALID', 'password TOO_SHORT'];
    assert.deepEqual(issuesOf(refused), faults);
    await insertPerson(service, { username: 'alice' });
    assert.deepEqual(issuesOf(await bootstrap().createSuperuser({ username: 'Alice', password })), ['username TAKEN']);
    await make(bootstrap(), 'root');
  });
});
