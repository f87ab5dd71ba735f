/** Two processes on one PostgreSQL: concurrent refreshes, and immediate revocation on both. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { lastMessageTo, operations, outbox, send } from '../support/client.js';
import { makeSuperuser, password, type SignedIn, signIn, signUp, signUpVerified } from '../support/people.js';
import { advance, clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';
import { assertRefreshRefused, type Json, refreshed, whoIs } from '../support/sessions.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
// One of the two, in this process. It also shifts time, and has the keys.
const service = await startService(shared);
const replicas = [service, await spawnService(shared)] as const;
const [left, right] = replicas;

beforeEach(() => clear(service));

describe('concurrent uses of a refresh token', () => {
  test('fifty times return one successor, and the session stays active', async () => {
    for (const round of Array(5).keys()) {
      const alice = await signUp(service, { username: `alice${round}`, password });
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => refreshed(n % 2 ? left : right, alice.tokens.refreshToken)),
      );
      assert.equal(new Set(answers.map(({ refreshToken }) => refreshToken)).size, 1);
      for (const { accessToken } of answers.slice(0, 4)) assert.equal(await whoIs(left, accessToken), alice.id);
      await refreshed(right, answers[0]!.refreshToken);
    }
  });

  test('fifty times after its use revoke the session and notify the owner once', async () => {
    const alice = await signUpVerified(service, 'alice@example.com');
    const { refreshToken } = await refreshed(left, (await refreshed(left, alice.tokens.refreshToken)).refreshToken);
    const before = (await outbox(service)).length;
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => assertRefreshRefused(n % 2 ? left : right, alice.tokens.refreshToken)),
    );
    for (const replica of replicas) {
      await outbox(replica);
      await assertRefreshRefused(replica, refreshToken);
    }
    assert.equal((await outbox(service)).length, before + 1);
  });

  test('and its successor in any order never return two active tokens', async () => {
    for (const round of Array(10).keys()) {
      const alice = await signUp(service, { username: `alice${round}`, password });
      const first = await refreshed(left, alice.tokens.refreshToken);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          operations(n % 2 ? left : right).refreshSession((n % 3 ? first : alice.tokens).refreshToken),
        ),
      );
      const given = new Set(answers.flatMap(({ tokens }) => (tokens ? [tokens.refreshToken!] : [])));
      given.delete(first.refreshToken);
      assert.ok(given.size <= 1, `${given.size} successors`);
      // After ten seconds, the first token counts as reused.
      await advance(service, 11);
      await assertRefreshRefused(left, alice.tokens.refreshToken);
      for (const token of given) await assertRefreshRefused(right, token);
    }
  });

  test('and a sign-out never leave an active session', async () => {
    for (const round of Array(10).keys()) {
      const alice = await signUp(service, { username: `alice${round}`, password });
      const [signedOut, ...answers] = await Promise.all([
        operations(right).signOut(alice.tokens.refreshToken),
        ...Array.from({ length: 10 }, (_, n) =>
          operations(n % 2 ? left : right).refreshSession(alice.tokens.refreshToken),
        ),
      ]);
      assert.deepEqual(signedOut, { signedOut: true });
      for (const { tokens } of answers) {
        if (tokens === undefined) continue;
        assert.equal(await whoIs(left, tokens.accessToken), 'UNAUTHENTICATED');
        await assertRefreshRefused(left, tokens.refreshToken!);
      }
    }
  });
});

describe('access and refresh tokens are invalid immediately on every replica after', () => {
  const changePassword = `mutation ($password: String!) {
    changePassword(input: { currentPassword: $password, newPassword: $password }) { __typename }
  }`;
  const setUserPassword = `mutation ($id: ID!, $password: String!) {
    setUserPassword(id: $id, newPassword: $password) { __typename }
  }`;
  const setActive = `mutation ($id: ID!, $isActive: Boolean!) {
    updateUser(id: $id, input: { isActive: $isActive }) { __typename }
  }`;
  const deleteUser = `mutation ($id: ID, $password: String) {
    deleteUser(id: $id, currentPassword: $password) { __typename }
  }`;
  /** Revokes the session on the left process. `another` has the same user, `root` a superuser. */
  const ways: Record<string, (ending: SignedIn, another: SignedIn, root: SignedIn) => Promise<unknown>> = {
    'a sign-out by the refresh token': ({ tokens }) => operations(left).signOut(tokens.refreshToken),
    'a sign-out by the access token': ({ tokens }) => operations(left, { token: tokens.accessToken }).signOut(),
    'the use of a spent refresh token': async ({ tokens }) => {
      await advance(service, 11);
      await assertRefreshRefused(left, tokens.refreshToken);
    },
    revokeSession: (ending, another) =>
      operations(left, { token: another.tokens.accessToken }).revokeSession(ending.tokens.session.id),
    revokeOtherSessions: (_, another) => operations(left, { token: another.tokens.accessToken }).revokeOtherSessions(),
    revokeUserSessions: ({ id }, _, root) =>
      operations(left, { token: root.tokens.accessToken }).revokeUserSessions(id),
    'a change of password': (_, another) => asked(changePassword, another, { password }),
    'a password set by a superuser': ({ id }, _, root) => asked(setUserPassword, root, { id, password }),
    'a reset': async ({ account, emailToken: id }) => {
      await send(left, `mutation { sendOneTimePassword(tokenId: "${id}", purpose: PASSWORD_RESET) { __typename } }`);
      await outbox(left);
      const { oneTimePassword } = await lastMessageTo(service, account.email!);
      const answer = await send(
        left,
        'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }',
        { input: { tokenId: id, oneTimePassword, newPassword: password } },
      );
      assert.equal(answer.data?.resetPassword.__typename, 'ResetPasswordSuccess');
    },
    'a deactivation': ({ id }, _, root) => asked(setActive, root, { id, isActive: false }),
    'a deactivation that was taken back': async ({ id }, _, root) => {
      await asked(setActive, root, { id, isActive: false });
      await asked(setActive, root, { id, isActive: true });
    },
    "the user's own deletion": (_, another) => asked(deleteUser, another, { password }),
    'a deletion by a superuser': ({ id }, _, root) => asked(deleteUser, root, { id }),
  };

  for (const [way, end] of Object.entries(ways))
    test(way, async () => {
      const root = await makeSuperuser(service);
      const stranger = await signUp(service, { username: 'stranger', password });
      const ending = await signUpVerified(service, 'alice@example.com');
      const another = await signIn(service, { identifier: 'alice@example.com', password });
      const next = await refreshed(right, ending.tokens.refreshToken);
      for (const replica of replicas)
        for (const { accessToken } of [ending.tokens, next]) assert.equal(await whoIs(replica, accessToken), ending.id);

      await end(ending, another, root);

      const accesses = replicas.flatMap((replica) =>
        [ending.tokens, next].map(({ accessToken }) => whoIs(replica, accessToken)),
      );
      assert.deepEqual(await Promise.all(accesses), Array(4).fill('UNAUTHENTICATED'));
      for (const replica of [right, left]) {
        await assertRefreshRefused(replica, next.refreshToken);
        await assertRefreshRefused(replica, ending.tokens.refreshToken);
        assert.equal(await whoIs(replica, stranger.tokens.accessToken), stranger.id);
      }
    });

  async function asked(document: string, by: SignedIn, variables: Json = {}): Promise<void> {
    const answer = await send(left, document, variables, { token: by.tokens.accessToken });
    const [result] = Object.values(answer.data ?? {}) as { __typename: string }[];
    assert.match(result?.__typename ?? JSON.stringify(answer.errors), /Success$/);
  }
});
