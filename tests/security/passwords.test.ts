import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import pg from 'pg';
import { createPasswords, PasswordPoolBusyError, type Passwords } from '../../src/security/passwords.js';
import { type Answer, operations, send } from '../support/client.js';
import { connect } from '../support/replicas.js';
import { root } from '../support/root.js';
import { createDatabase, sharedSecrets, spawnService, startService, temporaryFolder } from '../support/service.js';

const pepper = () => {
  const bytes = randomBytes(32);
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes };
};
const [oldPepper, newPepper] = [pepper(), pepper()];

function open(options: Partial<Parameters<typeof createPasswords>[0]> = {}): Passwords {
  const passwords = createPasswords({ peppers: [newPepper], cost: 4, threads: 1, ...options });
  after(() => passwords.end());
  return passwords;
}

const passwords = open();
const slow = open({ cost: 8 });
const both = open({ peppers: [newPepper, oldPepper] });
const password = 'correct horse battery';

describe('a password', () => {
  test('is verified by the hash of itself alone', async () => {
    const hash = await passwords.hash(password);
    assert.equal(await passwords.verify(password, hash), true);
    for (const wrong of ['', 'Correct horse battery', ` ${password}`, `${password} `, hash])
      assert.equal(await passwords.verify(wrong, hash), false, wrong);
    assert.notEqual(await passwords.hash(password), hash);
  });

  test('is hashed by a scheme that the hash names, with its pepper', async () => {
    assert.match(
      await passwords.hash(password),
      new RegExp(`^bcrypt-hmac-sha384\\$${newPepper.id}\\$\\$2b\\$04\\$[./A-Za-z0-9]{53}$`),
    );
  });

  test('counts in full: what agrees in 72 bytes or up to a NUL is another', async () => {
    const pairs = [
      ['a'.repeat(72), 'a'.repeat(73)],
      [`${'a'.repeat(72)}b`, `${'a'.repeat(72)}c`],
      ['é'.repeat(100), `${'é'.repeat(99)}e`],
      ['secret\0one', 'secret\0two'],
      ['secret', 'secret\0'],
      ['\0a', '\0b'],
    ] as const;
    for (const [first, second] of pairs) {
      const hash = await passwords.hash(first);
      assert.equal(await passwords.verify(first, hash), true, JSON.stringify(first));
      assert.equal(await passwords.verify(second, hash), false, JSON.stringify(first));
    }
  });

  test('is the same in every composition, and in no other case or width', async () => {
    const hash = await passwords.hash('Ångström ﬁ');
    assert.equal(await passwords.verify('Ångström ﬁ'.normalize('NFD'), hash), true);
    assert.equal(await passwords.verify('\u212Bngström ﬁ', hash), true);
    assert.equal(await passwords.verify('ångström ﬁ', hash), false);
    assert.equal(await passwords.verify('Ångström fi', hash), false);
  });

  test('is told from every other, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), async (first, second) => {
        const hash = await passwords.hash(first);
        assert.equal(await passwords.verify(second, hash), first.normalize('NFC') === second.normalize('NFC'));
        assert.equal(await passwords.verify(first, hash), true);
      }),
      { numRuns: 30 },
    );
  });

  test('is scored by itself and in the light of the words around it', async () => {
    const common = await passwords.score('password1', []);
    assert.ok(common.score < 2 && common.scoreWithoutContext < 2);
    const similar = await passwords.score('kaspar.hauserling', ['kaspar.hauserling']);
    assert.ok(similar.scoreWithoutContext >= 2 && similar.score < 2, JSON.stringify(similar));
    const strong = await passwords.score(password, ['alice']);
    assert.ok(strong.score >= 2 && strong.scoreWithoutContext >= 2);
  });
});

describe('a pepper', () => {
  const old = open({ peppers: [oldPepper] });

  test('that is being replaced still verifies what it was used for', async () => {
    const hash = await old.hash(password);
    assert.equal(await both.verify(password, hash), true);
    assert.equal(await both.verify('wrong', hash), false);
    assert.ok((await both.hash(password)).includes(`$${newPepper.id}$`));
    assert.equal(await passwords.verify(password, hash), false);
  });

  test('is told from another one by more than its name', async () => {
    const hash = (await old.hash(password)).replace(oldPepper.id, newPepper.id);
    assert.equal(await both.verify(password, hash), false);
  });
});

