/** Security tokens and their one-time passwords: looked up, sent, checked, generated. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectMember, outbox } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  lastMessage,
  makeOneTimePassword,
  makeSuperuser,
  type Person,
  password,
  signUp,
  verifyUnsent,
} from '../support/people.js';
import { advance, clear, createDatabase, sharedSecrets, startService } from '../support/service.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const service = await startService(shared);
/** With limits that the tests of a limit reach. */
const limited = await startService({
  ...shared,
  TRUST_PROXY: '127.0.0.1',
  LOOK_UPS_PER_MINUTE: '2',
  SENDS_PER_HOUR: '3',
  OTP_MAX_TIMEOUT_SECONDS: '10',
  OTP_MAX_FAILURES: '7',
});
const { db, config } = service.app;
const anonymous = caller(service);

const email = 'alice@example.com';
const phone = '+12025550123';
const nobody = 'nobody@example.com';

beforeEach(async () => {
  // What is sent for a stranger is not waited for: it must not arrive in the next test.
  await service.app.outbox();
  await clear(service);
});

const tokenIdOf = (address: string) => idOfAddress(service, address);

/** Sends one and reads it. */
async function receive(tokenId: string, purpose?: 'VERIFICATION' | 'PASSWORD_RESET', by: Caller = anonymous) {
  const before = await countRows('outbox_messages');
  const sent = await by.sendOneTimePassword(tokenId, purpose);
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess', JSON.stringify(sent));
  const messages = await service.app.outbox();
  assert.equal(messages.length, before + 1, 'one message is kept');
  return messages[0]!.oneTimePassword!;
}

/** Of the same form, but another one. */
function otherThan(oneTimePassword: string): string {
  return oneTimePassword.replace(/.$/, (last) => (last === '2' ? '3' : '2'));
}

async function countRows(table: string): Promise<number> {
  const { rows } = (await db.execute(sql.raw(`select count(*)::int as count from ${table}`))) as unknown as {
    rows: { count: number }[];
  };
  return rows[0]!.count;
}

/** What an address is like to strangers that is somebody's but does not prove them. */
const unproving: Record<string, () => Promise<unknown>> = {
  'that stands unverified beside a verified one': async () => {
    const alice = await insertPerson(service, { email, phone });
    await verifyUnsent(service, alice, alice.phoneToken);
  },
  'of an inactive user': async () => {
    const alice = await insertPerson(service, { email, hasPassword: true });
    await verifyUnsent(service, alice, alice.emailToken);
    await db.execute(sql`update users set is_active = false`);
  },
  'of a superuser, unverified': () => makeSuperuser(service, { email }),
  'of staff, unverified': async () => {
    await insertPerson(service, { email, hasPassword: true, role: 'staff' });
  },
};

