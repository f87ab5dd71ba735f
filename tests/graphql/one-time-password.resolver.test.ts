/** Security tokens and one-time passwords: lookups, sends, checks and generation. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectError, expectMember, expectWait, outbox } from '../support/client.js';
import {
  byAddress,
  type Caller,
  caller,
  insertPeople,
  insertPerson,
  lastMessage,
  type Person,
  password,
  person,
  signIn,
  signUp,
} from '../support/people.js';
import { advance, clear, countRows, createDatabase, rows, sharedSecrets, startService } from '../support/service.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const service = await startService(shared);
/** Has limits that the tests can reach. */
const limited = await startService({
  ...shared,
  TRUST_PROXY: '127.0.0.1',
  LOOK_UPS_PER_MINUTE: '2',
  SENDS_PER_HOUR: '3',
  OTP_MAX_RETRY_DELAY_SECONDS: '10',
  OTP_MAX_FAILURES: '7',
});
const { db, config } = service.app;
const anonymous = caller(service);
const limitedFrom = (address: string) => caller(limited, { headers: { 'x-forwarded-for': address } });

const email = 'alice@example.com';
const phone = '+12025550123';
const nobody = 'nobody@example.com';
const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
type Purpose = (typeof purposes)[number];
const superuser = { username: 'root', hasPassword: true, role: 'superuser' } as const;

beforeEach(async () => {
  // Sends for strangers run in the background. They must not arrive in the next test.
  await service.app.outbox();
  await clear(service);
});

const { tokenOf, makeCode, verifyAddress } = byAddress(service);
const check = (address: string, code: string, purpose?: Purpose) =>
  anonymous.checkOneTimePassword(tokenOf(address), code, purpose);

async function expectWrong(address: string, code: string, purpose?: Purpose, what?: string): Promise<void> {
  expectMember(await check(address, code, purpose), 'InvalidOneTimePasswordError', what);
}

async function expectRight(address: string, code: string, what?: string) {
  return expectMember(await check(address, code), 'CheckOneTimePasswordSuccess', what);
}

/** Sends a one-time password and reads it. */
async function receive(tokenId: string, purpose?: Purpose, by: Caller = anonymous): Promise<string> {
  const before = await countRows(service, 'outbox_messages');
  expectMember(await by.sendOneTimePassword(tokenId, purpose), 'SendOneTimePasswordSuccess');
  const messages = await service.app.outbox();
  assert.equal(messages.length, before + 1, 'one message is in the outbox');
  return messages[0]!.oneTimePassword!;
}

/** Returns another text of the same form. */
function otherThan(oneTimePassword: string): string {
  return oneTimePassword.replace(/.$/, (last) => (last === '2' ? '3' : '2'));
}

function assertInTenMinutes(instant: string): void {
  assert.match(instant, /\.\d{3}Z$/);
  assert.ok(Math.abs(Date.parse(instant) - Date.now() - 600_000) < 10_000, instant);
}

/** Addresses of an account that do not authenticate its user, as strangers see them. */
const unproving: Record<string, () => Promise<unknown>> = {
  'that stands unverified beside a verified one': async () => {
    const alice = await insertPerson(service, { email, phone });
    await verifyAddress(alice, phone);
  },
  'of an inactive user': async () => {
    await insertPerson(service, { email, hasPassword: true, verified: true });
    await db.execute(sql`update users set is_active = false`);
  },
  'of a superuser, unverified': () => insertPerson(service, { email, ...superuser }),
  'of staff, unverified': () => insertPerson(service, { email, hasPassword: true, role: 'staff' }),
};

