/** Sign-in by password. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectMember, expectWait, issuesOf } from '../support/client.js';
import type { AuthenticateInput } from '../support/generated/graphql.js';
import { caller, insertPeople, insertPerson, password, signIn, signsIn, signUp } from '../support/people.js';
import { advance, clear, createDatabase, rows, type Service, sharedSecrets, startService } from '../support/service.js';

const secrets = sharedSecrets();
const shared = { ...secrets, DATABASE_URL: await createDatabase() };
/** Trusts a proxy. Requests without its header come from 127.0.0.1. */
const service = await startService({ ...shared, TRUST_PROXY: '127.0.0.1' });
const anonymous = caller(service);
const day = 24 * 60 * 60;

beforeEach(() => clear(service));

const attempt = (input: Omit<AuthenticateInput, 'password'>, typed = password, by = anonymous) =>
  by.authenticate({ ...input, password: typed });

async function fail(input: Omit<AuthenticateInput, 'password'>, what?: string): Promise<void> {
  expectMember(await attempt(input, 'wrong'), 'InvalidCredentialsError', what);
}

/** A client with that address behind the proxy. */
function from(address: string) {
  const asker = caller(service, { headers: { 'x-forwarded-for': address } });
  const guess = (username = 'alice', typed = 'wrong') => attempt({ username }, typed, asker);
  return {
    guess,
    fail: async (username?: string) => expectMember(await guess(username), 'InvalidCredentialsError'),
    waits: async (username?: string) => expectMember(await guess(username, password), 'TimeoutError'),
    signIn: async (username?: string) => expectMember(await guess(username, password), 'AuthenticateSuccess').tokens,
  };
}

async function passwordHashOf(of: Service): Promise<string> {
  const [row] = await rows<{ hash: string }>(of, sql`select password_hash as hash from users`);
  return row!.hash;
}

describe('authenticate', () => {
  const alice = { username: 'Alice', email: 'Alice@example.com', phone: '+12025550123' };

  test('signs in by each identifier, with or without its kind, in any case and format', async () => {
    const { id } = await insertPerson(service, { ...alice, hasPassword: true });
    const ways = [
      { username: 'Alice' },
      { username: 'ＡLICE' },
      { email: 'Alice@example.com' },
      { email: 'aLICE@EXAMPLE.COM' },
      { phone: '+12025550123' },
      { phone: '(202) 555-0123' },
      { identifier: 'alice' },
      { identifier: 'alice@Example.com' },
      { identifier: '202-555-0123' },
      { identifier: '+1 202 555 0123' },
      // Several identifiers of one user.
      { username: 'alice', email: 'alice@example.com' },
      { username: 'alice', phone: '202 555 0123' },
      { username: 'alice', email: 'alice@example.com', phone: '202 555 0123' },
      // Null is equal to absent.
      { username: 'alice', identifier: null, email: null, phone: null },
      { identifier: 'alice', username: null, email: null, phone: null },
      { phone: '+12025550123', identifier: null, username: null, email: null },
    ];
    for (const way of ways)
      assert.equal(expectMember(await attempt(way), 'AuthenticateSuccess', JSON.stringify(way)).user.id, id);
  });

  test('requires an identifier, either with or without its kind', async () => {
    for (const nobody of [{}, { identifier: null, username: null, email: null, phone: null }])
      assert.deepEqual(issuesOf(await attempt(nobody)), ['null IDENTIFIER_REQUIRED']);
    for (const other of [{ username: 'alice' }, { email: 'a@b.example' }, { phone: '+12025550123' }])
      assert.deepEqual(issuesOf(await attempt({ identifier: 'alice', ...other })), ['identifier INVALID']);
  });

  test('records the time of the last sign-in', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    await fail({ username: 'alice' });
    await advance(service, 1);
    const first = await signIn(service, { username: 'alice', password });
    const opened = Date.parse(first.tokens.session.createdAt);
    assert.ok(Math.abs(Date.parse(first.account.lastLogin!) - opened) < 2000);
    const second = await signIn(service, { username: 'alice', password });
    assert.ok(second.account.lastLogin! > first.account.lastLogin!);
  });

  test('returns the security tokens of the user', async () => {
    await insertPerson(service, { ...alice, hasPassword: true });
    const { account } = await signIn(service, { username: 'alice', password });
    const shown = account.securityTokens.map(({ verified, failureCount }) => ({ verified, failureCount }));
    assert.deepEqual(shown, Array(2).fill({ verified: false, failureCount: 0 }));
  });

  test('compares the password including its spaces, in any Unicode composition', async () => {
    await signUp(service, { username: 'spaces', password: '  Zp7#vK2!qw  ' });
    for (const wrong of ['Zp7#vK2!qw', ' Zp7#vK2!qw ']) {
      assert.equal(await signsIn(service, 'spaces', wrong), false);
      await advance(service, 60);
    }
    assert.equal(await signsIn(service, 'spaces', '  Zp7#vK2!qw  '), true);
    await signUp(service, { username: 'composed', password: 'Ångström-über-été' });
    assert.equal(await signsIn(service, 'composed', 'Ångström-über-été'.normalize('NFD')), true);
  });
});