describe('securityTokens', () => {
  test('answers alike for an address that somebody has and for one that nobody has', async () => {
    const before = [await anonymous.securityTokens(email), await anonymous.securityTokens(phone)];
    const alice = await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    const after = [await anonymous.securityTokens(email), await anonymous.securityTokens(phone)];
    assert.deepEqual(after, before);
    assert.deepEqual(after, [
      [
        {
          __typename: 'EmailToken',
          id: alice.emailToken,
          name: 'al***@ex*****.***',
          verified: null,
          failureCount: null,
          retryAt: null,
          expiresAt: null,
        },
      ],
      [
        {
          __typename: 'PhoneToken',
          id: alice.phoneToken,
          name: '+*********23',
          verified: null,
          failureCount: null,
          retryAt: null,
          expiresAt: null,
        },
      ],
    ]);
    await verifyUnsent(service, alice, alice.emailToken);
    assert.deepEqual(await anonymous.securityTokens(email), before[0]);
  });

  for (const [what, prepare] of Object.entries(unproving))
    test(`answers alike for an address ${what}`, async () => {
      const before = await anonymous.securityTokens(email);
      await prepare();
      assert.deepEqual(await anonymous.securityTokens(email), before);
    });

  test('knows an address in every case and form', async () => {
    const askedIdOf = async (text: string) => (await anonymous.securityTokens(text))[0]!.id;
    const forms = [
      [email, 'ALICE@EXAMPLE.COM', 'Alice@Example.com'],
      ['alice@bücher.example', 'alice@XN--BCHER-KVA.example', 'alice@BU\u0308CHER.example'],
      [phone, '(202) 555-0123', '202-555-0123', '+1 202 555 0123'],
    ];
    for (const same of forms) {
      const ids = await Promise.all(same.map(askedIdOf));
      assert.equal(new Set(ids).size, 1, same.join());
    }
    const ids = await Promise.all([...forms.map(([first]) => first!), nobody, '+12025550124'].map(askedIdOf));
    assert.equal(new Set(ids).size, ids.length);
  });

  test('lists by username all tokens of its user, and nothing for nobody', async () => {
    const alice = await insertPerson(service, { username: 'Alice', email, phone });
    for (const username of ['alice', 'ALICE', 'Ａlice'])
      assert.deepEqual(
        (await anonymous.securityTokens(username)).map(({ id, verified }: Record<string, unknown>) => [id, verified]),
        [
          [alice.emailToken, null],
          [alice.phoneToken, null],
        ],
      );
    await insertPerson(service, { username: 'bob' });
    for (const username of ['bob', 'nobody']) assert.deepEqual(await anonymous.securityTokens(username), []);
  });

  test('lists by username only what proves its user', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone });
    await verifyUnsent(service, alice, alice.phoneToken);
    const ids = async () => (await anonymous.securityTokens('alice')).map(({ id }: { id: string }) => id);
    assert.deepEqual(await ids(), [alice.phoneToken]);
    await verifyUnsent(service, alice, alice.emailToken);
    assert.deepEqual(await ids(), [alice.emailToken, alice.phoneToken]);
    await db.execute(sql`update users set is_active = false`);
    assert.deepEqual(await ids(), []);

    await makeSuperuser(service, { username: 'root', email: 'root@example.com' });
    assert.deepEqual(await anonymous.securityTokens('root'), []);
  });

  test('is empty for what is no identifier', async () => {
    for (const text of [
      '',
      ' ',
      '@',
      'a b',
      '123',
      'alice@',
      "alice'--",
      'a\0b',
      'x'.repeat(10_000),
      'mıke@example.com',
    ])
      assert.deepEqual(await anonymous.securityTokens(text), [], JSON.stringify(text));
  });

  test('shows details to the owner and to staff, and to no one else', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    const bob = await insertPerson(service, { username: 'bob', hasPassword: true });
    await anonymous.checkOneTimePassword(alice.emailToken, 'wrong');
    const details = ({ verified, failureCount, retryAt, expiresAt }: Record<string, unknown>) => [
      verified,
      failureCount,
      retryAt !== null,
      expiresAt !== null,
    ];
    const seenBy = async (by: Caller, identifier: string) => (await by.securityTokens(identifier)).map(details);
    const hidden = [null, null, false, false];
    const shown = [
      [false, 1, true, false],
      [false, 0, false, false],
    ];
    for (const stranger of [anonymous, bob]) {
      assert.deepEqual(await seenBy(stranger, 'alice'), [hidden, hidden]);
      assert.deepEqual(await seenBy(stranger, email), [hidden]);
    }
    assert.deepEqual(await seenBy(alice, 'alice'), shown);
    assert.deepEqual(await seenBy(alice, email), [shown[0]]);
    assert.deepEqual((await alice.me()).securityTokens.map(details), shown);
    await db.execute(sql`update users set is_staff = true where username = 'bob'`);
    assert.deepEqual(await seenBy(bob, 'alice'), shown);
    assert.deepEqual(await seenBy(bob, phone), [shown[1]]);
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    assert.deepEqual(await seenBy(root, 'alice'), shown);
    // What is obscured is what was asked for: alike for everyone, and it never tells how the owner spells it.
    for (const by of [anonymous, bob, alice])
      assert.equal((await by.securityTokens('ALICE@EXAMPLE.com'))[0]!.name, 'AL***@ex*****.***');
  });

  test('shows the owner also an address that does not prove them yet', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone });
    await verifyUnsent(service, alice, alice.phoneToken);
    assert.deepEqual(
      (await alice.securityTokens('alice')).map(({ id, verified }: Record<string, unknown>) => [id, verified]),
      [
        [alice.emailToken, false],
        [alice.phoneToken, true],
      ],
    );
  });

  test('gives an address the same id after SECRET_KEY was replaced', async () => {
    const DATABASE_URL = await createDatabase();
    const [old, current] = [sharedSecrets(), sharedSecrets()];
    const ids = [];
    for (const SECRET_KEY of [old.SECRET_KEY, `${current.SECRET_KEY},${old.SECRET_KEY}`, current.SECRET_KEY]) {
      const replaced = await startService({ ...old, DATABASE_URL, SECRET_KEY: SECRET_KEY! });
      ids.push((await caller(replaced).securityTokens(email))[0]!.id);
      await replaced.stop();
    }
    assert.equal(new Set(ids).size, 1);
    assert.notEqual(ids[0], tokenIdOf(email));
  });

  test('is limited per client address, at the top level, with the status of HTTP for it', async () => {
    const from = (address: string) => caller(limited, { headers: { 'x-forwarded-for': address } });
    const client = from('2001:db8:0:1::1');
    for (const identifier of [email, 'alice']) await client.securityTokens(identifier);
    const { status, headers, data, errors } = await from('2001:db8:0:1::ffff').ask(
      '{ securityTokens(identifier: "alice") { id } }',
    );
    assert.equal(status, 429);
    assert.equal(data ?? null, null);
    const { code, retryAt, retryAfterSeconds, failureCount, ...others } = errors![0]!.extensions;
    assert.deepEqual([code, failureCount, others], ['TIMEOUT', null, {}]);
    assert.ok(retryAfterSeconds > 50 && retryAfterSeconds <= 60, retryAfterSeconds);
    assert.equal(headers.get('retry-after'), String(retryAfterSeconds));
    assert.ok(Math.abs(Date.parse(retryAt) - Date.now() - 60_000) < 10_000);
    await from('2001:db8:0:2::1').securityTokens(email);
    await advance(limited, 60);
    await client.securityTokens(email);
  });
});

describe('a made-up id', () => {
  test('is BAD_USER_INPUT and leaves nothing behind', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const { emailToken } = alice;
    const made = [
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
    const before = await Promise.all(['one_time_passwords', 'rate_limit_events', 'outbox_messages'].map(countRows));
    const operations = {
      sendOneTimePassword: '',
      checkOneTimePassword: ', oneTimePassword: "x"',
      generateOneTimePassword: '',
    };
    for (const tokenId of made)
      for (const [operation, more] of Object.entries(operations))
        for (const purpose of operation === 'generateOneTimePassword'
          ? ['VERIFICATION', 'AUTHENTICATION']
          : ['AUTHENTICATION', 'PASSWORD_RESET']) {
          const { data, errors } = await root.ask(
            `mutation ($tokenId: ID!) { ${operation}(tokenId: $tokenId, purpose: ${purpose}${more}) { __typename } }`,
            { tokenId },
          );
          assert.ok(!data);
          assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', `${operation} ${tokenId}`);
        }
    const after = await Promise.all(['one_time_passwords', 'rate_limit_events', 'outbox_messages'].map(countRows));
    assert.deepEqual(after, before);
  });
});