describe('securityTokens', () => {
  const hidden = { verified: null, failureCount: null, retryAt: null, expiresAt: null };

  test('responds alike for addresses with and without an account', async () => {
    const look = async () => [await anonymous.securityTokens(email), await anonymous.securityTokens(phone)];
    const before = await look();
    const alice = await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    assert.deepEqual(before, [
      [{ __typename: 'EmailToken', id: alice.emailToken, name: 'al***@ex*****.***', ...hidden }],
      [{ __typename: 'PhoneToken', id: alice.phoneToken, name: '+*********23', ...hidden }],
    ]);
    assert.deepEqual(await look(), before);
    await verifyAddress(alice, email);
    assert.deepEqual(await look(), before);
  });

  test('finds an address in every case and format', async () => {
    const askedIdOf = async (text: string) => (await anonymous.securityTokens(text))[0]!.id;
    const forms = [
      [email, 'ALICE@EXAMPLE.COM', 'Alice@Example.com'],
      ['alice@bücher.example', 'alice@XN--BCHER-KVA.example', 'alice@BU\u0308CHER.example'],
      [phone, '(202) 555-0123', '202-555-0123', '+1 202 555 0123'],
    ];
    for (const same of forms) assert.equal(new Set(await Promise.all(same.map(askedIdOf))).size, 1, same.join());
    const others = [...forms.map(([first]) => first!), nobody, '+12025550124'];
    assert.equal(new Set(await Promise.all(others.map(askedIdOf))).size, others.length);
  });

  test('lists the verified addresses of a username, and nothing for an unknown username', async () => {
    const shownFor = async (username: string) =>
      (await anonymous.securityTokens(username)).map(({ id, verified }) => [id, verified]);
    const alice = await insertPerson(service, { username: 'Alice', email, phone });
    const [byEmail, byPhone] = [alice.emailToken, alice.phoneToken].map((id) => [id, null]);
    for (const username of ['alice', 'ALICE', 'Ａlice']) assert.deepEqual(await shownFor(username), [byEmail, byPhone]);
    await verifyAddress(alice, phone);
    assert.deepEqual(await shownFor('alice'), [byPhone]);
    await verifyAddress(alice, email);
    assert.deepEqual(await shownFor('alice'), [byEmail, byPhone]);
    await db.execute(sql`update users set is_active = false`);
    await insertPeople(service, [{ username: 'bob' }, { ...superuser, email: 'root@example.com' }]);
    for (const username of ['alice', 'bob', 'root', 'nobody']) assert.deepEqual(await shownFor(username), []);
  });

  test('is empty for an invalid identifier', async () => {
    const texts = ['', ' ', '@', 'a b', '123', 'alice@', "alice'--", 'a\0b', 'x'.repeat(10_000), 'mıke@example.com'];
    for (const text of texts) assert.deepEqual(await anonymous.securityTokens(text), [], JSON.stringify(text));
  });

  test('shows details to the owner and to staff only, also of an unverified address', async () => {
    const [alice, bob, root] = await insertPeople(service, [
      { username: 'alice', email, phone, hasPassword: true },
      { username: 'bob', hasPassword: true },
      superuser,
    ]);
    await verifyAddress(alice, phone);
    // The email waits now, so its counter is that of alice.
    const wrong = await alice.checkOneTimePassword(alice.emailToken, 'wrong', 'VERIFICATION');
    expectMember(wrong, 'InvalidOneTimePasswordError');
    type Shown = Awaited<ReturnType<Caller['securityTokens']>>[number];
    const details = ({ verified, failureCount, retryAt, expiresAt }: Shown) => [
      verified,
      failureCount,
      retryAt !== null,
      expiresAt !== null,
    ];
    const seenBy = async (by: Caller, identifier: string) => (await by.securityTokens(identifier)).map(details);
    const unseen = [null, null, false, false];
    const ofEmail = [false, 1, true, false];
    const shown = [ofEmail, [true, 0, false, false]];
    for (const stranger of [anonymous, bob])
      for (const identifier of ['alice', email]) assert.deepEqual(await seenBy(stranger, identifier), [unseen]);
    await db.execute(sql`update users set is_staff = true where username = 'bob'`);
    for (const by of [alice, bob, root]) {
      assert.deepEqual(await seenBy(by, 'alice'), shown);
      // A look-up by a pending address finds no account, because several may hold it.
      assert.deepEqual(await seenBy(by, email), [unseen]);
      assert.deepEqual(await seenBy(by, phone), [shown[1]]);
    }
    assert.deepEqual((await alice.me()).securityTokens.map(details), shown);
    // The masked address is the requested spelling, so it never shows the spelling of the owner.
    for (const by of [anonymous, bob, alice])
      assert.equal((await by.securityTokens('ALICE@EXAMPLE.com'))[0]!.name, 'AL***@ex*****.***');
  });

  test('returns the same ID for an address after SECRET_KEY is replaced', async () => {
    const DATABASE_URL = await createDatabase();
    const [old, current] = [sharedSecrets(), sharedSecrets()];
    const ids = [];
    for (const SECRET_KEY of [old.SECRET_KEY, `${current.SECRET_KEY},${old.SECRET_KEY}`, current.SECRET_KEY]) {
      const replaced = await startService({ ...old, DATABASE_URL, SECRET_KEY: SECRET_KEY! });
      ids.push((await caller(replaced).securityTokens(email))[0]!.id);
      await replaced.stop();
    }
    assert.equal(new Set(ids).size, 1);
    assert.notEqual(ids[0], tokenOf(email));
  });

  test('is limited by client address, with a top-level error and HTTP status 429', async () => {
    const client = limitedFrom('2001:db8:0:1::1');
    for (const identifier of [email, 'alice']) await client.securityTokens(identifier);
    const sameNetwork = limitedFrom('2001:db8:0:1::ffff');
    const { status, headers, errors } = await expectError(sameNetwork.securityTokens('alice'), 'TIMEOUT');
    const { code, retryAt, retryAfterSeconds, failureCount, ...others } = errors![0]!.extensions;
    assert.deepEqual([status, code, failureCount, others], [429, 'TIMEOUT', null, {}]);
    assert.ok(retryAfterSeconds > 50 && retryAfterSeconds <= 60, retryAfterSeconds);
    assert.equal(headers.get('retry-after'), String(retryAfterSeconds));
    assert.ok(Math.abs(Date.parse(retryAt) - Date.now() - 60_000) < 10_000);
    await limitedFrom('2001:db8:0:2::1').securityTokens(email);
    await advance(limited, 60);
    await client.securityTokens(email);
  });
});

