/** The sessions that a user sees, and revocation by sign-out, of one session or of all. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { expectError, expectMember, oneTimePasswordSentTo, operations, outbox, send } from '../support/client.js';
import { insertPeople, type Person, password, type SignedIn, signIn, signUpVerified } from '../support/people.js';
import { advance, clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';
import { assertRefreshRefused, databaseSeconds, refreshed, resigned, whoIs } from '../support/sessions.js';

const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const service = await startService({ ...environment, TRUST_PROXY: '127.0.0.1,198.51.100.0/24' });
const anonymous = operations(service);
const nobodysId = '00000000-0000-4000-8000-000000000000';

let root: Person;
let staff: Person;
let alice: Person;
let bob: Person;

beforeEach(async () => {
  await clear(service);
  [root, staff, alice, bob] = await insertPeople(service, [
    { username: 'root', role: 'superuser' },
    { username: 'staff', role: 'staff' },
    { username: 'alice', hasPassword: true },
    { username: 'bob', hasPassword: true },
  ]);
});

const signInAs = (identifier: string, options = {}) => signIn(service, { identifier, password }, options);

describe('signOut', () => {
  test('revokes the session of the refresh token, once', async () => {
    const other = await signInAs('alice');
    assert.deepEqual(await anonymous.signOut(alice.tokens.refreshToken), { signedOut: true });
    await assertDead(alice);
    assert.deepEqual(await anonymous.signOut(alice.tokens.refreshToken), { signedOut: false });
    await assertAlive(other);
  });

  test('revokes the session of a spent refresh token', async () => {
    const next = await refreshed(service, alice.tokens.refreshToken);
    await advance(service, 60);
    assert.deepEqual(await anonymous.signOut(alice.tokens.refreshToken), { signedOut: true });
    await assertRefreshRefused(service, next.refreshToken);
  });

  test('revokes the session of the access token, also of an expired one', async () => {
    assert.deepEqual(await alice.signOut(), { signedOut: true });
    await assertDead(alice);
    const again = await signInAs('alice');
    const expired = await resigned(service, again.tokens.accessToken, { payload: { exp: 1 } });
    assert.deepEqual(await operations(service, { token: expired }).signOut(), { signedOut: true });
    await assertDead(again);
  });

  test('revokes no session by a forged access token', async () => {
    const [header, payload] = alice.tokens.accessToken.split('.');
    const { accessToken } = alice.tokens;
    const foreign = await resigned(service, accessToken, { payload: { exp: 1, aud: 'https://other.example.com' } });
    for (const token of [[header, payload, bob.tokens.accessToken.split('.')[2]].join('.'), foreign, 'nonsense'])
      assert.deepEqual(await operations(service, { token }).signOut(), { signedOut: false }, token);
    await assertAlive(alice);
  });

  test('returns false if there is no session to revoke', async () => {
    assert.deepEqual(await anonymous.signOut(), { signedOut: false });
    for (const made of ['', 'x', 'frt_made-up', alice.tokens.accessToken, `${alice.tokens.refreshToken}x`])
      assert.deepEqual(await anonymous.signOut(made), { signedOut: false }, made);
    await assertAlive(alice);
  });

  test('accepts an expired bearer in every form of the operation', async () => {
    for (const document of [
      'mutation { __typename signOut { signedOut } }',
      'mutation { ... { signOut { signedOut } } }',
      'mutation { ...F } fragment F on Mutation { bye: signOut { signedOut } }',
    ]) {
      const holder = await signInAs('alice');
      const token = await resigned(service, holder.tokens.accessToken, { payload: { exp: 1 } });
      assert.equal((await send(service, document, {}, { token })).errors, undefined, document);
      await assertDead(holder);
    }
    await assertAlive(alice);
  });

  test('revokes only the session of the argument, and none if that is already revoked', async () => {
    const other = await signInAs('alice');
    for (const signedOut of [true, false])
      assert.deepEqual(await alice.signOut(other.tokens.refreshToken), { signedOut });
    assert.deepEqual(await alice.signOut('frt_made-up'), { signedOut: false });
    await assertAlive(alice);
  });
});

describe('User.sessions', () => {
  test('shows the user agent and address of each device, latest use first', async () => {
    const laptop = await signInAs('alice', from('Laptop/2', '2001:db8::7'));
    await alice.signOut();
    await advance(service, 61);
    const tablet = await signInAs('alice', from('Tablet/3', '203.0.113.8, 198.51.100.77'));
    await laptop.me();
    await outbox(service);
    const shown = (await tablet.sessions()).map(({ userAgent, ipAddress, current }) => [userAgent, ipAddress, current]);
    assert.deepEqual(shown, [
      ['Laptop/2', '2001:db8::7', false],
      ['Tablet/3', '203.0.113.8', true],
    ]);
    const [first] = await laptop.sessions();
    assert.deepEqual([first!.id, first!.current], [laptop.tokens.session.id, true]);
    assert.deepEqual(first!.authenticationMethods, ['PASSWORD']);
    assert.ok(first!.lastUsedAt >= first!.createdAt);
  });

  test('shows the address of an untrusted proxy instead of the forwarded address', async () => {
    const strict = await startService({ ...environment });
    const direct = await signIn(strict, { username: 'bob', password }, from('Phone/1', '203.0.113.7'));
    assert.equal(direct.tokens.session.ipAddress, '127.0.0.1');
    // The client controls the leftmost address, so the rightmost untrusted one counts.
    const behindProxy = await signInAs('bob', from('Phone/1', '192.0.2.1, 203.0.113.7'));
    assert.equal(behindProxy.tokens.session.ipAddress, '203.0.113.7');
  });

  test('shows an address without its port, and accepts any forwarded text', async () => {
    for (const [forwardedFor, shown] of [
      ['203.0.113.7:51234', '203.0.113.7'],
      ['[2001:db8::7]:51234', '2001:db8::7'],
      ['[2001:db8::7]', '2001:db8::7'],
      ['::ffff:203.0.113.7', '203.0.113.7'],
      ...['unknown', '999.1.1.1', 'fe80::1%eth0', '_hidden', '1', ''].map((none) => [none]),
    ]) {
      const { tokens } = await signInAs('alice', from('Phone/1', forwardedFor!));
      if (shown !== undefined) assert.equal(tokens.session.ipAddress, shown, forwardedFor);
    }
  });

  test('stores at most 512 characters of a user agent, or null', async () => {
    const headers = { 'user-agent': 'x'.repeat(2000) };
    assert.equal((await signInAs('alice', { headers })).tokens.session.userAgent, 'x'.repeat(512));
    // The client of the tests sends no User-Agent.
    assert.equal((await signInAs('alice')).tokens.session.userAgent, null);
  });

  test('shows no revoked or expired session', async () => {
    const ended = await signInAs('alice');
    await ended.signOut();
    assert.deepEqual(ids(await alice.sessions()), [alice.tokens.session.id]);
    await advance(service, 14 * 86_400 + 1);
    const back = await signInAs('alice');
    assert.deepEqual(ids(await back.sessions()), [back.tokens.session.id]);
  });

  test('marks the opened or refreshed session as current', async () => {
    await signInAs('alice');
    const query =
      'mutation ($refreshToken: String) { refreshSession(refreshToken: $refreshToken) { ... on RefreshSessionSuccess { user { sessions { id current } } } } }';
    const { data } = await send(service, query, { refreshToken: alice.tokens.refreshToken });
    const current = data.refreshSession.user.sessions.filter((session: { current: boolean }) => session.current);
    assert.deepEqual(ids(current), [alice.tokens.session.id]);
  });
});

describe('revokeSession', () => {
  test('revokes another session of the caller immediately, and no other', async () => {
    const [lost, kept] = [await signInAs('alice'), await signInAs('alice')];
    const revoked = expectMember(await alice.revokeSession(lost.tokens.session.id), 'RevokeSessionSuccess');
    assert.equal(revoked.session.id, lost.tokens.session.id);
    await assertDead(lost);
    await assertAlive(kept);
    await assertAlive(alice);
  });

  test('revokes the current session', async () => {
    const revoked = expectMember(await alice.revokeSession(alice.tokens.session.id), 'RevokeSessionSuccess');
    assert.equal(revoked.session.current, true);
    await assertDead(alice);
  });

  test('is NotFoundError for sessions of other users, and for unknown, revoked and invalid IDs', async () => {
    const ended = await signInAs('bob');
    await ended.signOut();
    for (const id of [alice.tokens.session.id, nobodysId, ended.tokens.session.id, 'x', ''])
      expectMember(await bob.revokeSession(id), 'NotFoundError', id);
    await assertAlive(alice);
  });

  test('revokes sessions of other users for a superuser, and not for staff', async () => {
    expectMember(await staff.revokeSession(alice.tokens.session.id), 'NotFoundError');
    await assertAlive(alice);
    expectMember(await root.revokeSession(alice.tokens.session.id), 'RevokeSessionSuccess');
    await assertDead(alice);
  });
});

describe('revokeOtherSessions', () => {
  test('revokes all other sessions of the caller, and returns their number', async () => {
    const others = [await signInAs('alice'), await signInAs('alice')];
    const gone = await signInAs('alice');
    await gone.signOut();
    assert.equal(expectMember(await alice.revokeOtherSessions(), 'RevokeOtherSessionsSuccess').revokedCount, 2);
    for (const other of others) await assertDead(other);
    await assertAlive(bob);
    assert.equal(expectMember(await alice.revokeOtherSessions(), 'RevokeOtherSessionsSuccess').revokedCount, 0);
    await assertAlive(alice);
  });
});

describe('revokeUserSessions', () => {
  test('revokes only the sessions of the given user for a superuser', async () => {
    const more = await signInAs('alice');
    const revoked = await root.revokeUserSessions(alice.id);
    assert.deepEqual(revoked, { __typename: 'RevokeUserSessionsSuccess', revokedCount: 2 });
    await assertDead(alice);
    await assertDead(more);
    await assertAlive(bob);
    assert.equal((await root.revokeUserSessions(alice.id)).revokedCount, 0);
  });

  test('is NotFoundError for an unknown ID, and FORBIDDEN for other roles with any ID', async () => {
    for (const id of [nobodysId, 'x']) expectMember(await root.revokeUserSessions(id), 'NotFoundError');
    for (const by of [staff, alice])
      for (const id of [alice.id, root.id, nobodysId, 'x']) await expectError(by.revokeUserSessions(id), 'FORBIDDEN');
    for (const revoke of ['revokeSession', 'revokeOtherSessions', 'revokeUserSessions'] as const)
      await expectError(anonymous[revoke](nobodysId), 'UNAUTHENTICATED');
    for (const person of [root, alice]) await assertAlive(person);
  });
});

test('authenticates the caller and the session in one round trip to the database', async () => {
  // Background writes are not among its round trips.
  await service.app.outbox();
  const pool = (service.app.db as unknown as { $client: { query: (...args: unknown[]) => unknown } }).$client;
  const { query } = pool;
  let count = 0;
  pool.query = function counting(...args) {
    count += 1;
    return query.apply(pool, args);
  };
  try {
    assert.equal(await whoIs(service, alice.tokens.accessToken), alice.id);
  } finally {
    pool.query = query;
  }
  assert.equal(count, 1);
});

test('logs a revocation in one line without tokens', async () => {
  const logged = await spawnService({ ...environment, LOG_LEVEL: 'info' });
  const owner = await signUpVerified(service, 'alice@example.com');
  const { id } = owner;
  const [byRoot, byOwner] = [root, owner].map(({ tokens }) => operations(logged, { token: tokens.accessToken }));
  const secrets: string[] = [];
  const ends: Record<string, (session: SignedIn) => Promise<unknown>> = {
    'signed out': (session) => operations(logged).signOut(session.tokens.refreshToken),
    'used again': async ({ tokens }) => {
      const { refreshToken } = await refreshed(logged, (await refreshed(logged, tokens.refreshToken)).refreshToken);
      secrets.push(refreshToken);
      await assertRefreshRefused(logged, tokens.refreshToken);
    },
    revoked: ({ tokens }) => byOwner!.revokeSession(tokens.session.id),
    'revoked by a superuser': ({ tokens }) => byRoot!.revokeSession(tokens.session.id),
    'the others revoked': () => byOwner!.revokeOtherSessions(),
    'password changed': () => byOwner!.changePassword({ currentPassword: password, newPassword: password }),
    'all revoked by a superuser': () => byRoot!.revokeUserSessions(id),
    'password set': () => byRoot!.setUserPassword(id, password),
    'password reset': async () => {
      const tokenId = owner.emailToken;
      await operations(logged).sendOneTimePassword(tokenId, 'PASSWORD_RESET');
      const oneTimePassword = await oneTimePasswordSentTo(logged, 'alice@example.com');
      await operations(logged).resetPassword({ tokenId, oneTimePassword, newPassword: password });
    },
    deactivated: () => byRoot!.updateUser({ isActive: false }, { id }),
    'activated again': () => byRoot!.updateUser({ isActive: true }, { id }),
    deleted: () => byRoot!.deleteUser({ id }),
  };
  for (const [about, end] of Object.entries(ends)) {
    const ending =
      about === 'activated again' ? null : await signIn(service, { identifier: 'alice@example.com', password });
    if (ending) secrets.push(ending.tokens.accessToken, ending.tokens.refreshToken);
    const before = endsIn(logged.output()).length;
    await end(ending!);
    const linesSince = () => endsIn(logged.output()).slice(before);
    // Log output may arrive after the response.
    for (let tries = 0; ending && linesSince().length === 0 && tries < 50; tries += 1) await delay(20);
    const lines = linesSince();
    assert.equal(lines.length, ending ? 1 : 0, `${about}: ${JSON.stringify(lines)}`);
    if (ending) assert.equal(lines[0]!.subjectId, id, about);
  }
  assert.ok(secrets.length > 10);
  for (const secret of secrets) assert.equal(logged.output().includes(secret), false);
  assert.doesNotMatch(logged.output(), /frt_|eyJ/);
});

/** Returns the log entries of revoked sessions. */
function endsIn(log: string): { subjectId: string }[] {
  return log
    .split('\n')
    .filter((line) => /"kind":"(SESSION_ENDED|REFRESH_TOKEN_REUSED)"/.test(line))
    .map((line) => JSON.parse(line).audit);
}

function from(userAgent: string, forwardedFor: string) {
  return { headers: { 'user-agent': userAgent, 'x-forwarded-for': forwardedFor } };
}

function ids(sessions: { id: string }[]): string[] {
  return sessions.map(({ id }) => id);
}

async function assertDead({ tokens }: Person): Promise<void> {
  assert.equal(await whoIs(service, tokens.accessToken), 'UNAUTHENTICATED');
  await assertRefreshRefused(service, tokens.refreshToken);
}

/** Uses a renewed access token of the session, which consumes nothing. */
async function assertAlive({ id, tokens }: Person): Promise<void> {
  const accessToken = await resigned(service, tokens.accessToken, {
    payload: { exp: (await databaseSeconds(service)) + 60 },
  });
  assert.equal(await whoIs(service, accessToken), id);
}
