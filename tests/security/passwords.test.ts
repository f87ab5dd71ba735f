import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { createPasswords, PasswordPoolBusyError, type Passwords } from '../../src/security/passwords.js';
import { send } from '../support/client.js';
import { startService } from '../support/service.js';

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
      const ratio = median(times) / median(wrong);
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

  test('refuses what it could not do soon, and recovers', async () => {
    const results = await Promise.allSettled(Array.from({ length: 150 }, () => passwords.hash(password)));
    const refused = results.filter((result) => result.status === 'rejected');
    assert.ok(refused.length > 0 && refused.length < 100, String(refused.length));
    for (const { reason } of refused) assert.ok(reason instanceof PasswordPoolBusyError);
    assert.equal(await passwords.verify(password, await passwords.hash(password)), true);
  });

  test('that is full answers 503 with Retry-After, never a wrong password', async () => {
    const service = await startService();
    const { passwords, config } = service.app;
    const authenticate = () =>
      send(service, 'mutation { authenticate(input: { username: "alice", password: "wrong" }) { __typename } }');
    await passwords.hash(password);
    const long = `bcrypt-hmac-sha384$${config.passwordPeppers[0].id}$$2b$13$${'.'.repeat(53)}`;
    const work = [passwords.verify(password, long), ...Array.from({ length: 150 }, () => passwords.hash(password))];
    const done = Promise.allSettled(work);
    const answer = await authenticate();
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.equal(answer.errors?.[0]?.extensions.code, 'SERVICE_UNAVAILABLE');
    await done;
    const signUp =
      'mutation { createUser(input: { username: "alice", password: "correct horse battery" }) { __typename } }';
    assert.equal((await send(service, signUp)).data.createUser.__typename, 'CreateUserSuccess');
  });
});

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
}