test('a made-up ID is BAD_USER_INPUT and stores nothing', async () => {
  const [alice, root] = await insertPeople(service, [{ username: 'alice', email, phone }, superuser]);
  const { emailToken } = alice;
  const madeUp = [
    '',
    'x',
    '1',
    alice.id,
    `p${emailToken.slice(1)}`,
    emailToken.slice(0, -1),
    `${emailToken}A`,
    emailToken.slice(0, 5) + (emailToken[5] === 'A' ? 'B' : 'A') + emailToken.slice(6),
    emailToken.toLowerCase() === emailToken ? emailToken.toUpperCase() : emailToken.toLowerCase(),
    "e' or 1=1 --",
    `e${'A'.repeat(32)}`,
  ];
  const tables = ['one_time_passwords', 'rate_limit_events', 'outbox_messages'] as const;
  const count = () => Promise.all(tables.map((table) => countRows(service, table)));
  const before = await count();
  for (const tokenId of madeUp) {
    for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const) {
      await expectError(root.sendOneTimePassword(tokenId, purpose), 'BAD_USER_INPUT', tokenId);
      await expectError(root.checkOneTimePassword(tokenId, 'x', purpose), 'BAD_USER_INPUT', tokenId);
    }
    for (const purpose of ['VERIFICATION', 'AUTHENTICATION'] as const)
      await expectError(root.generateOneTimePassword(tokenId, purpose), 'BAD_USER_INPUT', tokenId);
    const reset = { tokenId, oneTimePassword: 'x', newPassword: 'another horse battery' };
    await expectError(root.resetPassword(reset), 'BAD_USER_INPUT', tokenId);
  }
  assert.deepEqual(await count(), before);
});