describe('sendOneTimePassword', () => {
  test('sends to the address as it is stored, never as it was typed', async () => {
    await signUp(service, { email: 'Alice@Example.com', phone: '(202) 555-0123' });
    const oneTimePassword = await receive((await anonymous.securityTokens('aLICE@EXAMPLE.COM'))[0]!.id);
    const message = await lastMessage(service);
    assert.equal(message.to, 'Alice@example.com');
    assert.equal(message.channel, 'email');
    assert.match(oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
    assert.match(await receive((await anonymous.securityTokens('202 555 0123'))[0]!.id), /^\d{6}$/);
    assert.equal((await lastMessage(service)).to, phone);
  });

  test('says when the one-time password expires, after ten minutes', async () => {
    await insertPerson(service, { email });
    const { expiresAt } = expectMember(
      await anonymous.sendOneTimePassword(tokenIdOf(email)),
      'SendOneTimePasswordSuccess',
    );
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000) < 10_000, expiresAt);
    assert.match(expiresAt, /\.\d{3}Z$/);
  });

  /** Sends as a stranger, with each outcome as text; how long a wait is may differ by the second that passes. */
  async function outcomes(
    identifier: string,
    purposes: ('AUTHENTICATION' | 'PASSWORD_RESET')[] = ['AUTHENTICATION', 'PASSWORD_RESET'],
  ): Promise<string[]> {
    const seen: string[] = [];
    for (const purpose of purposes)
      for (let round = 0; round < 3; round += 1) {
        const { expiresAt, retryAt, retryAfterSeconds, message, ...rest } = await anonymous.sendOneTimePassword(
          tokenIdOf(identifier),
          purpose,
        );
        seen.push(JSON.stringify([rest, typeof expiresAt, typeof retryAt, Math.round((retryAfterSeconds ?? 0) / 10)]));
        if (round > 0) await advance(service, 30);
      }
    return seen;
  }

  test('answers a stranger alike, the first and the fifth time, and sends nothing where nobody is proved', async () => {
    await insertPerson(service, { email, phone });
    const known = await outcomes(email);
    assert.equal((await service.app.outbox()).length, 4);
    assert.ok(known[0]!.includes('SendOneTimePasswordSuccess') && known[1]!.includes('TimeoutError'), known.join('\n'));
    await clear(service);
    assert.deepEqual(await outcomes(nobody), known);
    assert.deepEqual(await service.app.outbox(), []);
    for (const [what, prepare] of Object.entries(unproving)) {
      await clear(service);
      await prepare();
      const before = (await service.app.outbox()).length;
      assert.deepEqual(await outcomes(email, ['AUTHENTICATION']), known.slice(0, 3), what);
      assert.equal((await service.app.outbox()).length, before, what);
    }
  });

  test('for VERIFICATION is for the signed-in owner alone', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone });
    const bob = await insertPerson(service, { username: 'bob', email: 'bob@example.com' });
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const document =
      'mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename } }';
    const codeFor = async (by: Caller, tokenId: string) =>
      (await by.ask(document, { tokenId })).errors?.[0]?.extensions.code;
    for (const tokenId of [alice.emailToken, alice.phoneToken, tokenIdOf(nobody)]) {
      assert.equal(await codeFor(anonymous, tokenId), 'UNAUTHENTICATED');
      assert.equal(await codeFor(bob, tokenId), 'FORBIDDEN');
      assert.equal(await codeFor(root, tokenId), 'FORBIDDEN');
    }
    assert.deepEqual(await service.app.outbox(), []);
    await receive(alice.emailToken, 'VERIFICATION', alice);
    assert.equal((await lastMessage(service)).subject, 'Confirm your address');
    await receive(alice.phoneToken, 'VERIFICATION', alice);
  });

  test('puts the next one in the place of the one before', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const first = await receive(tokenId);
    await advance(service, 30);
    const second = await receive(tokenId);
    assert.equal((await anonymous.checkOneTimePassword(tokenId, first)).code, 'INVALID_ONE_TIME_PASSWORD');
    await advance(service, 1);
    assert.equal((await anonymous.checkOneTimePassword(tokenId, second)).__typename, 'CheckOneTimePasswordSuccess');
  });

  test('never lowers the count of failures, nor does generating', async () => {
    const root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
    const alice = await insertPerson(service, { email });
    const { emailToken } = alice;
    for (const wait of [1, 2, 4, 8, 16]) {
      assert.equal((await anonymous.checkOneTimePassword(emailToken, 'wrong')).code, 'INVALID_ONE_TIME_PASSWORD');
      await advance(service, wait);
    }
    assert.equal((await anonymous.checkOneTimePassword(emailToken, 'wrong')).code, 'INVALID_ONE_TIME_PASSWORD');
    const { oneTimePassword } = expectMember(
      await root.generateOneTimePassword(emailToken),
      'GenerateOneTimePasswordSuccess',
    );
    for (const right of [oneTimePassword, await receive(emailToken)]) {
      const early = await anonymous.checkOneTimePassword(emailToken, right);
      assert.deepEqual([early.code, early.failureCount, early.retryAfterSeconds], ['TIMEOUT', 6, 32]);
    }
    assert.equal((await alice.me()).securityTokens[0]!.failureCount, 6);
  });

  test('sends no more than one in 30 s, 5 an hour and 10 a day of one token', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const day = 24 * 60 * 60;
    let sinceStart = 0;
    const pass = async (seconds: number) => {
      await advance(service, seconds);
      sinceStart += seconds;
    };
    const refuse = async (opensAt: number) => {
      const refused = await anonymous.sendOneTimePassword(tokenId);
      assert.equal(refused.__typename, 'TimeoutError', `after ${sinceStart} s`);
      assert.equal(refused.failureCount, null);
      const expected = opensAt - sinceStart;
      // The test itself takes a few seconds of the wait at most.
      assert.ok(
        refused.retryAfterSeconds <= expected && refused.retryAfterSeconds > expected - 10,
        `${refused.retryAfterSeconds} of ${expected}`,
      );
      assert.ok(Math.abs(Date.parse(refused.retryAt) - Date.now() - refused.retryAfterSeconds * 1000) < 2000);
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

  test("counts the owner's sends and everybody else's apart, and those of each token", async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone });
    await receive(alice.emailToken);
    assert.equal((await anonymous.sendOneTimePassword(alice.emailToken, 'PASSWORD_RESET')).code, 'TIMEOUT');
    await receive(alice.emailToken, 'VERIFICATION', alice);
    assert.equal((await alice.sendOneTimePassword(alice.emailToken)).code, 'TIMEOUT');
    const bob = await insertPerson(service, { username: 'bob' });
    assert.equal((await bob.sendOneTimePassword(alice.emailToken)).code, 'TIMEOUT', 'bob is a stranger');
    await receive(alice.phoneToken);
  });

  test('is limited per client address, whatever the token', async () => {
    const from = (address: string) => caller(limited, { headers: { 'x-forwarded-for': address } });
    const tokenIds = ['a', 'b', 'c', 'd'].map((name) => tokenIdOf(`${name}@example.com`));
    const client = from('203.0.113.1');
    for (const tokenId of tokenIds.slice(0, 3)) await client.sendOneTimePassword(tokenId);
    const refused = expectMember(await client.sendOneTimePassword(tokenIds[3]!), 'TimeoutError');
    assert.deepEqual([refused.code, refused.failureCount], ['TIMEOUT', null]);
    assert.ok(refused.retryAfterSeconds > 3590 && refused.retryAfterSeconds <= 3600);
    // What one limit refuses counts for no other.
    const elsewhere = await from('203.0.113.2').sendOneTimePassword(tokenIds[3]!);
    assert.equal(elsewhere.__typename, 'SendOneTimePasswordSuccess');
  });

  test('is limited per phone prefix, counting real messages only', async () => {
    const sparing = await startService({ ...shared, SMS_PREFIX_SENDS_PER_HOUR: '2' });
    const [anyone, numbers] = [caller(sparing), ['+12025550101', '+12025550102', '+12025550103']];
    const [first, second, third] = await Promise.all(numbers.map((number) => insertPerson(sparing, { phone: number })));
    for (const number of ['+12025550104', '+12025550105', '+12025550106'])
      assert.equal((await anyone.sendOneTimePassword(tokenIdOf(number))).__typename, 'SendOneTimePasswordSuccess');
    assert.deepEqual(await outbox(sparing), []);

    await anyone.sendOneTimePassword(first!.phoneToken);
    await second!.sendOneTimePassword(second!.phoneToken, 'VERIFICATION');
    assert.equal((await outbox(sparing)).length, 2);
    // To a stranger the limit on real messages would tell that the number is somebody's.
    const quiet = await anyone.sendOneTimePassword(third!.phoneToken);
    assert.equal(quiet.__typename, 'SendOneTimePasswordSuccess');
    assert.equal((await outbox(sparing)).length, 2);
    const refused = expectMember(await third!.sendOneTimePassword(third!.phoneToken, 'VERIFICATION'), 'TimeoutError');
    assert.deepEqual([refused.code, refused.failureCount], ['TIMEOUT', null]);
    assert.ok(refused.retryAfterSeconds > 3500);

    const elsewhere = await insertPerson(sparing, { phone: '+12025560103' });
    assert.equal(
      (await elsewhere.sendOneTimePassword(elsewhere.phoneToken, 'VERIFICATION')).__typename,
      'SendOneTimePasswordSuccess',
    );
    await advance(sparing, 3600);
    await third!.sendOneTimePassword(third!.phoneToken, 'VERIFICATION');
    assert.equal((await lastMessage(sparing)).to, numbers[2]);
  });

  test('to a stored number outside the dial codes is a TransmissionError to its owner alone', async () => {
    const alice = await insertPerson(service, { username: 'alice', phone, hasPassword: true });
    const british = await startService({ ...shared, SMS_DIAL_CODES: '44' });
    const owner = caller(british, { token: alice.tokens.accessToken });
    for (const purpose of ['VERIFICATION', 'AUTHENTICATION'] as const) {
      const refused = await owner.sendOneTimePassword(alice.phoneToken, purpose);
      assert.deepEqual([refused.__typename, refused.code], ['TransmissionError', 'TRANSMISSION']);
    }
    const { __typename } = await caller(british).sendOneTimePassword(alice.phoneToken);
    assert.equal(__typename, 'SendOneTimePasswordSuccess');
    assert.deepEqual(await outbox(british), []);
  });
});

