/** Refreshes: rotation, reuse, and the lifetime of each token. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { sessions, storedNow } from '../../src/database/schema.js';
import { expectMember, type OutboxEntry, operations, outbox, send } from '../support/client.js';
import {
  insertPeople,
  insertPerson,
  type Person,
  password,
  type SignedIn,
  signIn,
  signUp,
  signUpVerified,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';
import {
  assertRefreshRefused,
  codeOf,
  databaseSeconds,
  decodeJwt,
  refreshed,
  resigned,
  whoIs,
} from '../support/sessions.js';

const service = await startService();
const anonymous = operations(service);
const day = 86_400;

beforeEach(() => clear(service));

describe('a refresh', () => {
  test('returns new tokens of the same session, and the new refresh token is valid', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const answer = expectMember(await anonymous.refreshSession(alice.tokens.refreshToken), 'RefreshSessionSuccess');
    assert.equal(answer.user.id, alice.id);
    const { tokens } = answer;
    assert.equal(tokens.session.id, alice.tokens.session.id);
    assert.equal(tokens.session.current, true);
    assert.notEqual(tokens.refreshToken, alice.tokens.refreshToken);
    assert.match(tokens.refreshToken!, /^frt_[\w-]{86}$/);
    // The previous access token is valid until it expires.
    for (const { accessToken } of [alice.tokens, tokens]) assert.equal(await whoIs(service, accessToken), alice.id);
    const next = await refreshed(service, tokens.refreshToken!);
    assert.equal(next.session.id, alice.tokens.session.id);
    assert.notEqual(next.refreshToken, tokens.refreshToken);
  });

  test('returns the current roles, and the methods and time of the authentication', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await signUpVerified(service, 'alice@example.com');
    await root.updateUser({ isStaff: true }, { id: alice.id });
    const { payload } = decodeJwt((await refreshed(service, alice.tokens.refreshToken)).accessToken);
    const { iat, exp, auth_time } = payload as Record<string, number>;
    const own = { sub: alice.id, sid: alice.tokens.session.id, amr: ['pwd', 'otp'], roles: ['staff'] };
    assert.deepEqual(payload, { ...payload, ...own });
    assert.equal(exp! - iat!, 300);
    assert.ok(auth_time! <= iat! && auth_time! > iat! - 60);
    assert.deepEqual(decodeJwt(alice.tokens.accessToken).payload.roles, []);
  });

  test('is rejected without a token, with a top-level error if the document omits the error', async () => {
    expectMember(await anonymous.refreshSession(), 'InvalidSessionError');
    const forgetful =
      'mutation { refreshSession(refreshToken: "frt_") { ... on RefreshSessionSuccess { tokens { accessToken } } } }';
    const answer = await send(service, forgetful);
    assert.equal(codeOf(answer), 'INVALID_SESSION');
    assert.equal(answer.data, null);
  });

  test('ignores an expired access token in the same request', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const expired = await resigned(service, alice.tokens.accessToken, { payload: { exp: 1 } });
    assert.equal(await whoIs(service, expired), 'UNAUTHENTICATED');
    expectMember(
      await operations(service, { token: expired }).refreshSession(alice.tokens.refreshToken),
      'RefreshSessionSuccess',
    );
  });
});

describe('a reused refresh token', () => {
  /** Refreshes twice unless the tokens are spent, and reuses the first token. */
  async function reuse({ tokens: { refreshToken } }: Person): Promise<void> {
    const first = await anonymous.refreshSession(refreshToken);
    if (first.tokens) await refreshed(service, first.tokens.refreshToken!);
    await assertRefreshRefused(service, refreshToken);
  }

  for (const ago of [2, 3])
    test(`from ${ago} rotations ago revokes its session with all tokens, and no other session`, async () => {
      const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
      const other = await signIn(service, { identifier: 'alice', password });
      const given = [alice.tokens];
      while (given.length < 4) given.push(await refreshed(service, given.at(-1)!.refreshToken));
      await assertRefreshRefused(service, given.at(-1 - ago)!.refreshToken);
      for (const { accessToken, refreshToken } of given) {
        assert.equal(await whoIs(service, accessToken), 'UNAUTHENTICATED');
        await assertRefreshRefused(service, refreshToken);
      }
      assert.equal(await whoIs(service, other.tokens.accessToken), alice.id);
      await refreshed(service, other.tokens.refreshToken);
    });

  test('is reported to the owner once', async () => {
    const row = { email: 'alice@example.com', phone: '+12025550123', verified: true, userAgent: 'Lynx/2.9' };
    const alice = await insertPerson(service, row);
    for (const _ of Array(3)) await reuse(alice);
    const messages = await outbox(service);
    assert.deepEqual(
      messages.map(({ to, subject, oneTimePassword }) => [to, subject, oneTimePassword]),
      [['alice@example.com', 'A session of your account was revoked', null]],
    );
    assert.match(messages[0]!.text, /Lynx\/2\.9/);
    assert.doesNotMatch(messages[0]!.text, /frt_/);
  });

  test('is reported by SMS if only the phone is verified, and to no unverified address', async () => {
    const people = await insertPeople(service, [
      { phone: '+12025550123', verified: true },
      { email: 'bob@example.com', phone: '+12025550124' },
    ]);
    for (const person of people) await reuse(person);
    const [{ channel, to, text }, ...others] = (await outbox(service)) as [OutboxEntry];
    assert.deepEqual([channel, to, others], ['sms', '+12025550123', []]);
    assert.match(text, /^A session of your account was revoked/);
  });

  test('returns the same successor while that is unused, because the response may be lost', async () => {
    const alice = await insertPerson(service, { email: 'alice@example.com', verified: true });
    const first = await refreshed(service, alice.tokens.refreshToken);
    for (const _ of Array(3)) {
      const again = await refreshed(service, alice.tokens.refreshToken);
      assert.equal(again.refreshToken, first.refreshToken);
      assert.equal(again.refreshTokenExpiresAt, first.refreshTokenExpiresAt);
      assert.equal(await whoIs(service, again.accessToken), alice.id);
    }
    await refreshed(service, first.refreshToken);
    assert.deepEqual(await outbox(service), [], 'no notice is sent');
  });

  test('returns the same successor after nine seconds, and revokes the session after eleven', async () => {
    for (const [seconds, lives] of [
      [9, true],
      [11, false],
    ] as const) {
      const alice = await insertPerson(service, { username: `alice${seconds}` });
      const first = await refreshed(service, alice.tokens.refreshToken);
      await advance(service, seconds);
      const again = await anonymous.refreshSession(alice.tokens.refreshToken);
      assert.equal(again.tokens?.refreshToken, lives ? first.refreshToken : undefined, `after ${seconds} s`);
      const { __typename } = await anonymous.refreshSession(first.refreshToken);
      assert.equal(__typename, lives ? 'RefreshSessionSuccess' : 'InvalidSessionError', `after ${seconds} s`);
    }
  });

  test('does not extend its grace period', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 6);
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 5);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
  });

  test('revokes no session if it was never issued', async () => {
    const [alice, bob] = await insertPeople(service, [
      { email: 'alice@example.com', verified: true },
      { username: 'bob' },
    ]);
    const [own, other] = [alice, bob].map(({ tokens }) => Buffer.from(tokens.refreshToken.slice(4), 'base64url'));
    const made = (...parts: Buffer[]) => `frt_${Buffer.concat(parts).toString('base64url')}`;
    for (const [about, token] of Object.entries({
      'no secret at all': made(own!.subarray(0, 16), Buffer.alloc(48)),
      'the session with the secret of another': made(own!.subarray(0, 16), other!.subarray(16)),
      'cut short': alice.tokens.refreshToken.slice(0, -1),
      empty: '',
      'an access token': alice.tokens.accessToken,
    }))
      await assertRefreshRefused(service, token, about);
    assert.equal(await whoIs(service, alice.tokens.accessToken), alice.id);
    await refreshed(service, alice.tokens.refreshToken);
    assert.deepEqual(await outbox(service), [], 'no notice is sent');
  });
});

