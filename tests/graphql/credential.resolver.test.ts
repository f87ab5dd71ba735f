/** Signing in by password. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectMember } from '../support/client.js';
import { caller, insertPeople, insertPerson, password, signUp } from '../support/people.js';
import { advance, clear, createDatabase, type Service, sharedSecrets, startService } from '../support/service.js';

const secrets = sharedSecrets();
const shared = { ...secrets, DATABASE_URL: await createDatabase() };
/** It trusts a proxy. A request without its header comes from 127.0.0.1. */
const service = await startService({ ...shared, TRUST_PROXY: '127.0.0.1' });
const direct = await startService(shared);
const anonymous = caller(service);
const day = 24 * 60 * 60;

beforeEach(() => clear(service));

/** Somebody whose requests come through the proxy from that address. */
function from(address: string) {
  const headers = { 'x-forwarded-for': address };
  const ask = caller(service, { headers });
  return {
    ...ask,
    fail: async (username = 'alice') => (await ask.authenticate({ username, password: 'wrong' })).__typename,
    signIn: async (username = 'alice') => (await ask.authenticate({ username, password })).__typename,
  };
}

async function passwordHashOf({ app: { db } }: Service): Promise<string> {
  const { rows } = (await db.execute(sql`select password_hash as hash from users`)) as unknown as {
    rows: { hash: string }[];
  };
  return rows[0]!.hash;
}

describe('authenticate', () => {
  const alice = { username: 'Alice', email: 'Alice@example.com', phone: '+12025550123' };

  test('signs in by each identifier, named or not, in any case and form', async () => {
    const { id } = await insertPerson(service, { ...alice, hasPassword: true });
    const ways: Record<string, string>[] = [
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
    ];
    for (const way of ways) {
      const { __typename, user } = await anonymous.authenticate({ ...way, password });
      assert.equal(__typename, 'AuthenticateSuccess', JSON.stringify(way));
      assert.equal(user.id, id);
    }
  });

  test('signs in by several identifiers of the same user', async () => {
    const { id } = await insertPerson(service, { ...alice, hasPassword: true });
    const ways = [
      { username: 'alice', email: 'alice@example.com' },
      { username: 'alice', phone: '202 555 0123' },
      { username: 'alice', email: 'alice@example.com', phone: '202 555 0123' },
    ];
    for (const way of ways) assert.equal((await anonymous.authenticate({ ...way, password })).user?.id, id);
  });

  test('takes null for absent', async () => {
    await insertPerson(service, { ...alice, hasPassword: true });
    const nulls = { identifier: null, username: null, email: null, phone: null };
    for (const way of [{ username: 'alice' }, { identifier: 'alice' }, { phone: '+12025550123' }])
      expectMember(await anonymous.authenticate({ ...nulls, ...way, password }), 'AuthenticateSuccess');
    const refused = await anonymous.authenticate({ ...nulls, password });
    assert.deepEqual(refused.issues, [{ field: null, code: 'IDENTIFIER_REQUIRED' }]);
  });

  test('asks for an identifier, and for one form of naming somebody', async () => {
    const { __typename, issues } = await anonymous.authenticate({ password });
    assert.equal(__typename, 'ValidationError');
    assert.deepEqual(issues, [{ field: null, code: 'IDENTIFIER_REQUIRED' }]);
    for (const other of [{ username: 'alice' }, { email: 'a@b.example' }, { phone: '+12025550123' }]) {
      const both = expectMember(
        await anonymous.authenticate({ identifier: 'alice', ...other, password }),
        'ValidationError',
      );
      assert.deepEqual(both.issues, [{ field: 'identifier', code: 'INVALID' }]);
    }
  });

  test('opens a session that knows where it was opened and how', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    const headers = { 'x-forwarded-for': '203.0.113.7', 'user-agent': 'Mozilla/5.0 (Test)' };
    const { tokens } = expectMember(
      await caller(service, { headers }).authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    assert.equal(tokens.session.ipAddress, '203.0.113.7');
    assert.equal(tokens.session.userAgent, 'Mozilla/5.0 (Test)');
    assert.equal(tokens.session.current, true);
    assert.deepEqual(tokens.session.authenticationMethods, ['PASSWORD']);
    assert.equal((await caller(service, { token: tokens.accessToken }).me()).username, 'alice');
  });

  test('notes when the user last signed in', async () => {
    const { account } = await signUp(service, { username: 'alice', password });
    assert.equal(account.lastLogin, null);
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    await advance(service, 1);
    const first = expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    assert.ok(Math.abs(Date.parse(first.user.lastLogin!) - Date.parse(first.tokens.session.createdAt)) < 2000);
    const second = expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    assert.ok(second.user.lastLogin! > first.user.lastLogin!);
  });

  test('shows who has signed in their own tokens', async () => {
    await insertPerson(service, { ...alice, hasPassword: true });
    const { user } = expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    assert.deepEqual(
      user.securityTokens.map(({ verified, failureCount }: Record<string, unknown>) => [verified, failureCount]),
      [
        [false, 0],
        [false, 0],
      ],
    );
  });

  test('compares the whole password as it is, but for its composition', async () => {
    const long = createHash('sha512').update('long').digest('base64url').slice(0, 72);
    const pairs: [username: string, password: string, others: string[]][] = [
      ['long', `${long}a`, [`${long}b`, long, `${long}ab`]],
      ['nul', 'Zp7#vK2!\0one', ['Zp7#vK2!\0two', 'Zp7#vK2!']],
      ['spaces', '  Zp7#vK2!qw  ', ['Zp7#vK2!qw', ' Zp7#vK2!qw ']],
      ['case', 'Zp7#vK2!qw', ['zp7#vk2!qw']],
    ];
    for (const [username, right, others] of pairs) {
      await signUp(service, { username, password: right });
      for (const wrong of others) {
        expectMember(await anonymous.authenticate({ username, password: wrong }), 'InvalidCredentialsError', username);
        await advance(service, 60);
      }
      expectMember(await anonymous.authenticate({ username, password: right }), 'AuthenticateSuccess');
    }
    await signUp(service, { username: 'composed', password: 'Ångström-über-été' });
    const decomposed = 'Ångström-über-été'.normalize('NFD');
    expectMember(await anonymous.authenticate({ username: 'composed', password: decomposed }), 'AuthenticateSuccess');
  });
});