describe('sendOneTimePassword', () => {
  test('sends to the stored address, never to the typed one, and returns the expiry of the one-time password', async () => {
    await signUp(service, { email: 'Alice@Example.com', phone: '(202) 555-0123' });
    for (const [typed, stored, channel, code] of [
      ['aLICE@EXAMPLE.COM', 'Alice@example.com', 'email', /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/],
      ['202 555 0123', phone, 'sms', /^\d{6}$/],
    ] as const) {
      const [token] = await anonymous.securityTokens(typed);
      const sent = await anonymous.sendOneTimePassword(token!.id);
      assertInTenMinutes(expectMember(sent, 'SendOneTimePasswordSuccess').expiresAt);
      const message = await lastMessage(service);
      assert.deepEqual([message.to, message.channel], [stored, channel]);
      assert.match(message.oneTimePassword, code);
    }
  });

  for (const [what, prepare] of Object.entries(unproving))
    test(`sends nothing for a stranger to an address ${what}`, async () => {
      await prepare();
      for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const) {
        expectMember(await anonymous.sendOneTimePassword(tokenOf(email), purpose), 'SendOneTimePasswordSuccess');
        await advance(service, 30);
      }
      assert.deepEqual(await service.app.outbox(), []);
    });

  test('replaces the previous one-time password, like generateOneTimePassword', async () => {
    const { emailToken } = await insertPerson(service, { email });
    const first = await makeCode(email);
    const second = await receive(emailToken);
    await expectWrong(email, first);
    const third = await makeCode(email);
    await advance(service, 1);
    await expectWrong(email, second);
    await advance(service, 2);
    await expectRight(email, third);
  });

  test('never lowers the failure count, like generateOneTimePassword', async () => {
    const alice = await insertPerson(service, { email });
    await expectWrong(email, 'wrong');
    await db.execute(sql`update one_time_passwords set failure_count = 5, retry_at = null`);
    await expectWrong(email, 'wrong');
    for (const right of [await makeCode(email), await receive(alice.emailToken)])
      expectWait(await check(email, right), 6, 32);
    assert.equal((await alice.me()).securityTokens[0]!.failureCount, 6);
  });

  test('sends at most one message in 30 s, 5 an hour and 10 a day for one token', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenOf(email);
    const day = 24 * 60 * 60;
    let sinceStart = 0;
    const pass = async (seconds: number) => {
      await advance(service, seconds);
      sinceStart += seconds;
    };
    const refuse = async (opensAt: number) => {
      const refused = await anonymous.sendOneTimePassword(tokenId);
      expectWait(refused, null);
      const { retryAfterSeconds, retryAt } = expectMember(refused, 'TimeoutError');
      // The test uses at most a few seconds of the wait.
      const passed = opensAt - sinceStart - retryAfterSeconds;
      assert.ok(passed >= 0 && passed < 10, `${retryAfterSeconds} s at ${sinceStart} s`);
      assert.ok(Math.abs(Date.parse(retryAt) - Date.now() - retryAfterSeconds * 1000) < 2000);
    };
    for (const hour of [0, 3600]) {
      await pass(hour - sinceStart);
      for (let nth = 0; nth < 5; nth += 1) {
        await receive(tokenId);
        await refuse(nth < 4 ? sinceStart + 30 : hour + (hour === 0 ? 3600 : day - 3600));
        await pass(30);
      }
    }
    await pass(3600);
    await refuse(day);
    await pass(day - sinceStart);
    await receive(tokenId);
    assert.equal((await service.app.outbox()).length, 11);
  });

  test('has separate limits for the owner, for other clients and for each token', async () => {
    const [alice, bob] = await insertPeople(service, [{ email, phone }, { username: 'bob' }]);
    await receive(alice.emailToken);
    expectWait(await anonymous.sendOneTimePassword(alice.emailToken, 'PASSWORD_RESET'), null);
    await receive(alice.emailToken, 'VERIFICATION', alice);
    expectWait(await alice.sendOneTimePassword(alice.emailToken), null);
    // Bob is a stranger to the address.
    expectWait(await bob.sendOneTimePassword(alice.emailToken), null);
    await receive(alice.phoneToken);
  });

  test('of the owner does not count if it sends nothing', async () => {
    // An earlier release left such an address: it does not authenticate its user.
    const root = await insertPerson(service, { ...superuser, email });
    for (let nth = 0; nth < 3; nth += 1)
      expectMember(await root.sendOneTimePassword(root.emailToken), 'SendOneTimePasswordSuccess');
    assert.deepEqual(await service.app.outbox(), []);
  });

  test('by the holder of a pending address is that of a stranger, unless it is for verification', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    expectMember(await alice.updateUser({ phone }), 'UpdateUserSuccess');
    const tokenId = tokenOf(phone);
    await service.app.outbox();
    await advance(service, 30);
    const sentTo = async () => (await service.app.outbox()).filter(({ to }) => to === phone).length;
    const before = await sentTo();
    expectMember(await alice.sendOneTimePassword(tokenId), 'SendOneTimePasswordSuccess');
    assert.equal(await sentTo(), before, 'a pending address does not authenticate its user');
    for (const by of [alice, anonymous]) expectWait(await by.sendOneTimePassword(tokenId), null);
    await receive(tokenId, 'VERIFICATION', alice);

    // The answer is the same once another account has the phone.
    await insertPerson(service, { phone });
    await advance(service, 30);
    expectMember(await alice.sendOneTimePassword(tokenId), 'SendOneTimePasswordSuccess');
    assert.equal(await sentTo(), before + 2);
  });

  test('is limited by client address over all tokens', async () => {
    const client = limitedFrom('203.0.113.1');
    const sendTo = (name: string, by = client) => by.sendOneTimePassword(tokenOf(`${name}@example.com`));
    for (const name of ['a', 'b', 'c']) await sendTo(name);
    const refused = await sendTo('d');
    expectWait(refused, null);
    assert.ok(refused.retryAfterSeconds! > 3590 && refused.retryAfterSeconds! <= 3600);
    // A send that one limit rejects counts for no other limit.
    expectMember(await sendTo('d', limitedFrom('203.0.113.2')), 'SendOneTimePasswordSuccess');
  });

  test('is limited by phone prefix, and counts only sent messages', async () => {
    const sparing = await startService({ ...shared, SMS_PREFIX_SENDS_PER_HOUR: '2' });
    const anyone = caller(sparing);
    const numbers = ['+12025550101', '+12025550102', '+12025550103', '+12025560103'];
    const people = await insertPeople(
      sparing,
      numbers.map((number) => ({ phone: number })),
    );
    const [first, second, third, elsewhere] = people as [Person, Person, Person, Person];
    const sent = async (result: Promise<{ __typename: string }>, messages: number) => {
      expectMember(await result, 'SendOneTimePasswordSuccess');
      assert.equal((await outbox(sparing)).length, messages);
    };
    for (const number of ['+12025550104', '+12025550105', '+12025550106'])
      await sent(anyone.sendOneTimePassword(tokenOf(number)), 0);
    await sent(anyone.sendOneTimePassword(first.phoneToken), 1);
    await sent(second.sendOneTimePassword(second.phoneToken, 'VERIFICATION'), 2);
    // To a stranger, the limit of sent messages would reveal that the number has an account.
    await sent(anyone.sendOneTimePassword(third.phoneToken), 2);
    const refused = await third.sendOneTimePassword(third.phoneToken, 'VERIFICATION');
    expectWait(refused, null);
    assert.ok(refused.retryAfterSeconds! > 3500);
    await sent(elsewhere.sendOneTimePassword(elsewhere.phoneToken, 'VERIFICATION'), 3);
    await advance(sparing, 3600);
    await sent(third.sendOneTimePassword(third.phoneToken, 'VERIFICATION'), 4);
    assert.equal((await lastMessage(sparing)).to, '+12025550103');
  });

  test('to a stored number outside the calling codes is a TransmissionError for its owner only', async () => {
    const alice = await insertPerson(service, { username: 'alice', phone, hasPassword: true });
    const british = await startService({ ...shared, SMS_CALLING_CODES: '44' });
    const owner = caller(british, { token: alice.tokens.accessToken });
    for (const purpose of ['VERIFICATION', 'AUTHENTICATION'] as const)
      assert.equal((await owner.sendOneTimePassword(alice.phoneToken, purpose)).code, 'TRANSMISSION');
    expectMember(await caller(british).sendOneTimePassword(alice.phoneToken), 'SendOneTimePasswordSuccess');
    assert.deepEqual(await outbox(british), []);
  });
});

