import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { sql } from 'drizzle-orm';
import {
  auditEvents,
  keys,
  oneTimePasswords,
  outboxMessages,
  rateLimitEvents,
  securityTokens,
  sessions,
  signInThrottles,
  users,
} from '../../src/database/schema.js';
import { prune } from '../../src/domain/accounts/administration.js';
import { caller, insertPeople, insertPerson, password, signsIn, signUp } from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

/** Sessions last up to a year, so that old ones can still be live. */
const service = await startService({
  SESSION_TTL_SECONDS: '31536000',
  SESSION_IDLE_TTL_SECONDS: '31536000',
  SIGN_UPS_PER_HOUR: '100',
});
const { db } = service.app;
const anonymous = caller(service);
const day = 86_400;
const tables = { sessions, oneTimePasswords, signInThrottles, rateLimitEvents, outboxMessages, auditEvents };
const names = Object.keys(tables) as (keyof typeof tables)[];
type Counts = Record<keyof typeof tables, number>;
const nothing = Object.fromEntries(names.map((name) => [name, 0])) as Counts;

beforeEach(async () => {
  // Wait for background writes, which would otherwise follow the clearing.
  await service.app.outbox();
  await clear(service);
});

async function counts(): Promise<Counts> {
  await service.app.outbox();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await db.$count(tables[name])])),
  ) as Counts;
}

/** Prunes, and compares the reported counts to the remaining rows. */
async function pruned(): Promise<Record<string, number>> {
  const before = await counts();
  const reported = await prune(service.app);
  const left = await counts();
  for (const name of names) assert.equal(reported[name], before[name] - left[name], name);
  return reported;
}

test('deletes rows of each table at the end of their retention, and not a minute earlier', async () => {
  const alice = await signUp(service, { username: 'alice', email: 'alice@a.test', password });
  await anonymous.sendOneTimePassword(alice.emailToken);
  await anonymous.checkOneTimePassword(alice.emailToken, 'WRONG');
  await anonymous.authenticate({ username: 'alice', password: 'wrong' });
  await alice.signOut();
  const there = await counts();
  for (const [name, count] of Object.entries(there)) assert.ok(count > 0, `no ${name} exist`);

  const minute = 60;
  const times: [days: number, gone: (keyof Counts)[]][] = [
    [1, ['rateLimitEvents']],
    [7, ['outboxMessages']],
    [30, ['sessions', 'oneTimePasswords', 'signInThrottles']],
    [365, ['auditEvents']],
  ];
  let passed = 0;
  for (const [days, gone] of times) {
    await advance(service, days * day - minute - passed);
    assert.deepEqual(await pruned(), nothing, `a minute before ${days} days`);
    await advance(service, 2 * minute);
    passed = days * day + minute;
    assert.deepEqual(
      await pruned(),
      { ...nothing, ...Object.fromEntries(gone.map((name) => [name, there[name]])) },
      `a minute after ${days} days`,
    );
  }
  assert.deepEqual(await counts(), nothing);
});

test('deletes a session that has ended and was opened 30 days ago', async () => {
  const [alive, over, expired, idle] = await insertPeople(service, [
    { username: 'alive' },
    { username: 'over' },
    { username: 'expired' },
    { username: 'idle' },
  ]);
  await over.signOut();
  await advance(service, 31 * day);
  const [late] = await insertPeople(service, [{ username: 'late' }, { username: 'young' }]);
  await late.signOut();
  await db.execute(sql`update sessions set expires_at = now() - interval '1 second' where user_id = ${expired.id}`);
  await db.execute(sql`update sessions set idle_expires_at = now() - interval '1 second' where user_id = ${idle.id}`);
  assert.deepEqual(await pruned(), { ...nothing, sessions: 3 });
  const left = await db.select({ username: users.username }).from(sessions).innerJoin(users, sql`user_id = users.id`);
  assert.deepEqual(left.map(({ username }) => username).sort(), ['alive', 'late', 'young']);
  assert.equal((await alive.me()).username, 'alive');
});

test('keeps counters and one-time passwords that are still in use, whatever their age', async () => {
  const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', hasPassword: true });
  const fail = async () => {
    await anonymous.checkOneTimePassword(alice.emailToken, 'WRONG');
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
  };
  await fail();
  await advance(service, 29 * day);
  await fail();
  await anonymous.sendOneTimePassword(alice.emailToken, 'PASSWORD_RESET');
  await advance(service, 2 * day);
  await db.execute(
    sql`update one_time_passwords set expires_at = now() + interval '1 minute' where code_digest is not null`,
  );
  const { oneTimePasswords: _, ...reported } = await pruned();
  assert.equal(reported.signInThrottles, 0);
  const early = await alice.me();
  assert.equal(early.securityTokens[0]!.failureCount, 2, 'both failures are counted');
  assert.notEqual(early.securityTokens[0]!.expiresAt, null, 'the reset is still valid');
});

test('never deletes users, their addresses or keys', async () => {
  const alice = await signUp(service, { username: 'alice', email: 'alice@a.test', phone: '+12025550101', password });
  await alice.sendOneTimePassword(alice.emailToken, 'VERIFICATION');
  const kept = () => Promise.all([users, securityTokens, keys].map((table) => db.$count(table)));
  const before = await kept();
  await service.app.outbox();
  await advance(service, 3650 * day);
  await pruned();
  assert.deepEqual(await kept(), before);
  assert.deepEqual(await counts(), nothing);
  assert.ok(await signsIn(service, 'alice', password));
});

test('deletes more rows than one batch holds', async () => {
  await db.execute(
    sql`insert into rate_limit_events (key, occurred_at) select 'x', now() - make_interval(hours => n % 48, mins => 30) from generate_series(0, 23999) n`,
  );
  assert.deepEqual(await pruned(), { ...nothing, rateLimitEvents: 12_000 });
  assert.deepEqual(await pruned(), nothing);
});