describe('authenticate answers alike', () => {
  test('for nobody of that name, a wrong password, no password, an inactive user, and names of two', async () => {
    await insertPeople(service, [
      { username: 'alice', email: 'alice@example.com', phone: '+12025550123', hasPassword: true },
      { username: 'bob', email: 'bob@example.com', hasPassword: true },
      { username: 'carol' },
      { username: 'dave', hasPassword: true },
    ]);
    await service.app.db.execute(sql`update users set is_active = false where username = 'dave'`);
    const attempts: Record<string, Record<string, string>> = {
      'a wrong password': { username: 'alice', password: 'wrong' },
      'nobody of that username': { username: 'nobody', password },
      'nobody of that email': { email: 'nobody@example.com', password },
      'nobody of that phone': { phone: '+12025550199', password },
      'nobody of that name': { identifier: 'nobody.else', password },
      'a name that nobody can have': { username: 'no such@name', password },
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
      'a name of a user and one of nobody': { phone: '+12025550123', username: 'nobody.again', password },
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

  test('the fifth time as the first, and about the wait too', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const [index, wait] of [1, 2, 4, 8, 16].entries()) {
      const answers = [];
      for (const username of ['alice', 'nobody', 'no such@name']) {
        const wrong = await anonymous.authenticate({ username, password: 'wrong' });
        const early = await anonymous.authenticate({ username, password: 'wrong' });
        answers.push([wrong.code, early.code, early.failureCount, early.retryAfterSeconds, early.message]);
      }
      for (const answer of answers)
        assert.deepEqual(answer, ['INVALID_CREDENTIALS', 'TIMEOUT', index + 1, wait, answers[0]![4]]);
      await advance(service, wait);
    }
  });
});

describe('after a wrong password', () => {
  test('authenticate says when to retry: 1, 2, 4, 8, 16 seconds', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const [index, wait] of [1, 2, 4, 8, 16].entries()) {
      expectMember(await anonymous.authenticate({ username: 'alice', password: 'wrong' }), 'InvalidCredentialsError');
      const early = expectMember(await anonymous.authenticate({ username: 'alice', password }), 'TimeoutError');
      assert.equal(early.failureCount, index + 1);
      assert.equal(early.retryAfterSeconds, wait);
      await advance(service, wait);
    }
    expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
  });

  test('nothing is compared and nothing counted until then', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    const early = [];
    for (const guess of [password, 'wrong', password])
      early.push(await anonymous.authenticate({ username: 'alice', password: guess }));
    for (const { __typename, retryAt, failureCount } of early)
      assert.deepEqual([__typename, retryAt, failureCount], ['TimeoutError', early[0]!.retryAt, 1]);
    assert.ok(Date.parse(early[0]!.retryAt!) - Date.now() < 1000);
    await advance(service, 1);
    expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
  });

  test('every case and form of the identifier has the same count', async () => {
    const forms = {
      username: ['alice', 'ALICE', 'ａlice', 'Alice'],
      email: ['alice@example.com', 'Alice@EXAMPLE.com', 'ALICE@example.com', 'aLiCe@Example.Com'],
      phone: ['+12025550123', '(202) 555-0123', '2025550123', '+1 202-555-0123'],
    };
    for (const [field, texts] of Object.entries(forms))
      for (const [index, text] of texts.entries()) {
        const named = index % 2 === 0 ? { [field]: text } : { identifier: text };
        expectMember(await anonymous.authenticate({ ...named, password }), 'InvalidCredentialsError', text);
        const early = await anonymous.authenticate({ identifier: texts[0], password });
        assert.equal(early.failureCount, index + 1, text);
        await advance(service, 2 ** index);
      }
  });

  test('a success clears the count', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const wait of [1, 2, 4]) {
      await anonymous.authenticate({ username: 'alice', password: 'wrong' });
      await advance(service, wait);
    }
    expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    const early = await anonymous.authenticate({ username: 'alice', password });
    assert.deepEqual([early.failureCount, early.retryAfterSeconds], [1, 1]);
  });

  test('who names several must wait for the one that waits longest, and counts for none meanwhile', async () => {
    await insertPerson(service, { username: 'alice', email: 'alice@example.com', hasPassword: true });
    for (const wait of [1, 2]) {
      await anonymous.authenticate({ username: 'alice', password: 'wrong' });
      await advance(service, wait);
    }
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    const both = { username: 'alice', email: 'alice@example.com', password };
    const early = await anonymous.authenticate(both);
    assert.deepEqual([early.code, early.failureCount, early.retryAfterSeconds], ['TIMEOUT', 3, 4]);
    expectMember(
      await anonymous.authenticate({ email: 'alice@example.com', password }),
      'AuthenticateSuccess',
      'nothing was counted for the email',
    );
    await advance(service, 4);
    expectMember(await anonymous.authenticate(both), 'AuthenticateSuccess');
  });

  test('who names several that wait is told of the longest wait', async () => {
    for (const name of ['alice', 'bob', 'carol', 'dave']) {
      const username = name;
      const email = `${name}@example.com`;
      const fail = async (identifier: string) => {
        const { code } = await anonymous.authenticate({ identifier, password });
        assert.equal(code, 'INVALID_CREDENTIALS');
      };
      for (const wait of [1, 2, 4]) {
        await fail(username);
        await advance(service, wait);
      }
      await fail(email);
      await fail(username);
      const early = await anonymous.authenticate({ username, email, password });
      assert.deepEqual([early.failureCount, early.retryAfterSeconds], [4, 8]);
    }
  });

  test('each of the identifiers that were named is counted', async () => {
    await anonymous.authenticate({ username: 'alice', email: 'alice@example.com', password });
    for (const identifier of ['alice', 'alice@example.com'])
      assert.equal((await anonymous.authenticate({ identifier, password })).failureCount, 1, identifier);
  });

  test('nobody else waits', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    await insertPerson(service, { username: 'bob', hasPassword: true });
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    expectMember(await anonymous.authenticate({ username: 'bob', password }), 'AuthenticateSuccess');
  });
});