describe('checkOneTimePassword', () => {
  for (const [kind, address] of Object.entries({ email, phone }))
    test(`for AUTHENTICATION signs in by ${kind}, once`, async () => {
      const { id } = await insertPerson(service, { [kind]: address });
      const code = await makeCode(address);
      const { securityToken, user, tokens } = await expectRight(address, code);
      const fresh = { id: tokenOf(address), verified: true, failureCount: 0, retryAt: null, expiresAt: null };
      assert.deepEqual(securityToken, { ...securityToken, ...fresh });
      assert.deepEqual(user, { ...user, id, [`${kind}Verified`]: true });
      assert.deepEqual(tokens!.session.authenticationMethods, [`${kind.toUpperCase()}_ONE_TIME_PASSWORD`]);
      assert.equal(tokens!.session.current, true);
      const me = await person(service, user, tokens).me();
      assert.equal(me.id, id);
      assert.ok(Math.abs(Date.parse(me.lastLogin!) - Date.now()) < 10_000);
      await expectWrong(address, code);
    });

  test('ignores case, spaces and dashes, and nothing else', async () => {
    await insertPeople(service, [{ email }, { phone }]);
    const spell: Record<string, (text: string) => string> = {
      'as it is': (text) => text,
      'in lower case': (text) => text.toLowerCase(),
      'in groups': (text) => text.replace(/(..)/g, '$1 '),
      'with dashes': (text) => `${text.slice(0, 4)}-${text.slice(4)}`,
      'with white space around it': (text) => `\t ${text}\n`,
    };
    for (const address of [email, phone]) {
      for (const [how, write] of Object.entries(spell)) {
        await expectRight(address, write(await makeCode(address)), how);
        await advance(service, 24 * 60 * 60);
      }
      const right = await makeCode(address);
      for (const other of [`${right}2`, right.slice(1), `.${right}`, `${right}\0`, otherThan(right)]) {
        await expectWrong(address, other, undefined, other);
        await advance(service, 16);
      }
      await expectRight(address, right);
    }
  });

  test('rejects an empty one-time password, and any one-time password if none is valid', async () => {
    await insertPerson(service, { email });
    const guesses = ['', ' ', '-', 'null', 'undefined', '0', '000000', 'BCDF2345', 'x'.repeat(10_000), '\0'];
    for (const live of [false, true]) {
      if (live) await makeCode(email);
      for (const guess of guesses) {
        await expectWrong(email, guess, undefined, JSON.stringify(guess));
        await db.execute(sql`update one_time_passwords set retry_at = null, failure_count = 0`);
      }
    }
    for (const noText of [null, 1, true, {}, ['x']] as unknown as string[])
      await expectError(check(email, noText), 'BAD_USER_INPUT', JSON.stringify(noText));
  });

  test('treats an expired one-time password as wrong, and counts it', async () => {
    await insertPerson(service, { email });
    const first = await makeCode(email);
    await advance(service, 599);
    await expectRight(email, first);
    const second = await makeCode(email);
    await advance(service, 600);
    await expectWrong(email, second);
    expectWait(await check(email, second), 1);
  });

  test('rejects one-time passwords for other purposes, and for PASSWORD_RESET also its own', async () => {
    const alice = await insertPerson(service, { email });
    for (const made of purposes) {
      await db.execute(sql`truncate one_time_passwords, rate_limit_events`);
      const oneTimePassword = await makeCode(email, made);
      for (const checked of purposes.filter((purpose) => purpose !== made || made === 'PASSWORD_RESET')) {
        const result = await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, checked);
        expectMember(result, 'InvalidOneTimePasswordError', `made for ${made}, checked for ${checked}`);
      }
    }
    expectWait(await check(email, 'wrong', 'PASSWORD_RESET'), 1);
  });

  test('rejects a digest that was moved in the database, because it is bound to token and purpose', async () => {
    const [alice] = await insertPeople(service, [{ email }, { email: 'bob@example.com' }]);
    const oneTimePassword = await makeCode(email);
    await makeCode('bob@example.com');
    await makeCode(email, 'VERIFICATION');
    // An attacker with write access has replaced all digests by that of a known one-time password.
    await db.execute(sql`update one_time_passwords set code_digest =
      (select code_digest from one_time_passwords where token_id = ${alice.emailToken} and purpose = 'AUTHENTICATION')`);
    await expectWrong('bob@example.com', oneTimePassword);
    const verified = await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, 'VERIFICATION');
    expectMember(verified, 'InvalidOneTimePasswordError');
    await expectRight(email, oneTimePassword);
  });

  test('rejects a one-time password that was sent before the address had an account', async () => {
    await anonymous.sendOneTimePassword(tokenOf(email));
    const alice = await signUp(service, { email });
    assert.equal((await alice.me()).securityTokens[0]!.expiresAt, null);
    assert.deepEqual(await service.app.outbox(), []);
  });

  // Rows of an earlier release, which kept such addresses beside the reserved ones.
  const changes = {
    deactivated: sql`update users set is_active = false`,
    'made staff': sql`update users set is_staff = true`,
    'made a superuser': sql`update users set is_superuser = true`,
    'verified by another address': sql`update users set first_verified_at = now()`,
  };
  for (const [what, change] of Object.entries(changes))
    test(`rejects a one-time password if the user is ${what} meanwhile`, async () => {
      await insertPerson(service, { email, hasPassword: true });
      const oneTimePassword = await makeCode(email);
      await db.execute(change);
      await expectWrong(email, oneTimePassword);
    });

  test('rejects a one-time password to a verified address if the user is gone meanwhile', async () => {
    const { id } = await insertPerson(service, { email, verified: true });
    const oneTimePassword = await makeCode(email);
    await db.execute(sql`delete from users where id = ${id}`);
    await expectWrong(email, oneTimePassword);
  });

  test('signs the reader of an unverified address up if its user is gone meanwhile', async () => {
    const { id } = await insertPerson(service, { username: 'mallory', email, hasPassword: true });
    const oneTimePassword = await makeCode(email);
    await db.execute(sql`delete from users where id = ${id}`);
    const { user, tokens } = await expectRight(email, oneTimePassword);
    const own = { email, emailVerified: true, username: null, hasUsablePassword: false };
    assert.deepEqual(user, { ...user, ...own });
    assert.notEqual(user.id, id);
    assert.equal((await person(service, user, tokens).me()).id, user.id);
    await expectWrong(email, oneTimePassword);
  });

  test('signs staff and superusers in by a verified address', async () => {
    await insertPerson(service, { ...superuser, email, verified: true });
    const { user, tokens } = await expectRight(email, await receive(tokenOf(email)));
    assert.deepEqual([user.isSuperuser, user.hasUsablePassword], [true, true]);
    assert.notEqual(tokens, null);
  });
});