describe('checkOneTimePassword', () => {
  test('for AUTHENTICATION signs in by email and by phone', async () => {
    for (const [kind, address, method] of [
      ['email', email, 'EMAIL_ONE_TIME_PASSWORD'],
      ['phone', phone, 'PHONE_ONE_TIME_PASSWORD'],
    ] as const) {
      const { id } = await insertPerson(service, { [kind]: address });
      const tokenId = tokenIdOf(address);
      const { __typename, securityToken, user, tokens } = expectMember(
        await anonymous.checkOneTimePassword(tokenId, await makeOneTimePassword(service, tokenId, 'AUTHENTICATION')),
        'CheckOneTimePasswordSuccess',
      );
      assert.equal(__typename, 'CheckOneTimePasswordSuccess');
      assert.deepEqual(securityToken, {
        ...securityToken,
        id: tokenId,
        verified: true,
        failureCount: 0,
        retryAt: null,
        expiresAt: null,
      });
      assert.equal(user.id, id);
      assert.equal(user[`${kind}Verified`], true);
      assert.deepEqual(tokens!.session.authenticationMethods, [method]);
      assert.equal(tokens!.session.current, true);
      const me = await caller(service, { token: tokens!.accessToken }).me();
      assert.equal(me.id, id);
      assert.ok(Math.abs(Date.parse(me.lastLogin!) - Date.now()) < 10_000);
    }
  });

  test('takes a one-time password once', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const oneTimePassword = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
    assert.equal(
      (await anonymous.checkOneTimePassword(tokenId, oneTimePassword)).__typename,
      'CheckOneTimePasswordSuccess',
    );
    const again = await anonymous.checkOneTimePassword(tokenId, oneTimePassword);
    assert.equal(again.__typename, 'InvalidOneTimePasswordError');
    const early = await anonymous.checkOneTimePassword(tokenId, oneTimePassword);
    assert.deepEqual([early.code, early.failureCount, early.retryAfterSeconds], ['TIMEOUT', 1, 1]);
  });

  test('forgives case, spaces and dashes, and nothing else', async () => {
    await insertPerson(service, { email });
    await insertPerson(service, { phone });
    const spell: Record<string, (text: string) => string> = {
      'as it is': (text) => text,
      'in lower case': (text) => text.toLowerCase(),
      'in groups': (text) => text.replace(/(..)/g, '$1 '),
      'with dashes': (text) => `${text.slice(0, 4)}-${text.slice(4)}`,
      'with white space around it': (text) => `\t ${text}\n`,
    };
    for (const address of [email, phone]) {
      const tokenId = tokenIdOf(address);
      for (const [how, write] of Object.entries(spell)) {
        const oneTimePassword = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
        const { __typename } = await anonymous.checkOneTimePassword(tokenId, write(oneTimePassword));
        assert.equal(__typename, 'CheckOneTimePasswordSuccess', how);
        await advance(service, 24 * 60 * 60);
      }
      const oneTimePassword = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
      for (const other of [
        `${oneTimePassword}2`,
        oneTimePassword.slice(1),
        `.${oneTimePassword}`,
        `${oneTimePassword}\0`,
        otherThan(oneTimePassword),
      ]) {
        const { __typename } = await anonymous.checkOneTimePassword(tokenId, other);
        assert.equal(__typename, 'InvalidOneTimePasswordError', other);
        await advance(service, 16);
      }
      assert.equal(
        (await anonymous.checkOneTimePassword(tokenId, oneTimePassword)).__typename,
        'CheckOneTimePasswordSuccess',
      );
    }
  });

  test('never takes an empty one, nor any where none is live', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const guesses = ['', ' ', '-', 'null', 'undefined', '0', '000000', 'BCDF2345', 'x'.repeat(10_000), '\0'];
    for (const live of [false, true]) {
      if (live) await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
      for (const guess of guesses) {
        const { __typename } = await anonymous.checkOneTimePassword(tokenId, guess);
        assert.equal(__typename, 'InvalidOneTimePasswordError', JSON.stringify(guess));
        await service.app.db.execute(sql`update one_time_passwords set retry_at = null, failure_count = 0`);
      }
    }
    for (const oneTimePassword of [null, 1, true, {}, ['x']]) {
      const { errors } = await anonymous.ask(
        'mutation ($tokenId: ID!, $oneTimePassword: String!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword) { __typename } }',
        { tokenId, oneTimePassword },
      );
      assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', JSON.stringify(oneTimePassword));
    }
  });

  test('takes an expired one for a wrong one, and counts it', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const first = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
    await advance(service, 599);
    assert.equal((await anonymous.checkOneTimePassword(tokenId, first)).__typename, 'CheckOneTimePasswordSuccess');
    const second = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
    await advance(service, 600);
    assert.equal((await anonymous.checkOneTimePassword(tokenId, second)).code, 'INVALID_ONE_TIME_PASSWORD');
    const early = await anonymous.checkOneTimePassword(tokenId, second);
    assert.deepEqual([early.code, early.failureCount], ['TIMEOUT', 1]);
  });

  test('does not take the one-time password of another token', async () => {
    await insertPerson(service, { email });
    await insertPerson(service, { email: 'bob@example.com' });
    const [alices, bobs] = [tokenIdOf(email), tokenIdOf('bob@example.com')];
    const oneTimePassword = await makeOneTimePassword(service, alices, 'AUTHENTICATION');
    await makeOneTimePassword(service, bobs, 'AUTHENTICATION');
    assert.equal((await anonymous.checkOneTimePassword(bobs, oneTimePassword)).code, 'INVALID_ONE_TIME_PASSWORD');
    assert.equal(
      (await anonymous.checkOneTimePassword(alices, oneTimePassword)).__typename,
      'CheckOneTimePasswordSuccess',
    );
  });

  test('keeps the purposes apart', async () => {
    const alice = await insertPerson(service, { email });
    const { emailToken } = alice;
    const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
    for (const made of purposes) {
      await db.execute(sql`truncate one_time_passwords, rate_limit_events`);
      await alice.sendOneTimePassword(emailToken, made);
      const { oneTimePassword } = await lastMessage(service);
      for (const checked of purposes.filter((purpose) => purpose !== made)) {
        const { code } = await alice.checkOneTimePassword(emailToken, oneTimePassword, checked);
        assert.equal(code, 'INVALID_ONE_TIME_PASSWORD', `made for ${made}, checked for ${checked}`);
      }
    }
  });

  test('takes none that was moved in the database: what is stored is bound to its token and purpose', async () => {
    const [alice, bob] = await insertPeople(service, [{ email }, { email: 'bob@example.com' }]);
    const oneTimePassword = await makeOneTimePassword(service, alice.emailToken, 'AUTHENTICATION');
    await makeOneTimePassword(service, bob.emailToken, 'AUTHENTICATION');
    await makeOneTimePassword(service, alice.emailToken, 'VERIFICATION');
    // Whoever can write to the table has put the digest of the one that they know in the place of all others.
    await db.execute(sql`update one_time_passwords set code_digest =
      (select code_digest from one_time_passwords where token_id = ${alice.emailToken} and purpose = 'AUTHENTICATION')`);
    const moved = [
      await anonymous.checkOneTimePassword(bob.emailToken, oneTimePassword),
      await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, 'VERIFICATION'),
    ];
    for (const { code } of moved) assert.equal(code, 'INVALID_ONE_TIME_PASSWORD');
    const { __typename } = await anonymous.checkOneTimePassword(alice.emailToken, oneTimePassword);
    assert.equal(__typename, 'CheckOneTimePasswordSuccess');
  });

  test('never takes one for PASSWORD_RESET, even for its purpose, and counts the attempt', async () => {
    await insertPerson(service, { email });
    const tokenId = tokenIdOf(email);
    const oneTimePassword = await receive(tokenId, 'PASSWORD_RESET');
    assert.equal((await lastMessage(service)).subject, 'Reset your password');
    const check = () => anonymous.checkOneTimePassword(tokenId, oneTimePassword, 'PASSWORD_RESET');
    assert.equal((await check()).code, 'INVALID_ONE_TIME_PASSWORD');
    assert.deepEqual([(await check()).code, (await check()).failureCount], ['TIMEOUT', 1]);
  });

  test('answers a stranger alike where nobody is proved: wrong ones, waits and all', async () => {
    const attempts = async (address: string, waits = [1, 2, 4, 8, 16]) => {
      const tokenId = tokenIdOf(address);
      const seen = [];
      for (const wait of waits) {
        for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const) {
          const wrong = await anonymous.checkOneTimePassword(tokenId, 'BCDF2345', purpose);
          const { retryAt, ...early } = await anonymous.checkOneTimePassword(tokenId, 'BCDF2345', purpose);
          seen.push(wrong, early);
        }
        await advance(service, wait);
      }
      return seen;
    };
    const unknown = await attempts(nobody);
    assert.deepEqual([unknown[0]!.code, unknown[1]!.code], ['INVALID_ONE_TIME_PASSWORD', 'TIMEOUT']);
    await insertPerson(service, { email, phone });
    await anonymous.sendOneTimePassword(tokenIdOf(email));
    assert.deepEqual(await attempts(email), unknown);
    for (const [what, prepare] of Object.entries(unproving)) {
      await clear(service);
      await prepare();
      assert.deepEqual(await attempts(email, [1, 2]), unknown.slice(0, 8), what);
    }
  });

  test('keeps the count of an address through the sign-up with it', async () => {
    const tokenId = tokenIdOf(email);
    await anonymous.checkOneTimePassword(tokenId, 'wrong');
    const before = await anonymous.checkOneTimePassword(tokenId, 'wrong');
    const alice = await signUp(service, { email });
    const after = await anonymous.checkOneTimePassword(tokenId, 'wrong');
    assert.deepEqual([after.retryAt, after.failureCount], [before.retryAt, 1]);
    const [shown] = (await alice.me()).securityTokens;
    assert.deepEqual([shown!.failureCount, shown!.retryAt], [1, before.retryAt]);
  });

  test("does not take a one-time password that was sent before the address was anybody's", async () => {
    const tokenId = tokenIdOf(email);
    await anonymous.sendOneTimePassword(tokenId);
    const alice = await signUp(service, { email });
    assert.equal((await alice.me()).securityTokens[0]!.expiresAt, null);
    assert.deepEqual(await service.app.outbox(), []);
  });

  test('judges anew who may be proved, when the one-time password is checked', async () => {
    const changes: Record<string, () => Promise<unknown>> = {
      deactivated: () => db.execute(sql`update users set is_active = false`),
      'made staff': () => db.execute(sql`update users set is_staff = true`),
      'made a superuser': () => db.execute(sql`update users set is_superuser = true`),
      'proved by another address': () => db.execute(sql`update users set first_verified_at = now()`),
      gone: () => db.execute(sql`delete from users`),
    };
    for (const [what, change] of Object.entries(changes)) {
      await clear(service);
      await insertPerson(service, { email, hasPassword: true });
      const tokenId = tokenIdOf(email);
      const oneTimePassword = await makeOneTimePassword(service, tokenId, 'AUTHENTICATION');
      await change();
      const { __typename } = await anonymous.checkOneTimePassword(tokenId, oneTimePassword);
      assert.equal(__typename, 'InvalidOneTimePasswordError', what);
    }
  });

  test('signs staff and superusers in by a verified address', async () => {
    await insertPerson(service, { email, hasPassword: true, verified: true, role: 'superuser' });
    const tokenId = tokenIdOf(email);
    const { user, tokens } = expectMember(
      await anonymous.checkOneTimePassword(tokenId, await receive(tokenId)),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(user.isSuperuser, true);
    assert.notEqual(tokens, null);
    assert.equal(user.hasUsablePassword, true);
  });
});

