/** Refreshing: rotation, re-use, and how long each token lives. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { sessions, storedNow } from '../../src/database/schema.js';
import { expectMember, lastMessageTo, operations, outbox, send } from '../support/client.js';
import { insertPerson, password, type SignedIn, signIn, signUp, signUpVerified, verify } from '../support/people.js';
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
  test('gives new tokens of the same session, and the next refresh is by the new one', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const answer = expectMember(await anonymous.refreshSession(alice.tokens.refreshToken), 'RefreshSessionSuccess');
    assert.equal(answer.user.id, alice.id);
    const { tokens } = answer;
    assert.equal(tokens.session.id, alice.tokens.session.id);
    assert.equal(tokens.session.current, true);
    assert.notEqual(tokens.refreshToken, alice.tokens.refreshToken);
    assert.match(tokens.refreshToken!, /^frt_[\w-]{86}$/);
    assert.equal(await whoIs(service, tokens.accessToken), alice.id);
    const next = await refreshed(service, tokens.refreshToken!);
    assert.equal(next.session.id, alice.tokens.session.id);
    assert.notEqual(next.refreshToken, tokens.refreshToken);
  });

  test('leaves the access token before it good until it expires', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    await refreshed(service, alice.tokens.refreshToken);
    assert.equal(await whoIs(service, alice.tokens.accessToken), alice.id);
  });

  test('says the roles of now, and how and when its user has proved to be there', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await signUpVerified(service, 'alice@example.com');
    await root.updateUser({ isStaff: true }, { id: alice.id });
    const { header, payload } = decodeJwt((await refreshed(service, alice.tokens.refreshToken)).accessToken);
    const { iat, exp, auth_time, ...claims } = payload as Record<string, number>;
    assert.deepEqual(claims, {
      iss: 'http://localhost:4000',
      aud: 'http://localhost:4000',
      sub: alice.id,
      sid: alice.tokens.session.id,
      amr: ['pwd', 'otp'],
      roles: ['staff'],
    });
    assert.equal(exp! - iat!, 300);
    assert.ok(auth_time! <= iat! && auth_time! > iat! - 60);
    assert.deepEqual({ ...header, kid: '' }, { alg: 'ES256', typ: 'at+jwt', kid: '' });
    assert.deepEqual(decodeJwt(alice.tokens.accessToken).payload.roles, []);
  });

  test('is refused without a token, and is no success for a document that forgets the refusal', async () => {
    expectMember(await anonymous.refreshSession(), 'InvalidSessionError');
    const forgetful =
      'mutation { refreshSession(refreshToken: "frt_") { ... on RefreshSessionSuccess { tokens { accessToken } } } }';
    const answer = await send(service, forgetful);
    assert.equal(codeOf(answer), 'INVALID_SESSION');
    assert.equal(answer.data, null);
  });

  test('does not mind an access token beside it that has expired', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const expired = await resigned(service, alice.tokens.accessToken, { payload: { exp: 1 } });
    assert.equal(await whoIs(service, expired), 'UNAUTHENTICATED');
    expectMember(
      await operations(service, { token: expired }).refreshSession(alice.tokens.refreshToken),
      'RefreshSessionSuccess',
    );
  });
});

describe('a refresh token used again', () => {
  test('ends the session and everything made from it, and no other session', async () => {
    const alice = await insertPerson(service, { username: 'alice', hasPassword: true });
    const other = await signIn(service, { identifier: 'alice', password });
    const first = await refreshed(service, alice.tokens.refreshToken);
    const second = await refreshed(service, first.refreshToken);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    for (const { accessToken } of [alice.tokens, first, second])
      assert.equal(await whoIs(service, accessToken), 'UNAUTHENTICATED');
    for (const { refreshToken } of [second, first, alice.tokens]) await assertRefreshRefused(service, refreshToken);
    assert.equal(await whoIs(service, other.tokens.accessToken), alice.id);
    await refreshed(service, other.tokens.refreshToken);
  });

  test('is told to the owner, once', async () => {
    const alice = await signUpVerified(service, 'alice@example.com', { headers: { 'user-agent': 'Lynx/2.9' } });
    const first = await refreshed(service, alice.tokens.refreshToken);
    await refreshed(service, first.refreshToken);
    const before = await outbox(service);
    for (const _ of Array(3)) await assertRefreshRefused(service, alice.tokens.refreshToken);
    const after = await outbox(service);
    assert.equal(after.length, before.length + 1);
    const { to, subject, text, oneTimePassword } = after[0]!;
    assert.deepEqual(
      [to, subject, oneTimePassword],
      ['alice@example.com', 'A session of your account was revoked', null],
    );
    assert.match(text, /Lynx\/2\.9/);
    assert.doesNotMatch(text, /frt_/);
  });

  test('is told by SMS where the phone is all that is proved', async () => {
    const alice = await signUp(service, { phone: '+12025550123', password });
    await verify(service, alice, alice.phoneToken);
    await refreshed(service, (await refreshed(service, alice.tokens.refreshToken)).refreshToken);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    const { channel, text } = await lastMessageTo(service, '+12025550123');
    assert.equal(channel, 'sms');
    assert.match(text, /^A session of your account was revoked/);
  });

  test('is not told to an address that nobody has proved', async () => {
    const alice = await signUp(service, { email: 'alice@example.com', phone: '+12025550123', password });
    await refreshed(service, (await refreshed(service, alice.tokens.refreshToken)).refreshToken);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    assert.equal(await whoIs(service, alice.tokens.accessToken), 'UNAUTHENTICATED');
    assert.deepEqual(await outbox(service), []);
  });

  test('gives the same successor while that is unused: the answer may have been lost', async () => {
    const alice = await signUpVerified(service, 'alice@example.com');
    const messages = (await outbox(service)).length;
    const first = await refreshed(service, alice.tokens.refreshToken);
    for (const _ of Array(3)) {
      const again = await refreshed(service, alice.tokens.refreshToken);
      assert.equal(again.refreshToken, first.refreshToken);
      assert.equal(again.refreshTokenExpiresAt, first.refreshTokenExpiresAt);
      assert.equal(await whoIs(service, again.accessToken), alice.id);
    }
    await refreshed(service, first.refreshToken);
    assert.equal((await outbox(service)).length, messages, 'nobody is told of it');
  });

  test('ends the session once its successor was used, be it at once', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const first = await refreshed(service, alice.tokens.refreshToken);
    const second = await refreshed(service, first.refreshToken);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    await assertRefreshRefused(service, second.refreshToken);
  });

  test('gives the same successor after nine seconds, and ends the session after eleven', async () => {
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

  test('does not win more time by being used again', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 6);
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 5);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
  });

  test('ends the session from two and three rotations ago', async () => {
    for (const ago of [2, 3]) {
      const alice = await insertPerson(service, { username: `alice${ago}` });
      const given = [alice.tokens];
      while (given.length < 4) given.push(await refreshed(service, given.at(-1)!.refreshToken));
      await assertRefreshRefused(service, given.at(-1 - ago)!.refreshToken, `${ago} rotations ago`);
      await assertRefreshRefused(service, given.at(-1)!.refreshToken, 'the current one');
    }
  });

  test('does not end the session when it is not one that was given out', async () => {
    const alice = await signUpVerified(service, 'alice@example.com');
    const bob = await insertPerson(service, { username: 'bob' });
    const messages = (await outbox(service)).length;
    const good: string = alice.tokens.refreshToken;
    const bytes = (token: string) => Buffer.from(token.slice(4), 'base64url');
    const made = (...parts: Buffer[]) => `frt_${Buffer.concat(parts).toString('base64url')}`;
    const flipped = (at: number) => {
      const copy = bytes(good);
      copy[at]! ^= 1;
      return made(copy);
    };
    const tampered = {
      'the first bit of the session': flipped(0),
      'a bit of the secret': flipped(20),
      'a bit of the check part': flipped(63),
      'no secret at all': made(bytes(good).subarray(0, 16), Buffer.alloc(48)),
      'the session with the secret of another': made(
        bytes(good).subarray(0, 16),
        bytes(bob.tokens.refreshToken).subarray(16),
      ),
      'cut short': good.slice(0, -1),
      'with something behind it': `${good}A`,
      'with a space in front': ` ${good}`,
      'with a line feed behind': `${good}\n`,
      'without its prefix': good.slice(4),
      'in upper case': good.toUpperCase(),
      'in another alphabet': `frt_${bytes(good).toString('base64')}`,
      empty: '',
      'an access token': alice.tokens.accessToken,
    };
    for (const [about, token] of Object.entries(tampered)) await assertRefreshRefused(service, token, about);
    assert.equal(await whoIs(service, alice.tokens.accessToken), alice.id);
    await refreshed(service, good);
    assert.equal((await outbox(service)).length, messages, 'nobody is told of it');
  });
});

describe('a session', () => {
  test('that is not used for fourteen days ends, and a second before it does not', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const { refreshTokenExpiresAt, session } = alice.tokens;
    assert.equal(Date.parse(refreshTokenExpiresAt) - Date.parse(session.createdAt), 14 * day * 1000);
    await advance(service, 14 * day - 1);
    const next = await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 14 * day + 1);
    assert.equal(await whoIs(service, await lasting(next)), 'UNAUTHENTICATED');
    await assertRefreshRefused(service, next.refreshToken);
  });

  test('is also used by its access tokens', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const accessToken = await lasting(alice.tokens);
    await advance(service, 13 * day);
    assert.equal(await whoIs(service, accessToken), alice.id);
    await outbox(service);
    await advance(service, 14 * day - 1);
    await refreshed(service, alice.tokens.refreshToken);
  });

  test('ends after thirty days however much it is used, and not a second before', async () => {
    const alice = await signUp(service, { username: 'alice' });
    const end = Date.parse(alice.tokens.session.expiresAt);
    assert.equal(end - Date.parse(alice.tokens.session.createdAt), 30 * day * 1000);
    let { tokens } = alice;
    for (const _ of [10, 20]) {
      await advance(service, 10 * day);
      tokens = await refreshed(service, tokens.refreshToken);
    }
    assert.equal(tokens.refreshTokenExpiresAt, tokens.session.expiresAt, 'never later than the session itself');
    await advance(service, 10 * day - 1);
    assert.equal(await whoIs(service, await lasting(tokens)), alice.id);
    tokens = await refreshed(service, tokens.refreshToken);
    await advance(service, 2);
    assert.equal(await whoIs(service, await lasting(tokens)), 'UNAUTHENTICATED');
    await assertRefreshRefused(service, tokens.refreshToken);
  });

  test('that ran out ends nothing else and alarms nobody when its spent token comes again', async () => {
    const alice = await signUpVerified(service, 'alice@example.com');
    const messages = (await outbox(service)).length;
    await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 14 * day + 1);
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    assert.equal((await outbox(service)).length, messages);
  });

  test('does not survive its user being deactivated, also when they are active again', async () => {
    const root = await insertPerson(service, { username: 'root', role: 'superuser' });
    const alice = await insertPerson(service, { username: 'alice' });
    for (const isActive of [false, true]) {
      const { user } = expectMember(await root.updateUser({ isActive }, { id: alice.id }), 'UpdateUserSuccess');
      assert.equal(user.isActive, isActive);
      await assertRefreshRefused(service, alice.tokens.refreshToken);
      assert.equal(await alice.isSignedIn(), false);
    }
  });

  test('does not survive its user', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    expectMember(await alice.deleteUser(), 'DeleteUserSuccess');
    await assertRefreshRefused(service, alice.tokens.refreshToken);
    assert.equal(await whoIs(service, alice.tokens.accessToken), 'UNAUTHENTICATED');
  });
});

describe('an access token', () => {
  test('is taken until a second before it expires, and not a second after', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    const expiring = async (seconds: number) =>
      resigned(service, alice.tokens.accessToken, { payload: { exp: (await databaseSeconds(service)) + seconds } });
    // The seconds are whole and the clock goes on: two ahead is at least one.
    assert.equal(await whoIs(service, await expiring(2)), alice.id);
    assert.equal(await whoIs(service, await expiring(-1)), 'UNAUTHENTICATED');
    assert.equal(await whoIs(service, await expiring(0)), 'UNAUTHENTICATED');
  });

  test('lives as long as its answer says', async () => {
    const { tokens } = await signUp(service, { username: 'alice' });
    const { exp, iat } = decodeJwt(tokens.accessToken).payload as Record<string, number>;
    assert.equal(exp! * 1000, Date.parse(tokens.accessTokenExpiresAt));
    assert.equal(iat, Math.floor(Date.parse(tokens.session.createdAt) / 1000));
  });
});

describe('a recent authentication', () => {
  test('is one of the last ten minutes: 599 seconds are, 601 are not, and a refresh is none', async () => {
    for (const [seconds, expected] of [
      [599, 'DeleteUserSuccess'],
      [601, 'InvalidCredentialsError'],
    ] as const) {
      const alice = await insertPerson(service, { username: `alice${seconds}` });
      await advance(service, seconds);
      const { accessToken } = await refreshed(service, alice.tokens.refreshToken);
      expectMember(await operations(service, { token: accessToken }).deleteUser(), expected, `after ${seconds} s`);
    }
  });
});

describe('lastUsedAt', () => {
  test('is written when the last time was a minute ago: not at 59 seconds, at 61', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    /** Uses the session, and reads when the database says that it was used before and after. */
    const useAfter = async (seconds: number) => {
      const { db } = service.app;
      await db.update(sessions).set({ lastUsedAt: sql`${storedNow} - make_interval(secs => ${seconds})` });
      const [before] = await db.select({ lastUsedAt: sessions.lastUsedAt }).from(sessions);
      await alice.me();
      // The kept messages are shown when the work in the background is done.
      await service.app.outbox();
      const [after] = await db.select({ lastUsedAt: sessions.lastUsedAt }).from(sessions);
      return (after!.lastUsedAt.getTime() - before!.lastUsedAt.getTime()) / 1_000;
    };
    assert.equal(await useAfter(59), 0);
    const moved = await useAfter(61);
    assert.ok(moved >= 61, `${moved} s`);
  });
});

/** Its access token, with another hour to live. */
async function lasting({ accessToken }: SignedIn['tokens']): Promise<string> {
  return resigned(service, accessToken, { payload: { exp: (await databaseSeconds(service)) + 3600 } });
}