describe('verification', () => {
  test('marks the address as verified, opens no session and counts as authentication in the current session', async () => {
    const alice = await insertPerson(service, { email, phone, hasPassword: true });
    await db.execute(sql`update sessions set authenticated_at = authenticated_at - interval '1 hour'`);
    const code = await makeCode(email, 'VERIFICATION');
    const { securityToken, user, tokens } = expectMember(
      await alice.checkOneTimePassword(alice.emailToken, code, 'VERIFICATION'),
      'CheckOneTimePasswordSuccess',
    );
    assert.deepEqual([tokens, securityToken.verified], [null, true]);
    const others = [user.phone, user.pendingPhone, user.lastLogin];
    assert.deepEqual([user.emailVerified, ...others], [true, null, phone, null]);
    assert.deepEqual(
      (await alice.sessions()).map(({ authenticationMethods }) => authenticationMethods.sort()),
      [['EMAIL_ONE_TIME_PASSWORD', 'PASSWORD']],
    );
    const recent = sql`select authenticated_at > now() - interval '1 minute' as recent from sessions`;
    assert.deepEqual(await rows(service, recent), [{ recent: true }]);
    await verifyAddress(alice, phone);
    assert.equal((await alice.me()).phoneVerified, true);
  });

  test('of a pending address is no authentication', async () => {
    const alice = await insertPerson(service, { email, verified: true });
    await alice.updateUser({ phone });
    await advance(service, 601);
    await verifyAddress(alice, phone);
    assert.deepEqual(
      (await alice.sessions()).map(({ authenticationMethods }) => authenticationMethods),
      [[]],
    );
    const recent = sql`select authenticated_at > now() - interval '10 minutes' as recent from sessions`;
    assert.deepEqual(await rows(service, recent), [{ recent: false }]);
  });

  test('has a separate failure count, like every purpose', async () => {
    const alice = await insertPerson(service, { email });
    const verifyBy = (code: string) => alice.checkOneTimePassword(alice.emailToken, code, 'VERIFICATION');
    const right = await makeCode(email, 'VERIFICATION');
    await expectWrong(email, 'wrong');
    await expectWrong(email, 'wrong', 'PASSWORD_RESET');
    await db.execute(sql`update one_time_passwords set failure_count = 4 where purpose = 'AUTHENTICATION'`);
    expectMember(await verifyBy('wrong'), 'InvalidOneTimePasswordError');
    expectWait(await verifyBy(right), 1);
    assert.equal((await alice.me()).securityTokens[0]!.failureCount, 4, 'the highest count of all purposes');
    await db.execute(sql`update one_time_passwords set retry_at = now() where purpose = 'VERIFICATION'`);
    const { securityToken } = expectMember(await verifyBy(right), 'CheckOneTimePasswordSuccess');
    assert.deepEqual([securityToken.verified, securityToken.failureCount], [true, 4]);
    await advance(service, 1);
    await expectWrong(email, 'wrong');
    expectWait(await check(email, 'wrong'), 5);
  });
});