describe('verification', () => {
  test('marks the address verified, opens no session and counts as authentication in the one there is', async () => {
    const alice = await insertPerson(service, { email, phone, hasPassword: true });
    await db.execute(sql`update sessions set authenticated_at = authenticated_at - interval '1 hour'`);
    const oneTimePassword = await makeOneTimePassword(service, alice.emailToken, 'VERIFICATION');
    const { __typename, securityToken, user, tokens } = await alice.checkOneTimePassword(
      alice.emailToken,
      oneTimePassword,
      'VERIFICATION',
    );
    assert.equal(__typename, 'CheckOneTimePasswordSuccess');
    assert.equal(tokens, null);
    assert.equal(securityToken.verified, true);
    assert.deepEqual([user.emailVerified, user.phoneVerified], [true, false]);
    const { data } = await alice.ask('{ me { lastLogin sessions { authenticationMethods } } }');
    assert.equal(data.me.lastLogin, null);
    assert.deepEqual(
      data.me.sessions.map((session: { authenticationMethods: string[] }) => session.authenticationMethods.sort()),
      [['EMAIL_ONE_TIME_PASSWORD', 'PASSWORD']],
    );
    const { rows } = (await db.execute(
      sql`select authenticated_at > now() - interval '1 minute' as recent from sessions`,
    )) as unknown as { rows: { recent: boolean }[] };
    assert.deepEqual(rows, [{ recent: true }]);
    await verifyUnsent(service, alice, alice.phoneToken);
    assert.equal((await alice.me()).phoneVerified, true);
  });

  test('keeps password and sessions, though it is the first proof', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true });
    const { tokens } = expectMember(
      await anonymous.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    await verifyUnsent(service, alice, alice.emailToken);
    assert.equal((await caller(service, { token: tokens.accessToken }).me()).hasUsablePassword, true);
    assert.equal((await anonymous.authenticate({ username: 'alice', password })).__typename, 'AuthenticateSuccess');
  });

  test('is checked by the signed-in owner alone, and nobody else can count against it', async () => {
    const alice = await insertPerson(service, { username: 'alice', email });
    const bob = await insertPerson(service, { username: 'bob' });
    const oneTimePassword = await makeOneTimePassword(service, alice.emailToken, 'VERIFICATION');
    const document =
      'mutation ($tokenId: ID!, $oneTimePassword: String!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: VERIFICATION) { __typename } }';
    for (const guess of [oneTimePassword, 'wrong'])
      for (const tokenId of [alice.emailToken, tokenIdOf(nobody)])
        for (const [by, code] of [
          [anonymous, 'UNAUTHENTICATED'],
          [bob, 'FORBIDDEN'],
        ] as const) {
          const { errors } = await by.ask(document, { tokenId, oneTimePassword: guess });
          assert.equal(errors?.[0]?.extensions.code, code);
        }
    const { __typename } = await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, 'VERIFICATION');
    assert.equal(__typename, 'CheckOneTimePasswordSuccess');
  });

  test('is not in the way of strangers, nor they in its: each purpose has its own count', async () => {
    const alice = await insertPerson(service, { email });
    const { emailToken } = alice;
    const oneTimePassword = await makeOneTimePassword(service, emailToken, 'VERIFICATION');
    for (const wait of [1, 2, 4]) {
      for (const purpose of ['AUTHENTICATION', 'PASSWORD_RESET'] as const)
        assert.equal(
          (await anonymous.checkOneTimePassword(emailToken, 'wrong', purpose)).code,
          'INVALID_ONE_TIME_PASSWORD',
        );
      await advance(service, wait);
    }
    await anonymous.checkOneTimePassword(emailToken, 'wrong');
    assert.equal((await anonymous.checkOneTimePassword(emailToken, 'wrong')).failureCount, 4);
    assert.equal(
      (await anonymous.checkOneTimePassword(emailToken, 'wrong', 'PASSWORD_RESET')).code,
      'INVALID_ONE_TIME_PASSWORD',
    );

    assert.equal(
      (await alice.checkOneTimePassword(emailToken, 'wrong', 'VERIFICATION')).code,
      'INVALID_ONE_TIME_PASSWORD',
    );
    const early = await alice.checkOneTimePassword(emailToken, oneTimePassword, 'VERIFICATION');
    assert.deepEqual([early.code, early.failureCount], ['TIMEOUT', 1]);
    const [shown] = (await alice.me()).securityTokens;
    assert.equal(shown!.failureCount, 4, 'the greatest of all');
    await advance(service, 1);
    const { __typename, securityToken } = await alice.checkOneTimePassword(emailToken, oneTimePassword, 'VERIFICATION');
    assert.equal(__typename, 'CheckOneTimePasswordSuccess');
    assert.deepEqual([securityToken.verified, securityToken.failureCount], [true, 4]);
    assert.equal((await anonymous.checkOneTimePassword(emailToken, 'wrong')).failureCount, 4, 'theirs goes on');
  });

  test('the first makes every other live one-time password of the user void', async () => {
    const alice = await insertPerson(service, { email, phone, hasPassword: true });
    const others: [string, string][] = [
      [alice.emailToken, await makeOneTimePassword(service, alice.emailToken, 'AUTHENTICATION')],
      [alice.phoneToken, await makeOneTimePassword(service, alice.phoneToken, 'AUTHENTICATION')],
    ];
    const phones = await makeOneTimePassword(service, alice.phoneToken, 'VERIFICATION');
    await verifyUnsent(service, alice, alice.emailToken);
    for (const [tokenId, oneTimePassword] of others)
      assert.equal((await anonymous.checkOneTimePassword(tokenId, oneTimePassword)).code, 'INVALID_ONE_TIME_PASSWORD');
    assert.equal(
      (await alice.checkOneTimePassword(alice.phoneToken, phones, 'VERIFICATION')).code,
      'INVALID_ONE_TIME_PASSWORD',
    );
    for (const { expiresAt } of (await alice.me()).securityTokens) assert.equal(expiresAt, null);
  });
});

