/** Concurrent operations on one user over two processes cause no deadlock and no unavailability. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expectMember, operations, outbox } from '../support/client.js';
import { assertNoDeadlock, insist, startReplicas } from '../support/replicas.js';

const replicas = await startReplicas({
  // Practically no limits, but their statements run.
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '100000',
  OTP_SENDS_PER_DAY: '100000',
  SENDS_PER_HOUR: '100000',
  SMS_PREFIX_SENDS_PER_HOUR: '100000',
  SIGN_UPS_PER_HOUR: '100000',
});
const [first, second] = replicas.both;
const password = 'correct horse battery';
const alice = { username: 'alice', email: 'alice@example.com', phone: '+12015550123' };

/**
 * Repeats the workers for three seconds, and until every wanted type of response has occurred.
 * @returns the number of responses of each type
 */
async function runTogether(workers: (() => Promise<{ __typename: string }>)[], wanted: string[]) {
  const began = Date.now();
  const counts: Record<string, number> = {};
  const isOver = () => {
    const seconds = (Date.now() - began) / 1000;
    return seconds > 30 || (seconds > 3 && wanted.every((type) => counts[type] !== undefined));
  };
  await Promise.all(
    workers.map(async (work) => {
      while (!isOver()) {
        const { __typename } = await insist(work);
        counts[__typename] = (counts[__typename] ?? 0) + 1;
      }
    }),
  );
  return counts;
}

/** Ends every wait, row by row and without waiting, so it cannot cause a deadlock itself. */
async function openWaits(): Promise<{ __typename: string }> {
  for (const [table, id] of [
    ['one_time_passwords', 'token_id, purpose'],
    ['sign_in_throttles', 'key'],
  ])
    await replicas.query(
      `update ${table} set retry_at = null where (${id}) in (select ${id} from ${table} for update skip locked)`,
    );
  await new Promise((resolve) => setTimeout(resolve, 20));
  return { __typename: 'waits opened' };
}

test('concurrent sends, checks, sign-ins and sign-ups of one user all get responses', async () => {
  const { user, tokens } = expectMember(
    await operations(first).createUser({ ...alice, password }),
    'CreateUserSuccess',
  );
  const root = expectMember(await operations(second).createUser({ username: 'root' }), 'CreateUserSuccess');
  await replicas.query('update users set is_superuser = true where id = $1', [root.user.id]);
  // A superuser generates codes for verified addresses only.
  await verify(user.id);

  const workers = replicas.both.flatMap((service) => {
    const anyone = operations(service);
    const owner = operations(service, { token: tokens!.accessToken });
    const superuser = operations(service, { token: root.tokens!.accessToken });
    return [
      ...user.securityTokens.flatMap(({ id }: { id: string }) => [
        () => anyone.sendOneTimePassword(id),
        () => anyone.sendOneTimePassword(id, 'PASSWORD_RESET'),
        () => owner.sendOneTimePassword(id, 'VERIFICATION'),
        () => anyone.checkOneTimePassword(id, 'WRONG234'),
        () => owner.checkOneTimePassword(id, 'WRONG234', 'VERIFICATION'),
        async () => {
          const { oneTimePassword } = expectMember(
            await superuser.generateOneTimePassword(id),
            'GenerateOneTimePasswordSuccess',
          );
          return anyone.checkOneTimePassword(id, oneTimePassword);
        },
        async () => {
          const { oneTimePassword } = expectMember(
            await superuser.generateOneTimePassword(id, 'VERIFICATION'),
            'GenerateOneTimePasswordSuccess',
          );
          return owner.checkOneTimePassword(id, oneTimePassword, 'VERIFICATION');
        },
      ]),
      () => anyone.authenticate({ identifier: 'alice', password }),
      () => anyone.authenticate({ ...alice, password }),
      () => anyone.authenticate({ username: 'alice', email: alice.email, password: 'wrong' }),
      () => anyone.authenticate({ email: alice.email, phone: alice.phone, password: 'wrong' }),
      () => owner.updateUser({ email: `new-${randomUUID()}@example.com` }),
      () => anyone.createUser(alice),
      () => anyone.createUser({ username: `user-${randomUUID()}`, phone: alice.phone }),
    ];
  });

  // Each operation takes another path through the locks.
  const wanted = [
    'UpdateUserSuccess',
    'SendOneTimePasswordSuccess',
    'CheckOneTimePasswordSuccess',
    'InvalidOneTimePasswordError',
    'AuthenticateSuccess',
    'InvalidCredentialsError',
    'TimeoutError',
    'ValidationError',
  ];
  const counts = await runTogether([...workers, openWaits], wanted);
  assert.deepEqual(
    wanted.filter((type) => counts[type] === undefined),
    [],
  );
  assertNoDeadlock(replicas);
});