describe('the first verification of an account', () => {
  test('by a caller with a session of another user opens a session of the verified user', async () => {
    const [attacker, bob] = await insertPeople(service, [
      { username: 'mallory', email, phone, hasPassword: true },
      { username: 'bob' },
    ]);
    const checked = await bob.checkOneTimePassword(attacker.emailToken, await makeCode(email));
    const { user, tokens } = expectMember(checked, 'CheckOneTimePasswordSuccess');
    assert.deepEqual([user.id, user.hasUsablePassword], [attacker.id, false]);
    assert.equal((await person(service, user, tokens).me()).id, attacker.id);
    assert.equal((await bob.me()).username, 'bob');
  });

  test('by its signed-in user is recorded in the session and removes nothing', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true });
    const checked = await alice.checkOneTimePassword(alice.emailToken, await makeCode(email));
    const { user, tokens } = expectMember(checked, 'CheckOneTimePasswordSuccess');
    assert.deepEqual([tokens, user.emailVerified, user.hasUsablePassword], [null, true, true]);
    const [session] = await alice.sessions();
    assert.deepEqual(session!.authenticationMethods.sort(), ['EMAIL_ONE_TIME_PASSWORD', 'PASSWORD']);
  });
});

describe('after a failure', () => {
  test('no attempt is compared or counted before retryAt, and a success clears the count', async () => {
    const alice = await insertPerson(service, { email });
    const oneTimePassword = await makeCode(email);
    await expectWrong(email, otherThan(oneTimePassword));
    const { retryAt } = expectMember(await check(email, oneTimePassword), 'TimeoutError');
    for (const guess of ['wrong', oneTimePassword]) {
      const early = await check(email, guess);
      expectWait(early, 1, 1);
      assert.equal(early.retryAt, retryAt);
    }
    const [shown] = (await alice.me()).securityTokens;
    assert.deepEqual(shown, { ...shown, failureCount: 1, retryAt });
    await advance(service, 1);
    const { securityToken } = await expectRight(email, oneTimePassword);
    assert.deepEqual([securityToken.failureCount, securityToken.retryAt], [0, null]);
    await expectWrong(email, 'wrong');
    expectWait(await check(email, 'wrong'), 1, 1);
  });

  test('the wait has the configured maximum and lockout', async () => {
    assert.deepEqual([config.oneTimePassword.maxRetryDelaySeconds, config.oneTimePassword.maxFailures], [3600, 100]);
    const stranger = caller(limited);
    const tokenId = tokenOf(email);
    for (const [index, wait] of [1, 2, 4, 8, 10, 10, 86_400, 86_400].entries()) {
      expectMember(await stranger.checkOneTimePassword(tokenId, 'wrong'), 'InvalidOneTimePasswordError');
      expectWait(await stranger.checkOneTimePassword(tokenId, 'wrong'), index + 1, wait);
      await db.execute(sql`update one_time_passwords set retry_at = now()`);
    }
  });

  test('other addresses and passwords are not rate-limited', async () => {
    await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    await expectWrong(email, 'wrong');
    await expectWrong(phone, 'wrong');
    await signIn(service, { email, password });
  });
});

