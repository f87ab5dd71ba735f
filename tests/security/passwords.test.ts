import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { Piscina } from 'piscina';
import { bcrypt } from '../../src/security/bcrypt.js';
import { PasswordPoolBusyError } from '../../src/security/hashing-queue.js';
import type { PasswordResult, PasswordTask } from '../../src/security/password.worker.js';
import { createPasswords, type Passwords } from '../../src/security/passwords.js';
import { type Answer, operations, send } from '../support/client.js';
import { holdLock } from '../support/locks.js';
import { countRows, createDatabase, startService } from '../support/service.js';
import { anyCharacters } from '../support/text.js';

const pepper = () => {
  const bytes = randomBytes(32);
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes };
};
const [oldPepper, newPepper] = [pepper(), pepper()];

function open(options: Partial<Parameters<typeof createPasswords>[0]> = {}): Passwords {
  const passwords = createPasswords({ peppers: [newPepper], cost: 4, threads: 1, ...options });
  return passwords;
}

const passwords = open();
const slow = open({ cost: 8 });
const both = open({ peppers: [newPepper, oldPepper] });
const password = 'correct horse battery';

describe('a password', () => {
  test('matches only its own hash', async () => {
    const hash = await passwords.hash(password);
    assert.equal(await passwords.verify(password, hash), true);
    for (const wrong of ['', 'Correct horse battery', ` ${password}`, `${password} `, hash])
      assert.equal(await passwords.verify(wrong, hash), false, wrong);
    assert.notEqual(await passwords.hash(password), hash);
  });

  test('has a hash that names its scheme and pepper', async () => {
    assert.match(
      await passwords.hash(password),
      new RegExp(`^bcrypt-hmac-sha384\\$${newPepper.id}\\$\\$2b\\$04\\$[./A-Za-z0-9]{53}$`),
    );
  });

  test('counts in full: a password with the same 72 bytes or NUL prefix does not match', async () => {
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

  test('matches in every Unicode composition, but in no other case or width', async () => {
    const hash = await passwords.hash('Ångström ﬁ');
    assert.equal(await passwords.verify('Ångström ﬁ'.normalize('NFD'), hash), true);
    assert.equal(await passwords.verify('\u212Bngström ﬁ', hash), true);
    assert.equal(await passwords.verify('ångström ﬁ', hash), false);
    assert.equal(await passwords.verify('Ångström fi', hash), false);
  });

  test('is distinguished from every other password', async () => {
    await fc.assert(
      fc.asyncProperty(anyCharacters(), anyCharacters(), async (first, second) => {
        const hash = await passwords.hash(first);
        assert.equal(await passwords.verify(second, hash), first.normalize('NFC') === second.normalize('NFC'));
        assert.equal(await passwords.verify(first, hash), true);
      }),
      { numRuns: 30 },
    );
  });

  test('is scored with and without context', async () => {
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

  test('that is being replaced still verifies its hashes', async () => {
    const hash = await old.hash(password);
    assert.equal(await both.verify(password, hash), true);
    assert.equal(await both.verify('wrong', hash), false);
    assert.ok((await both.hash(password)).includes(`$${newPepper.id}$`));
    assert.equal(await passwords.verify(password, hash), false);
  });

  test('is distinguished by more than its ID', async () => {
    const hash = (await old.hash(password)).replace(oldPepper.id, newPepper.id);
    assert.equal(await both.verify(password, hash), false);
  });
});

describe('a hash', () => {
  test('is outdated if its cost, pepper or scheme is not current', async () => {
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
  test('that is unverifiable matches nothing, and costs the same task as a wrong password', async (t) => {
    const real = await slow.hash(password);
    const tasks = watchTasks(t);
    assert.equal(await slow.verify('wrong', real), false);
    assert.deepEqual(tasks.splice(0).map(costOf), [8]);
    for (const [reason, stored] of Object.entries(foreign)) {
      assert.equal(await slow.verify(password, stored), false, reason);
      assert.deepEqual(tasks.splice(0).map(costOf), [8], `where it ${reason}`);
    }
  });
});

describe('the pool', () => {
  test('hashes in its own threads without blocking the event loop', async (t) => {
    // No other test uses three threads, so none has started: a process has one pool per size.
    const passwords = open({ threads: 3 });
    const workers: Worker[] = [];
    const note = (worker: Worker) => workers.push(worker);
    process.on('worker', note);
    const here = [t.mock.method(bcrypt, 'hashSync'), t.mock.method(bcrypt, 'compareSync')];
    const events: string[] = [];
    setImmediate(() => events.push('turn of the loop'));
    const work = async () => {
      const hash = await passwords.hash(password);
      events.push('hash');
      assert.equal(await passwords.verify(password, hash), true);
    };
    await Promise.all(Array.from({ length: 4 }, work));
    process.off('worker', note);
    assert.equal(workers.length, 3, 'three threads have started');
    assert.deepEqual(
      here.map(({ mock }) => mock.callCount()),
      [0, 0],
      'hashes in the main thread',
    );
    assert.deepEqual(events, ['turn of the loop', 'hash', 'hash', 'hash', 'hash']);
  });

  test('measures the working time of a thread', async (t) => {
    const passwords = open();
    const run = Piscina.prototype.run as Run;
    const told: unknown[] = [];
    t.mock.method(Piscina.prototype, 'run', async function (this: Piscina, ...args: Parameters<Run>) {
      const result = await run.apply(this, args);
      told.push(result.milliseconds);
      return result;
    });
    await passwords.verify(password, await passwords.hash(password));
    assert.equal(told.length, 2);
    for (const milliseconds of told) assert.ok(Number(milliseconds) > 0);
  });

  test('rejects waits above 1.6 seconds, learns the duration of a hash, and recovers', async (t) => {
    const passwords = open({ cost: 10, threads: 1 });
    let milliseconds = 64;
    let release = () => {};
    let held = Promise.resolve();
    const hold = () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    };
    t.mock.method(Piscina.prototype, 'run', async () => {
      await held;
      return { value: 'hash', milliseconds };
    });
    /**
     * Starts `count` tasks at once.
     * @returns the number of accepted tasks, after the others were rejected
     */
    const keptOf = async (count: number): Promise<number> => {
      hold();
      let refused = 0;
      const asked = Array.from({ length: count }, () =>
        passwords.hash(password).catch((error) => {
          assert.ok(error instanceof PasswordPoolBusyError);
          refused += 1;
        }),
      );
      await delay(0);
      const refusedAtOnce = refused;
      release();
      await Promise.all(asked);
      assert.equal(refused, refusedAtOnce, 'rejected tasks do not wait');
      return count - refused;
    };
    // The first estimate for cost 10 is 64 ms.
    assert.equal(await keptOf(60), 25);
    assert.equal(await keptOf(60), 25, 'the estimate is right');
    milliseconds = 33;
    for (let time = 0; time < 3; time += 1) await keptOf(60);
    assert.equal(await keptOf(60), 48, 'half the duration, twice as many tasks');
    milliseconds = 1_000;
    for (let time = 0; time < 50; time += 1) await keptOf(1);
    assert.equal(await keptOf(60), 1);
    milliseconds = 65;
    for (let time = 0; time < 100; time += 1) await keptOf(1);
    assert.equal(await keptOf(60), 24, 'recovered');
  });

  test('serves tasks in order of arrival', async (t) => {
    const passwords = open();
    reportMilliseconds(t, 1);
    const served: number[] = [];
    let asked = 0;
    // Keeps ten tasks waiting: each finished task is replaced.
    const ask = async (): Promise<void> => {
      if (asked === 60) return;
      const number = asked;
      asked += 1;
      await passwords.hash(password);
      served.push(number);
      await ask();
    };
    await Promise.all(Array.from({ length: 10 }, ask));
    assert.deepEqual(
      served,
      Array.from({ length: 60 }, (_, number) => number),
    );
  });

  test('never rejects while a thread is idle', async () => {
    const passwords = open({ cost: 15, threads: 2 });
    const free = await occupy(passwords);
    assert.equal(await free(), 2);
  });

  test('keeps a slot for all work of a request, and releases it', async () => {
    const passwords = open({ cost: 9 });
    await passwords.withHashingSlot(enter, async (hashing) => {
      const free = await occupy(passwords);
      await assert.rejects(passwords.hash(password), PasswordPoolBusyError);
      await assert.rejects(
        passwords.withHashingSlot(
          async () => assert.fail('it has begun'),
          async () => {},
        ),
        PasswordPoolBusyError,
      );
      assert.match(await hashing.hash(password), /^bcrypt/);
      await free();
    });
    const failing = passwords.withHashingSlot(enter, async () => {
      throw new Error('on purpose');
    });
    await assert.rejects(failing, /on purpose/);
    const before = await (await occupy(passwords))();
    assert.equal(await (await occupy(passwords))(), before);
  });

  test('gives no slot to sign-ups that wait for their rate limit', async (t) => {
    const DATABASE_URL = await createDatabase();
    const service = await startService({ DATABASE_URL, DATABASE_POOL_SIZE: '20', SIGN_UPS_PER_HOUR: '5' });
    const anonymous = operations(service);
    // The measured duration leaves six slots.
    reportMilliseconds(t, 2_000);
    await anonymous.createUser({ username: 'alice', password });
    const free = await occupy(service.app.passwords);
    assert.equal(await free(), 6);
    const lock = await holdLock(DATABASE_URL, 'lock table rate_limit_events');
    const crowd = Array.from({ length: 12 }, (_, number) => ({ username: `crowd-${number}`, password }));
    const signUps = Promise.allSettled(crowd.map(anonymous.createUser));
    await lock.awaited(crowd.length);
    assert.equal((await anonymous.authenticate({ username: 'alice', password })).__typename, 'AuthenticateSuccess');
    await lock.release();
    await signUps;
  });

  test('that is full answers 503 with Retry-After, and counts no attempt', async () => {
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
    const lock = await holdLock(config.databaseUrl!, 'lock table sign_in_throttles');
    const heldUp = authenticate(password);
    await lock.awaited();
    const freeAgain = await occupy(passwords);
    await lock.release();
    refuses(await heldUp);
    assert.equal(await countRows(service, 'sign_in_throttles'), 0);
    await freeAgain();
    assert.equal((await authenticate(password)).data.authenticate.__typename, 'AuthenticateSuccess');
  });
});

const enter = async (acquireSlot: () => void): Promise<void> => acquireSlot();

/** Acquires every slot. @returns a function that releases them and returns their number */
async function occupy(passwords: Passwords): Promise<() => Promise<number>> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const held: Promise<void>[] = [];
  for (let refused = false; !refused; ) {
    const holding = passwords.withHashingSlot(enter, () => released);
    held.push(holding);
    refused = await Promise.race([holding.then(Boolean, () => true), delay(0, false)]);
  }
  return async () => {
    release();
    await Promise.allSettled(held);
    return held.length - 1;
  };
}

type Run = (task: PasswordTask) => Promise<PasswordResult>;

/** Records the tasks of the threads until the test ends. */
function watchTasks(t: TestContext): PasswordTask[] {
  const run = Piscina.prototype.run as Run;
  const tasks: PasswordTask[] = [];
  t.mock.method(Piscina.prototype, 'run', function (this: Piscina, ...args: Parameters<Run>) {
    tasks.push(args[0]);
    return run.apply(this, args);
  });
  return tasks;
}

/** The bcrypt cost of a verification task. */
function costOf(task: PasswordTask): number {
  assert.notEqual(task.task, 'hash');
  const hash =
    task.task === 'verify' ? task.bcryptHash : 'hash' in task && 'bcryptHash' in task.hash && task.hash.bcryptHash;
  return Number(String(hash).slice(4, 6));
}

/** Makes threads report a fixed duration until the test ends. */
function reportMilliseconds(t: TestContext, milliseconds: number): void {
  const run = Piscina.prototype.run as Run;
  t.mock.method(Piscina.prototype, 'run', async function (this: Piscina, ...args: Parameters<Run>) {
    return { ...(await run.apply(this, args)), milliseconds };
  });
}