describe('a hash', () => {
  test('is outdated where one of today has another cost, pepper or scheme', async () => {
    const hash = await passwords.hash(password);
    assert.equal(passwords.isOutdated(hash), false);
    assert.equal(slow.isOutdated(hash), true);
    assert.equal(passwords.isOutdated(await slow.hash(password)), true);
    assert.equal(both.isOutdated(hash), false);
    assert.equal(both.isOutdated(hash.replace(newPepper.id, oldPepper.id)), true);
    assert.equal(passwords.isOutdated('pbkdf2_sha256$260000$salt$digest'), true);
  });

  const foreign = {
    'is not there': null,
    'is of a scheme that is not known': 'md5$c2FsdHNhbHQ$c29tZXRoaW5n',
    'names a pepper that is not known': `bcrypt-hmac-sha384$00000000$$2b$08$${'a'.repeat(53)}`,
    'is damaged': `bcrypt-hmac-sha384$${newPepper.id}$$2b$08$short`,
    'is empty': '',
    'is a bare one of bcrypt': `$2b$08$${'a'.repeat(53)}`,
  };
  test('that can verify nothing answers no, and takes as long about it as a wrong password', async () => {
    const real = await slow.hash(password);
    const wrong: number[] = [];
    const none = Object.fromEntries(Object.keys(foreign).map((reason) => [reason, [] as number[]]));
    // Interleaved, so that a busy machine is as slow to the one as to the other.
    for (let round = 0; round < 7; round += 1) {
      wrong.push(await millisecondsOf(async () => assert.equal(await slow.verify('wrong', real), false)));
      for (const [reason, stored] of Object.entries(foreign))
        none[reason]!.push(
          await millisecondsOf(async () => assert.equal(await slow.verify(password, stored), false, reason)),
        );
    }
    for (const [reason, times] of Object.entries(none)) {
      // The least of each: what else the machine does makes times longer, never shorter.
      const ratio = Math.min(...times) / Math.min(...wrong);
      assert.ok(ratio > 0.5 && ratio < 2, `${ratio} times as long where it ${reason}`);
    }
  });
});