describe('the first proof of an account', () => {
  /** Somebody has signed up with an address that is not theirs. */
  async function takeOver(): Promise<{ attacker: Person; tokenId: string }> {
    const attacker = await insertPerson(service, { username: 'mallory', email, phone, hasPassword: true });
    return { attacker, tokenId: attacker.emailToken };
  }

  test('by somebody signed in as another user opens a session of who is proved', async () => {
    const { attacker, tokenId } = await takeOver();
    const bob = await insertPerson(service, { username: 'bob' });
    const { user, tokens } = expectMember(
      await bob.checkOneTimePassword(tokenId, await makeOneTimePassword(service, tokenId, 'AUTHENTICATION')),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(user.id, attacker.id);
    assert.equal(user.hasUsablePassword, false);
    assert.equal((await caller(service, { token: tokens!.accessToken }).me()).id, attacker.id);
    assert.equal((await bob.me()).username, 'bob');
  });

  test('by who is signed in as that user is noted in their session and drops nothing', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, hasPassword: true });
    const { tokens } = await alice.checkOneTimePassword(
      alice.emailToken,
      await makeOneTimePassword(service, alice.emailToken, 'AUTHENTICATION'),
    );
    assert.equal(tokens, null);
    const { data } = await alice.ask('{ me { emailVerified hasUsablePassword sessions { authenticationMethods } } }');
    assert.deepEqual([data.me.emailVerified, data.me.hasUsablePassword], [true, true]);
    assert.deepEqual(data.me.sessions[0].authenticationMethods.sort(), ['EMAIL_ONE_TIME_PASSWORD', 'PASSWORD']);
  });
});