describe('a session', () => {
  test('expires after fourteen days without use, and not a second earlier', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const { refreshTokenExpiresAt, session } = alice.tokens;
    assert.equal(Date.parse(refreshTokenExpiresAt) - Date.parse(session.createdAt), 14 * day * 1000);
    await advance(service, 14 * day - 1);
    const next = await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 14 * day + 1);
    assert.equal(await whoIs(service, await lasting(next)), 'UNAUTHENTICATED');
    await assertRefreshRefused(service, next.refreshToken);
  });

  test('stays active by the use of its access tokens', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const accessToken = await lasting(alice.tokens);
    await advance(service, 13 * day);
    assert.equal(await whoIs(service, accessToken), alice.id);
    await outbox(service);
    await advance(service, 14 * day - 1);
    await refreshed(service, alice.tokens.refreshToken);
  });

  test('expires after thirty days despite its use, and not a second earlier', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const end = Date.parse(alice.tokens.session.expiresAt);
    assert.equal(end - Date.parse(alice.tokens.session.createdAt), 30 * day * 1000);
    let { tokens } = alice;
    for (const _ of [10, 20]) {
      await advance(service, 10 * day);
      tokens = await refreshed(service, tokens.refreshToken);
    }
    assert.equal(tokens.refreshTokenExpiresAt, tokens.session.expiresAt, 'at most the expiry of the session');
    await advance(service, 10 * day - 1);
    assert.equal(await whoIs(service, await lasting(tokens)), alice.id);
    tokens = await refreshed(service, tokens.refreshToken);
    await advance(service, 2);
    assert.equal(await whoIs(service, await lasting(tokens)), 'UNAUTHENTICATED');
    await assertRefreshRefused(service, tokens.refreshToken);
  });

  test('that has expired causes no revocation and no notice if its spent token is reused', async () => {
    const alice = await insertPerson(service, { email: 'alice@example.com', verified: true });
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 14 * day + 1);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    assert.deepEqual(await outbox(service), []);
  });

  test('is revoked if its user is deactivated or deleted, and stays revoked after activation', async () => {
    const [root, alice] = await insertPeople(service, [{ username: 'root', role: 'superuser' }, { username: 'alice' }]);
    for (const change of [
      () => root.updateUser({ isActive: false }, { id: alice.id }),
      () => root.updateUser({ isActive: true }, { id: alice.id }),
      () => root.deleteUser({ id: alice.id }),
    ]) {
      assert.match((await change()).__typename, /Success$/);
      await assertRefreshRefused(service, alice.tokens.refreshToken);
      assert.equal(await whoIs(service, alice.tokens.accessToken), 'UNAUTHENTICATED');
    }
  });
});