describe('generateOneTimePassword', () => {
  let root: Person;
  beforeEach(async () => {
    root = await insertPerson(service, superuser);
  });

  const generate = async (by: Person, address: string, purpose?: Purpose) =>
    expectMember(await by.generateOneTimePassword(tokenOf(address), purpose), 'GenerateOneTimePasswordSuccess');
  const expectNotFound = async (address: string, purpose?: Purpose) =>
    expectMember(await root.generateOneTimePassword(tokenOf(address), purpose), 'NotFoundError');

  test('returns a one-time password for each purpose to a superuser, without a send limit or a message', async () => {
    const alice = await insertPerson(service, { email, phone, verified: true });
    for (let nth = 0; nth < 2; nth += 1) await generate(root, email, 'VERIFICATION');
    const verification = await generate(root, email, 'VERIFICATION');
    const checked = await alice.checkOneTimePassword(alice.emailToken, verification.oneTimePassword, 'VERIFICATION');
    expectMember(checked, 'CheckOneTimePasswordSuccess');
    await generate(root, email, 'PASSWORD_RESET');
    const { securityToken, oneTimePassword, expiresAt } = await generate(root, email);
    assert.equal(securityToken.id, alice.emailToken);
    assert.match(oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
    assertInTenMinutes(expiresAt);
    assert.deepEqual(await service.app.outbox(), []);
    assert.equal((await expectRight(email, oneTimePassword)).user.id, alice.id);
  });

  test('is NotFoundError for an address without an account, and for an unverified address', async () => {
    await expectNotFound(nobody);
    const alice = await insertPerson(service, { email, phone });
    for (const purpose of purposes) await expectNotFound(email, purpose);
    await verifyAddress(alice, phone);
    for (const purpose of purposes) await expectNotFound(email, purpose);
    await generate(root, phone);
    await db.execute(sql`update users set is_active = false where phone is not null`);
    await expectNotFound(phone);
  });

  test("rejects the tokens of other superusers, and permits the caller's own", async () => {
    const second = await insertPerson(service, { email, role: 'superuser', verified: true });
    for (const purpose of purposes) await expectNotFound(email, purpose);
    const { oneTimePassword } = await generate(second, email);
    const checked = await second.checkOneTimePassword(second.emailToken, oneTimePassword);
    expectMember(checked, 'CheckOneTimePasswordSuccess');
  });

  test('requires a recent authentication', async () => {
    await insertPeople(service, [
      { email, verified: true },
      { ...superuser, username: 'second', email: 'root@a.test', verified: true },
    ]);
    await generate(root, email);
    await advance(service, 601);
    const asked = await root.generateOneTimePassword(tokenOf(email));
    assert.equal(expectMember(asked, 'StepUpRequiredError').password, true);
    expectMember(await root.reauthenticate(password), 'ReauthenticateSuccess');
    await generate(root, email);
  });
});