describe('after a failure', () => {
  test('the next check opens 1, 2, 4 … seconds later, and until then nothing is compared and nothing counted', async () => {
    const alice = await insertPerson(service, { email });
    const oneTimePassword = await makeOneTimePassword(service, alice.emailToken, 'AUTHENTICATION');
    for (const [index, wait] of [1, 2, 4, 8, 16].entries()) {
      const wrong = await anonymous.checkOneTimePassword(alice.emailToken, otherThan(oneTimePassword));
      assert.equal(wrong.__typename, 'InvalidOneTimePasswordError');
      const early = [];
      for (const guess of [oneTimePassword, 'wrong', oneTimePassword])
        early.push(await anonymous.checkOneTimePassword(alice.emailToken, guess));
      for (const { __typename, retryAt, retryAfterSeconds, failureCount } of early) {
        assert.deepEqual([__typename, failureCount, retryAt], ['TimeoutError', index + 1, early[0]!.retryAt]);
        assert.equal(retryAfterSeconds, wait);
      }
      const [shown] = (await alice.me()).securityTokens;
      assert.deepEqual([shown!.failureCount, shown!.retryAt], [index + 1, early[0]!.retryAt]);
      await advance(service, wait);
    }
    const right = await anonymous.checkOneTimePassword(alice.emailToken, oneTimePassword);
    assert.equal(right.__typename, 'CheckOneTimePasswordSuccess');
    assert.deepEqual([right.securityToken.failureCount, right.securityToken.retryAt], [0, null]);
  });

  test('a success clears the count', async () => {
    const alice = await insertPerson(service, { email });
    for (const wait of [1, 2]) {
      await anonymous.checkOneTimePassword(alice.emailToken, 'wrong');
      await advance(service, wait);
    }
    await anonymous.checkOneTimePassword(
      alice.emailToken,
      await makeOneTimePassword(service, alice.emailToken, 'AUTHENTICATION'),
    );
    await anonymous.checkOneTimePassword(alice.emailToken, 'wrong');
    const early = await anonymous.checkOneTimePassword(alice.emailToken, 'wrong');
    assert.deepEqual([early.failureCount, early.retryAfterSeconds], [1, 1]);
  });

  test('the wait has a cap, and from so many failures on it is a day', async () => {
    assert.deepEqual([config.oneTimePassword.maxWaitSeconds, config.oneTimePassword.maxFailures], [3600, 100]);
    const stranger = caller(limited);
    const tokenId = tokenIdOf(email);
    for (const [index, wait] of [1, 2, 4, 8, 10, 10, 86_400, 86_400].entries()) {
      assert.equal((await stranger.checkOneTimePassword(tokenId, 'wrong')).code, 'INVALID_ONE_TIME_PASSWORD');
      const early = await stranger.checkOneTimePassword(tokenId, 'wrong');
      assert.deepEqual([early.code, early.failureCount, early.retryAfterSeconds], ['TIMEOUT', index + 1, wait]);
      await advance(limited, wait);
    }
  });

  test('no other address and no password waits', async () => {
    const alice = await insertPerson(service, { username: 'alice', email, phone, hasPassword: true });
    await anonymous.checkOneTimePassword(alice.emailToken, 'wrong');
    assert.equal((await anonymous.checkOneTimePassword(alice.phoneToken, 'wrong')).code, 'INVALID_ONE_TIME_PASSWORD');
    assert.equal((await anonymous.authenticate({ email, password })).__typename, 'AuthenticateSuccess');
  });
});