describe('authenticate responds alike', () => {
  test('for unknown names, wrong or missing passwords, inactive users, and names of two users', async () => {
    await insertPeople(service, [
      { username: 'alice', email: 'alice@example.com', phone: '+12025550123', hasPassword: true },
      { username: 'bob', email: 'bob@example.com', hasPassword: true },
      { username: 'carol' },
      { username: 'dave', hasPassword: true },
    ]);
    await service.app.db.execute(sql`update users set is_active = false where username = 'dave'`);
    const attempts: Record<string, Record<string, string>> = {
      'a wrong password': { username: 'alice', password: 'wrong' },
      'an unknown username': { username: 'nobody', password },
      'an unknown email': { email: 'nobody@example.com', password },
      'an unknown phone': { phone: '+12025550199', password },
      'an unknown identifier': { identifier: 'nobody.else', password },
      'an invalid username': { username: 'no such@name', password },
      'an email that is none': { email: 'nope', password },
      'a phone that is none': { phone: '123', password },
      'an empty name': { identifier: '', password },
      'an endless name': { identifier: 'a'.repeat(10_000), password },
      'SQL in the name': { identifier: "alice'--", password },
      'a NUL in the name': { identifier: 'alice\0', password },
      'no usable password': { username: 'carol', password },
      'no usable password, none given': { identifier: 'carol', password: '' },
      'an inactive user': { username: 'dave', password },
      'names of two users': { email: 'alice@example.com', username: 'bob', password },
      'a known phone and an unknown username': { phone: '+12025550123', username: 'nobody.again', password },
      'a name of a user and one that is none': { phone: '(202) 555-0123', email: 'nope.nope', password },
    };
    const expected = {
      data: {
        authenticate: {
          __typename: 'InvalidCredentialsError',
          code: 'INVALID_CREDENTIALS',
          message: 'Incorrect identifier or password.',
        },
      },
    };
    const document =
      'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename ... on IdentityError { code message } } }';
    const namesOfHeaders = new Set<string>();
    for (const [what, input] of Object.entries(attempts)) {
      const { headers, status, ...answer } = await anonymous.ask(document, { input });
      assert.deepEqual(answer, expected, what);
      assert.equal(status, 200);
      namesOfHeaders.add([...headers.keys()].join());
      await advance(service, 60);
    }
    assert.equal(namesOfHeaders.size, 1, [...namesOfHeaders].join('\n'));
  });

  test('when the sign-in is rate-limited', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    const messages = new Set<string | undefined>();
    for (const username of ['alice', 'nobody', 'no such@name']) {
      await fail({ username });
      const early = await attempt({ username }, 'wrong');
      expectWait(early, 1, 1);
      messages.add(early.message);
    }
    assert.equal(messages.size, 1);
  });
});

describe('after a wrong password', () => {
  test('a success clears the attempt counter', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    await fail({ username: 'alice' });
    await advance(service, 1);
    await signIn(service, { username: 'alice', password });
    await fail({ username: 'alice' });
    expectWait(await attempt({ username: 'alice' }), 1, 1);
  });

  test('a sign-in by several identifiers has their longest wait, and counts for none before its end', async () => {
    // The name determines which identifier is found first.
    for (const username of ['alice', 'bob', 'carol', 'dave']) {
      const both = { username, email: `${username}@example.com` };
      await insertPerson(service, { ...both, hasPassword: true });
      await fail({ username });
      await advance(service, 1);
      await fail({ username });
      await fail({ email: both.email });
      expectWait(await attempt(both), 2, 2);
      await advance(service, 1);
      // No further attempt was counted for the email.
      await signIn(service, { email: both.email, password });
      expectWait(await attempt(both), 2, 1);
      await advance(service, 1);
      await signIn(service, { ...both, password });
    }
  });

  test('each given identifier is counted', async () => {
    await fail({ username: 'alice', email: 'alice@example.com' });
    for (const identifier of ['alice', 'alice@example.com']) expectWait(await attempt({ identifier }), 1);
  });

  test('other users are not rate-limited', async () => {
    await insertPeople(service, [
      { username: 'alice', hasPassword: true },
      { username: 'bob', hasPassword: true },
    ]);
    await fail({ username: 'alice' });
    await signIn(service, { username: 'bob', password });
  });
});