describe('the pool', () => {
  test('hashes beside the event loop, which is free meanwhile', async () => {
    const passwords = open({ cost: 10, threads: 2 });
    await passwords.hash(password);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const before = performance.eventLoopUtilization();
    delay.enable();
    const total = await millisecondsOf(() => Promise.all(Array.from({ length: 20 }, () => passwords.hash(password))));
    delay.disable();
    const { utilization } = performance.eventLoopUtilization(before);
    assert.ok(utilization < 0.4, `the loop was busy ${Math.round(utilization * 100)} % of the time`);
    assert.ok(delay.max / 1e6 < total / 4, `the loop stood still for ${delay.max / 1e6} of ${total} ms`);
  });

  test('refuses at once what would have to wait for two seconds, learns how long it takes, and recovers', async () => {
    const passwords = open({ cost: 10, threads: 1 });
    await passwords.hash(password);
    const startedAt = performance.now();
    const waits: number[] = [];
    const results = await Promise.allSettled(
      Array.from({ length: 60 }, () =>
        passwords.hash(password).finally(() => waits.push(performance.now() - startedAt)),
      ),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    assert.ok(refused.length > 10 && refused.length < 55, String(refused.length));
    for (const { reason } of refused) assert.ok(reason instanceof PasswordPoolBusyError);
    assert.ok(waits[refused.length - 1]! < 50, 'those that are refused do not wait');
    // What the first sixty have taught: half of them take about half of the time.
    const [longest, kept] = [waits.at(-1)!, 60 - refused.length];
    const expected = longest / kept;
    const again = await Promise.allSettled(Array.from({ length: 200 }, () => passwords.hash(password)));
    const fulfilled = again.filter(({ status }) => status === 'fulfilled').length;
    assert.ok(fulfilled > 600 / expected && fulfilled < 3_600 / expected, `${fulfilled} of ${expected} ms each`);
    assert.equal(await passwords.verify(password, await passwords.hash(password)), true);
  });

  test('serves who came first, first', async () => {
    const passwords = open({ cost: 8, threads: 2 });
    const served: number[] = [];
    const asked = Array.from({ length: 40 }, async (_, number) => {
      await delay(number * 3);
      await passwords.hash(password);
      served.push(number);
    });
    await Promise.all(asked);
    // Of two who are served at the same time either may be done first, and a thread may be held up by what else the machine does.
    for (const [place, number] of served.entries()) assert.ok(Math.abs(place - number) <= 12, served.join(' '));
  });

  test('has a thread for whoever finds one idle, however long it takes', async () => {
    const passwords = open({ cost: 15, threads: 2 });
    const free = await occupy(passwords);
    assert.equal(await free(), 2);
  });

  test('gives a place that is kept through all that follows, and gives it back', async () => {
    const passwords = open({ cost: 9 });
    await passwords.withPlace(async (place) => {
      place.take();
      const free = await occupy(passwords);
      await assert.rejects(passwords.hash(password), PasswordPoolBusyError);
      await assert.rejects(
        passwords.withPlace(async () => assert.fail('it has begun')),
        PasswordPoolBusyError,
      );
      assert.match(await place.hash(password), /^bcrypt/);
      await free();
    });
    const failing = passwords.withPlace(async (place) => {
      place.take();
      throw new Error('on purpose');
    });
    await assert.rejects(failing, /on purpose/);
    const before = await (await occupy(passwords))();
    assert.equal(await (await occupy(passwords))(), before);
  });

  test('is not taken up by sign-ups that wait to be counted, and may be over their limit', async () => {
    const DATABASE_URL = await createDatabase();
    const service = await startService({
      DATABASE_URL,
      DATABASE_POOL_SIZE: '20',
      BCRYPT_COST: '12',
      SIGN_UPS_PER_HOUR: '5',
    });
    const anonymous = operations(service);
    await anonymous.createUser({ username: 'alice', password });
    const locker = new pg.Client(DATABASE_URL);
    await locker.connect();
    await locker.query('begin; lock table rate_limit_events');
    const crowd = Array.from({ length: 12 }, (_, number) => ({ username: `crowd-${number}`, password }));
    const signUps = Promise.allSettled(crowd.map(anonymous.createUser));
    const isWaiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    const { query } = await connect(DATABASE_URL);
    // By a connection of its own: whoever is in a transaction sees those alone that were there before.
    while ((await query(isWaiting)).length < crowd.length) await delay(10);
    assert.equal((await anonymous.authenticate({ username: 'alice', password })).__typename, 'AuthenticateSuccess');
    await locker.end();
    await signUps;
  });

  test('that is busy answers 503 with Retry-After, never a wrong password, and counts no attempt', async () => {
    const service = await startService({ BCRYPT_COST: '9' });
    const { passwords, config } = service.app;
    const signUp =
      'mutation { createUser(input: { username: "alice", password: "correct horse battery" }) { __typename } }';
    const authenticate = (typed: string) =>
      send(service, `mutation { authenticate(input: { username: "alice", password: "${typed}" }) { __typename } }`);
    const refuses = ({ status, headers, errors }: Answer) =>
      assert.deepEqual(
        [status, headers.get('retry-after'), errors?.[0]?.extensions.code],
        [503, '1', 'SERVICE_UNAVAILABLE'],
      );
    const freeForSignUp = await occupy(passwords);
    refuses(await send(service, signUp));
    await freeForSignUp();
    assert.equal((await send(service, signUp)).data.createUser.__typename, 'CreateUserSuccess');
    const free = await occupy(passwords);
    for (const typed of ['wrong', password]) refuses(await authenticate(typed));
    await free();

    // Busy only when the attempt is about to be counted: it is rolled back.
    const locker = new pg.Client(config.databaseUrl);
    await locker.connect();
    await locker.query('begin; lock table sign_in_throttles');
    const heldUp = authenticate(password);
    const isHeldUp = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while ((await locker.query(isHeldUp)).rowCount === 0) await delay(10);
    const freeAgain = await occupy(passwords);
    await locker.query('commit');
    refuses(await heldUp);
    assert.equal((await locker.query('select from sign_in_throttles')).rowCount, 0);
    await locker.end();
    await freeAgain();
    assert.equal((await authenticate(password)).data.authenticate.__typename, 'AuthenticateSuccess');
  });
});

test('the native package hashes where it is installed beside the service, and the log says so; the hashes are the same', async () => {
  const folder = temporaryFolder();
  for (const name of ['dist', 'package.json']) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'drizzle'), join(folder, 'drizzle'));
  mkdirSync(join(folder, 'node_modules/@node-rs'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@node-rs') symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  // It is there under another name, so that everybody else has what comes without it.
  symlinkSync(join(root, 'node_modules/bcrypt-native'), join(folder, 'node_modules/@node-rs/bcrypt'));
  const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), LOG_LEVEL: 'info' };
  const { advance } = await connect(environment.DATABASE_URL);
  const ours = await spawnService(environment);
  const native = await spawnService(environment, { program: join(folder, 'dist/main.js') });
  assert.match(ours.output(), /"passwordHashing":"bcryptjs"/);
  assert.match(native.output(), /"passwordHashing":"@node-rs\/bcrypt"/);
  for (const [maker, verifier, username] of [
    [ours, native, 'alice'],
    [native, ours, 'bob'],
  ] as const) {
    await operations(maker).createUser({ username, password });
    const signIn = (typed: string) => operations(verifier).authenticate({ username, password: typed });
    assert.equal((await signIn('wrong')).__typename, 'InvalidCredentialsError');
    await advance(3600);
    assert.equal((await signIn(password)).__typename, 'AuthenticateSuccess');
    assert.equal(
      (await operations(verifier).authenticate({ username: 'nobody', password })).__typename,
      'InvalidCredentialsError',
    );
  }
});

/** Takes every place there is. @returns what gives them back, and tells how many they were */
async function occupy(passwords: Passwords): Promise<() => Promise<number>> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const held: Promise<void>[] = [];
  for (let refused = false; !refused; ) {
    const holding = passwords.withPlace((place) => {
      place.take();
      return released;
    });
    held.push(holding);
    refused = await Promise.race([holding.then(Boolean, () => true), delay(0, false)]);
  }
  return async () => {
    release();
    await Promise.allSettled(held);
    return held.length - 1;
  };
}

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