test('a send of the owner that sends nothing does not count', async () => {
  const alice = await insertPerson(service, { email, verified: true });
  await alice.updateUser({ phone });
  const tokenId = tokenIdOf(phone);
  const told = (await service.app.outbox()).length;
  // A pending or added address proves nobody yet.
  for (let nth = 0; nth < 3; nth += 1)
    assert.equal((await alice.sendOneTimePassword(tokenId)).__typename, 'SendOneTimePasswordSuccess');
  assert.equal((await service.app.outbox()).length, told);
  assert.equal((await alice.sendOneTimePassword(tokenId, 'VERIFICATION')).__typename, 'SendOneTimePasswordSuccess');
  assert.equal((await service.app.outbox()).length, told + 1);
});

describe('generateOneTimePassword', () => {
  let root: Person;
  beforeEach(async () => {
    root = await insertPerson(service, { username: 'root', hasPassword: true, role: 'superuser' });
  });

  test('tells a superuser a one-time password, which is sent to nobody', async () => {
    const alice = await insertPerson(service, { email, phone });
    const { __typename, securityToken, oneTimePassword, expiresAt } = await root.generateOneTimePassword(
      alice.emailToken,
    );
    assert.equal(__typename, 'GenerateOneTimePasswordSuccess');
    assert.equal(securityToken.id, alice.emailToken);
    assert.match(oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000) < 10_000);
    assert.deepEqual(await service.app.outbox(), []);
    const checked = expectMember(
      await anonymous.checkOneTimePassword(alice.emailToken, oneTimePassword),
      'CheckOneTimePasswordSuccess',
    );
    assert.equal(checked.user.id, alice.id);
  });

  test('makes one for each purpose, with no limit of sends', async () => {
    const alice = await insertPerson(service, { email });
    for (let nth = 0; nth < 3; nth += 1) {
      const { oneTimePassword } = expectMember(
        await root.generateOneTimePassword(alice.emailToken, 'VERIFICATION'),
        'GenerateOneTimePasswordSuccess',
      );
      if (nth < 2) continue;
      const { __typename } = await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, 'VERIFICATION');
      assert.equal(__typename, 'CheckOneTimePasswordSuccess');
    }
    const reset = await root.generateOneTimePassword(alice.emailToken, 'PASSWORD_RESET');
    assert.equal(reset.__typename, 'GenerateOneTimePasswordSuccess');
  });

  test('is for superusers only, whatever the id', async () => {
    const alice = await insertPerson(service, { username: 'alice', email });
    const staff = await insertPerson(service, { username: 'staff', role: 'staff' });
    const document = 'mutation ($tokenId: ID!) { generateOneTimePassword(tokenId: $tokenId) { __typename } }';
    for (const tokenId of [alice.emailToken, tokenIdOf(nobody), 'made-up'])
      for (const [by, code] of [
        [anonymous, 'UNAUTHENTICATED'],
        [alice, 'FORBIDDEN'],
        [staff, 'FORBIDDEN'],
      ] as const)
        assert.equal((await by.ask(document, { tokenId })).errors?.[0]?.extensions.code, code, tokenId);
  });

  test('finds no token where nobody has the address, nor one that does not prove its user', async () => {
    const notFound = async (tokenId: string) => {
      const { __typename, code } = await root.generateOneTimePassword(tokenId);
      assert.deepEqual([__typename, code], ['NotFoundError', 'NOT_FOUND']);
    };
    await notFound(tokenIdOf(nobody));
    const alice = await insertPerson(service, { email, phone });
    await verifyUnsent(service, alice, alice.phoneToken);
    await notFound(alice.emailToken);
    await db.execute(sql`update users set is_active = false where email is not null`);
    await notFound(alice.phoneToken);
  });

  test("is not for another superuser's, but for one's own", async () => {
    const { user } = expectMember(
      await root.createSuperuser({ username: 'second', email, password }),
      'CreateSuperuserSuccess',
    );
    const { id: tokenId } = user.securityTokens[0]!;
    const { user: me, tokens } = expectMember(
      await anonymous.authenticate({ username: 'second', password }),
      'AuthenticateSuccess',
    );
    const second = caller(service, { token: tokens.accessToken });
    assert.equal(me.id, user.id);
    for (const purpose of ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const)
      assert.equal((await root.generateOneTimePassword(tokenId, purpose)).code, 'NOT_FOUND', purpose);
    const own = await second.generateOneTimePassword(tokenId, 'VERIFICATION');
    assert.equal(own.__typename, 'GenerateOneTimePasswordSuccess');
    await second.checkOneTimePassword(tokenId, own.oneTimePassword, 'VERIFICATION');
    assert.equal((await root.generateOneTimePassword(tokenId)).code, 'NOT_FOUND', 'verified or not');
  });

  test("for one's own wants a recent authentication, which it would else replace", async () => {
    const alice = await insertPerson(service, { email });
    await root.updateUser({ email: 'root@a.test' });
    const tokenId = tokenIdOf('root@a.test');
    assert.equal((await root.generateOneTimePassword(tokenId, 'VERIFICATION')).code, undefined);
    await advance(service, 601);
    const document =
      'mutation ($tokenId: ID!) { generateOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename } }';
    const { errors } = await root.ask(document, { tokenId });
    assert.equal(errors?.[0]?.extensions.code, 'FORBIDDEN');
    assert.equal((await root.ask(document, { tokenId: alice.emailToken })).errors, undefined);
  });

  test('puts the next one in the place of the one that was sent', async () => {
    const alice = await insertPerson(service, { email });
    const sent = await receive(alice.emailToken);
    const { oneTimePassword } = expectMember(
      await root.generateOneTimePassword(alice.emailToken),
      'GenerateOneTimePasswordSuccess',
    );
    assert.equal((await anonymous.checkOneTimePassword(alice.emailToken, sent)).code, 'INVALID_ONE_TIME_PASSWORD');
    await advance(service, 1);
    const checked = await anonymous.checkOneTimePassword(alice.emailToken, oneTimePassword);
    assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
  });
});