/** Verifies the addresses of the user. */
async function verify(userId: string): Promise<void> {
  await replicas.query('update security_tokens set verified_at = created_at where user_id = $1', [userId]);
  await replicas.query('update users set first_verified_at = date_joined where id = $1', [userId]);
}

/** A transaction of the test, which blocks those of the service. */
async function begin() {
  const client = new pg.Client(replicas.environment.DATABASE_URL);
  await client.connect();
  let open = true;
  const end = async () => {
    if (open) await client.end();
    open = false;
  };
  after(end);
  await client.query('begin');
  return { query: (text: string, values?: unknown[]) => client.query(text, values), end };
}

/** Waits until `count` statements with this prefix are blocked. */
async function untilWaiting(count: number, statement = ''): Promise<void> {
  const waiting = () =>
    replicas.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'flex-identity' and wait_event_type = 'Lock' and starts_with(query, $1)",
      [statement],
    );
  while ((await waiting()).length < count) await new Promise((resolve) => setTimeout(resolve, 10));
}

test('a successful sign-in clears the counters in the order of a concurrent sign-in', async () => {
  const bob = { username: 'bob', email: 'bob@example.com' };
  await operations(first).createUser({ ...bob, password });
  await replicas.query('truncate sign_in_throttles');
  const user = await begin();
  await user.query("select from users where username = 'bob' for update");
  const signIn = operations(first).authenticate({ ...bob, password });
  await untilWaiting(1);

  // The counter row exists now. Stores the rows in reverse order, so a scan in physical order
  // reverses the locks.
  await replicas.query('create table backwards as select * from sign_in_throttles order by key desc');
  await replicas.query('truncate sign_in_throttles');
  await replicas.query('insert into sign_in_throttles select * from backwards');
  await replicas.query('analyze sign_in_throttles');
  const [lower, upper] = (await replicas.query('select key from sign_in_throttles order by key')).map(({ key }) => key);

  const other = await begin();
  const count = (key: unknown) =>
    other.query('update sign_in_throttles set failure_count = failure_count where key = $1', [key]);
  await count(lower);
  await user.end();
  await untilWaiting(1, 'delete from "sign_in_throttles"');
  await count(upper);
  await other.end();
  assert.equal((await signIn).__typename, 'AuthenticateSuccess');
  assert.deepEqual(await replicas.query('select from sign_in_throttles'), []);
});

/** A user with a verified email, and a new one-time password for a pending phone. */
async function claimPhone(phone: string) {
  const email = `${randomUUID()}@example.com`;
  const { user, tokens } = expectMember(await operations(first).createUser({ email }), 'CreateUserSuccess');
  await verify(user.id);
  const owner = operations(second, { token: tokens!.accessToken });
  const changed = expectMember(await owner.updateUser({ phone }), 'UpdateUserSuccess');
  const { id: tokenId } = changed.user.securityTokens.find(({ __typename }) => __typename === 'PhoneToken')!;
  const { oneTimePassword } = (await outbox(second)).find(({ to }) => to === phone)!;
  // Its audit event is written in the background. Later it would wait for the lock of a test too.
  const sent = "select from audit_events where kind = 'ONE_TIME_PASSWORD_SENT' and subject_id = $1";
  while ((await replicas.query(sent, [user.id])).length === 0) await delay(10);
  return { userId: user.id, verify: () => owner.checkOneTimePassword(tokenId, oneTimePassword, 'VERIFICATION') };
}

for (const { what, signsUpFirst, phone, expected } of [
  {
    what: 'moves to the account that verifies it, if a concurrent sign-up precedes the verification',
    signsUpFirst: true,
    phone: '+12015550124',
    expected: ['CreateUserSuccess', 'CheckOneTimePasswordSuccess'],
  },
  {
    what: 'is taken, if the verification precedes a concurrent sign-up',
    signsUpFirst: false,
    phone: '+12015550125',
    expected: ['CheckOneTimePasswordSuccess', 'ValidationError'],
  },
])
  test(`a pending address ${what}`, async () => {
    const { userId, verify } = await claimPhone(phone);
    const audit = await begin();
    // The first waits before its commit, and the second for the first.
    await audit.query('lock table audit_events in share mode');
    const signUp = () => operations(first).createUser({ username: `user-${randomUUID()}`, phone });
    const answers: Promise<{ __typename: string }>[] = [];
    for (const request of signsUpFirst ? [signUp, verify] : [verify, signUp])
      await untilWaiting(answers.push(request()));
    await audit.end();
    const types = (await Promise.all(answers)).map(({ __typename }) => __typename);
    assert.deepEqual(types, expected);
    assert.deepEqual(await replicas.query('select id from users where phone = $1', [phone]), [{ id: userId }]);
    const tokens = await replicas.query(
      'select user_id, verified_at is not null as verified from security_tokens where address = $1',
      [phone],
    );
    assert.deepEqual(tokens, [{ user_id: userId, verified: true }]);
    assertNoDeadlock(replicas);
  });