describe('an access token', () => {
  test('is accepted until a second before its expiry, and not a second after', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const expiring = async (seconds: number) =>
      resigned(service, alice.tokens.accessToken, { payload: { exp: (await databaseSeconds(service)) + seconds } });
    // Expiry is in whole seconds: two seconds ahead are at least one.
    assert.equal(await whoIs(service, await expiring(2)), alice.id);
    assert.equal(await whoIs(service, await expiring(-1)), 'UNAUTHENTICATED');
    assert.equal(await whoIs(service, await expiring(0)), 'UNAUTHENTICATED');
  });
});

describe('a recent authentication', () => {
  test('is at most ten minutes old: 599 seconds but not 601, and a refresh does not count', async () => {
    for (const [seconds, expected] of [
      [599, 'UpdateUserSuccess'],
      [601, 'StepUpRequiredError'],
    ] as const) {
      const alice = await insertPerson(service, { username: `alice${seconds}`, email: `${seconds}@a.test` });
      await advance(service, seconds);
      const { accessToken } = await refreshed(service, alice.tokens.refreshToken);
      const changed = await operations(service, { token: accessToken }).updateUser({ username: `alicia${seconds}` });
      expectMember(changed, expected, `after ${seconds} s`);
    }
  });
});

describe('lastUsedAt', () => {
  test('is updated after a minute: not after 59 seconds, but after 61', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    /** Uses the session, and reads its stored lastUsedAt before and after. */
    const useAfter = async (seconds: number) => {
      const { db } = service.app;
      await db.update(sessions).set({ lastUsedAt: sql`${storedNow} - make_interval(secs => ${seconds})` });
      const [before] = await db.select({ lastUsedAt: sessions.lastUsedAt }).from(sessions);
      await alice.me();
      // The outbox waits for the background work.
      await service.app.outbox();
      const [after] = await db.select({ lastUsedAt: sessions.lastUsedAt }).from(sessions);
      return (after!.lastUsedAt.getTime() - before!.lastUsedAt.getTime()) / 1_000;
    };
    assert.equal(await useAfter(59), 0);
    const moved = await useAfter(61);
    assert.ok(moved >= 61, `${moved} s`);
  });
});

/** The access token of the session with an expiry in an hour. */
async function lasting({ accessToken }: SignedIn['tokens']): Promise<string> {
  return resigned(service, accessToken, { payload: { exp: (await databaseSeconds(service)) + 3600 } });
}