describe('the count of failed sign-ins', () => {
  const insertAlice = (ipAddress: string) => insertPerson(service, { username: 'alice', hasPassword: true, ipAddress });

  test('causes waits of up to an hour for one client address, and up to a minute for all addresses', async () => {
    await insertAlice('203.0.113.99');
    const [attacker, owner] = [from('203.0.113.1'), from('203.0.113.2')];
    await attacker.fail();
    await service.app.db.execute(sql`update sign_in_throttles set failure_count = 20, retry_at = now()`);
    await attacker.fail();
    expectWait(await attacker.guess('alice', password), 21, 3600);
    assert.equal((await owner.waits()).retryAfterSeconds, 60);
    await advance(service, 60);
    await attacker.waits();
    await owner.signIn();
  });

  test('over all clients slows down guesses from many addresses', async () => {
    await insertAlice('203.0.113.99');
    for (const [index, wait] of [1, 2, 4].entries()) {
      await from(`203.0.113.${index + 1}`).fail();
      expectWait(await from('198.51.100.1').guess(), index + 1, wait);
      await advance(service, wait);
    }
  });

  test('over all clients does not limit an address from which the user signed in within 30 days', async () => {
    const [home, stranger] = [from('203.0.113.1'), from('203.0.113.66')];
    await insertAlice('198.51.100.7');
    await home.signIn();

    await advance(service, 30 * day - 60);
    await stranger.fail();
    await stranger.waits();
    await from('203.0.113.2').waits();
    await home.fail();
    // Failures from this address still count.
    assert.equal((await home.waits()).failureCount, 1);

    await advance(service, 120);
    await stranger.fail();
    // The 30 days have passed.
    await home.waits();
  });

  test('over all clients is cleared by a success from any address', async () => {
    await insertAlice('203.0.113.1');
    const [stranger, home, elsewhere] = [from('203.0.113.66'), from('203.0.113.1'), from('203.0.113.2')];
    await stranger.fail();
    await advance(service, 1);
    await elsewhere.signIn();
    await from('203.0.113.67').fail();
    expectWait(await from('203.0.113.68').guess(), 1, 1);
    await home.signIn();
    await from('203.0.113.68').signIn();
  });

  test('treats an address as known only for the user who signed in from it', async () => {
    const rows = ['alice', 'bob'].map((username) => ({ username, hasPassword: true, ipAddress: '198.51.100.7' }));
    await insertPeople(service, rows);
    const home = from('203.0.113.1');
    await home.signIn('bob');
    await from('203.0.113.66').fail('alice');
    await home.waits('alice');
  });

  test('treats an IPv6 /64 network as one client', async () => {
    await insertAlice('198.51.100.7');
    const [home, neighbour] = [from('2001:db8:0:1::1'), from('2001:db8:0:1:ffff:ffff:ffff:ffff')];
    const elsewhere = from('2001:db8:0:2::1');
    await home.signIn();
    await elsewhere.signIn();
    // Both addresses are known, so only the counter by client limits them.
    await neighbour.fail();
    await home.waits();
    await elsewhere.signIn();
  });
});

describe('an outdated hash', () => {
  test('is replaced at the next sign-in, and not earlier', async () => {
    const dear = await startService({ ...shared, BCRYPT_COST: '5' });
    await signUp(service, { username: 'alice', password });
    const before = await passwordHashOf(dear);
    assert.match(before, /\$2b\$04\$/);

    await attempt({ username: 'alice' }, 'wrong', caller(dear));
    assert.equal(await passwordHashOf(dear), before);
    await advance(dear, 1);
    await signIn(dear, { username: 'alice', password });
    const after = await passwordHashOf(dear);
    assert.match(after, /\$2b\$05\$/);
    await signIn(dear, { username: 'alice', password });
    assert.equal(await passwordHashOf(dear), after);
  });

  test('is replaced by a hash with the current pepper', async () => {
    const { PASSWORD_PEPPER: current } = sharedSecrets();
    const during = await startService({ ...shared, PASSWORD_PEPPER: `${current},${secrets.PASSWORD_PEPPER}` });
    await signUp(service, { username: 'alice', password });
    assert.ok((await passwordHashOf(during)).includes(service.app.config.passwordPeppers[0].id));
    await signIn(during, { username: 'alice', password });
    assert.ok((await passwordHashOf(during)).includes(during.app.config.passwordPeppers[0].id));
    // The old pepper alone no longer verifies it.
    assert.equal(await signsIn(service, 'alice', password), false);
  });
});