describe('the count of failed sign-ins', () => {
  test('grows to an hour for one client address, and to a minute for all together', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '203.0.113.99' });
    const [attacker, owner] = [from('203.0.113.1'), from('203.0.113.2')];
    const waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600];
    for (const [index, wait] of waits.entries()) {
      assert.equal(await attacker.fail(), 'InvalidCredentialsError');
      const early = await attacker.authenticate({ username: 'alice', password });
      assert.deepEqual([early.code, early.failureCount, early.retryAfterSeconds], ['TIMEOUT', index + 1, wait]);
      const elsewhere = await owner.authenticate({ username: 'alice', password: 'wrong' });
      assert.deepEqual([elsewhere.code, elsewhere.retryAfterSeconds], ['TIMEOUT', Math.min(wait, 60)]);
      if (index < waits.length - 1) await advance(service, wait);
    }
    await advance(service, 60);
    assert.equal(await attacker.signIn(), 'TimeoutError');
    assert.equal(await owner.signIn(), 'AuthenticateSuccess');
  });

  test('of all clients together slows down guesses from many addresses', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '203.0.113.99' });
    for (const [index, wait] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      assert.equal(await from(`203.0.113.${index + 1}`).fail(), 'InvalidCredentialsError');
      const next = await from('198.51.100.1').authenticate({ username: 'alice', password: 'wrong' });
      assert.deepEqual([next.code, next.failureCount, next.retryAfterSeconds], ['TIMEOUT', index + 1, wait]);
      await advance(service, wait);
    }
  });

  test('of all clients together does not bind an address from which that user has signed in within 30 days', async () => {
    const [home, stranger] = [from('203.0.113.1'), from('203.0.113.66')];
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '198.51.100.7' });
    assert.equal(await home.signIn(), 'AuthenticateSuccess');

    await advance(service, 30 * day - 60);
    assert.equal(await stranger.fail(), 'InvalidCredentialsError');
    assert.equal(await stranger.signIn(), 'TimeoutError');
    assert.equal(await from('203.0.113.2').signIn(), 'TimeoutError');
    assert.equal(await home.fail(), 'InvalidCredentialsError');
    const early = await home.authenticate({ username: 'alice', password });
    assert.deepEqual([early.code, early.failureCount], ['TIMEOUT', 1], 'its own failures still count');

    await advance(service, 120);
    assert.equal(await stranger.fail(), 'InvalidCredentialsError');
    assert.equal(await home.signIn(), 'TimeoutError', 'the 30 days are over');
  });

  test('of all clients together is cleared by a success', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '198.51.100.7' });
    for (const wait of [1, 2, 4]) {
      assert.equal(await from('203.0.113.66').fail(), 'InvalidCredentialsError');
      await advance(service, wait);
    }
    assert.equal(await from('203.0.113.1').signIn(), 'AuthenticateSuccess');
    assert.equal(await from('203.0.113.67').fail(), 'InvalidCredentialsError');
    const early = await from('203.0.113.68').authenticate({ username: 'alice', password });
    assert.deepEqual([early.failureCount, early.retryAfterSeconds], [1, 1]);
  });

  test('of all clients together is cleared by a success from where it does not bind, too', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '203.0.113.1' });
    for (const wait of [1, 2, 4]) {
      assert.equal(await from('203.0.113.66').fail(), 'InvalidCredentialsError');
      await advance(service, wait);
    }
    assert.equal(await from('203.0.113.66').fail(), 'InvalidCredentialsError');
    assert.equal(await from('203.0.113.2').signIn(), 'TimeoutError');
    assert.equal(await from('203.0.113.1').signIn(), 'AuthenticateSuccess');
    assert.equal(await from('203.0.113.2').signIn(), 'AuthenticateSuccess');
  });

  test('does not take an address that one user knows for one that another does', async () => {
    await insertPeople(service, [
      { username: 'alice', hasPassword: true, ipAddress: '198.51.100.7' },
      { username: 'bob', hasPassword: true, ipAddress: '198.51.100.7' },
    ]);
    const home = from('203.0.113.1');
    assert.equal(await home.signIn('bob'), 'AuthenticateSuccess');
    assert.equal(await from('203.0.113.66').fail('alice'), 'InvalidCredentialsError');
    assert.equal(await home.signIn('alice'), 'TimeoutError');
  });

  test('takes all of a /64 for one client', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '198.51.100.7' });
    const [home, neighbour, elsewhere] = [
      from('2001:db8:0:1::1'),
      from('2001:db8:0:1:ffff:ffff:ffff:ffff'),
      from('2001:db8:0:2::1'),
    ];
    assert.equal(await home.signIn(), 'AuthenticateSuccess');
    assert.equal(await elsewhere.signIn(), 'AuthenticateSuccess');
    // Both are known, so that only what is counted by client can be in the way.
    assert.equal(await neighbour.fail(), 'InvalidCredentialsError');
    assert.equal(await home.signIn(), 'TimeoutError');
    assert.equal(await elsewhere.signIn(), 'AuthenticateSuccess');
  });

  test('takes an IPv4 address for the same in every notation', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true, ipAddress: '198.51.100.7' });
    assert.equal(await from('203.0.113.1').signIn(), 'AuthenticateSuccess');
    assert.equal(await from('203.0.113.1').fail(), 'InvalidCredentialsError');
    assert.equal(await from('::ffff:203.0.113.1').signIn(), 'TimeoutError');
    await advance(service, 60);
    const { tokens } = expectMember(
      await from('::ffff:203.0.113.1').authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    assert.equal(tokens.session.ipAddress, '203.0.113.1');
  });

  test('believes X-Forwarded-For only of a proxy, and only what the proxy has added', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    const untrusted = (address: string) => caller(direct, { headers: { 'x-forwarded-for': address } });
    const { tokens } = expectMember(
      await untrusted('203.0.113.1').authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    assert.equal(tokens.session.ipAddress, '127.0.0.1');
    await untrusted('203.0.113.2').authenticate({ username: 'alice', password: 'wrong' });
    expectMember(
      await untrusted('203.0.113.3').authenticate({ username: 'alice', password }),
      'TimeoutError',
      'a rotating header makes no new clients',
    );

    await clear(service);
    await insertPerson(service, { username: 'alice', hasPassword: true });
    const through = from('192.0.2.1, 192.0.2.2, 203.0.113.1');
    const { tokens: tokensThrough } = expectMember(
      await through.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    assert.equal(tokensThrough.session.ipAddress, '203.0.113.1');
  });

  test('is not upset by what is no address', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const address of ['unknown', '203.0.113.1:4711', 'fe80::1%eth0', '[2001:db8::1]', '_hidden', '1', '']) {
      const { status, data } = await caller(service, { headers: { 'x-forwarded-for': address } }).ask(
        'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename } }',
        { input: { username: 'alice', password } },
      );
      assert.deepEqual([status, data?.authenticate.__typename], [200, 'AuthenticateSuccess'], address);
    }
  });
});

describe('a hash made otherwise than one would be made today', () => {
  test('is made anew at the next sign-in, and not before', async () => {
    const dear = await startService({ ...shared, BCRYPT_COST: '5' });
    await signUp(service, { username: 'alice', password });
    const before = await passwordHashOf(dear);
    assert.match(before, /\$2b\$04\$/);

    await caller(dear).authenticate({ username: 'alice', password: 'wrong' });
    assert.equal(await passwordHashOf(dear), before);
    await advance(dear, 1);
    expectMember(await caller(dear).authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    const after = await passwordHashOf(dear);
    assert.match(after, /\$2b\$05\$/);
    expectMember(await caller(dear).authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    assert.equal(await passwordHashOf(dear), after);
  });

  test('takes the current pepper in the place of the one that is being replaced', async () => {
    const { PASSWORD_PEPPER: current } = sharedSecrets();
    const during = await startService({ ...shared, PASSWORD_PEPPER: `${current},${secrets.PASSWORD_PEPPER}` });
    await signUp(service, { username: 'alice', password });
    assert.ok((await passwordHashOf(during)).includes(service.app.config.passwordPeppers[0].id));
    expectMember(await caller(during).authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
    assert.ok((await passwordHashOf(during)).includes(during.app.config.passwordPeppers[0].id));
    // The old one alone verifies it no longer: it is gone from what is stored.
    expectMember(await caller(service).authenticate({ username: 'alice', password }), 'InvalidCredentialsError');
  });
});
