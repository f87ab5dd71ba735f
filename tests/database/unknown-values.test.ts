/** Values that a newer version has stored are skipped on reading, and no query fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { decodeJwt } from 'jose';
import { expectMember } from '../support/client.js';
import { makeSuperuser, password, signUp, verify } from '../support/people.js';
import { rows, startService } from '../support/service.js';

const service = await startService();
const { db } = service.app;
for (const [table, check] of [
  ['security_tokens', 'security_tokens_kind_known'],
  ['sessions', 'sessions_authentication_methods_known'],
])
  await db.execute(sql.raw(`alter table ${table} drop constraint ${check}`));
const root = await makeSuperuser(service);

test('skips audit events of unknown kinds and fills the page without them', async () => {
  await service.app.outbox();
  await db.execute(sql`delete from audit_events`);
  await signUp(service, { username: 'first' });
  await service.app.outbox();
  await db.execute(sql`insert into audit_events (kind) values ('ADDED_LATER')`);
  await signUp(service, { username: 'second' });
  await service.app.outbox();
  const { nodes, pageInfo } = await root.auditEvents({ first: 2 });
  assert.deepEqual(
    nodes.map(({ kind }: { kind: string }) => kind),
    ['SIGNED_UP', 'SIGNED_UP'],
  );
  assert.equal(pageInfo.hasNextPage, false);
});

test('reads an event that is stored under a former kind, and finds it by the current kind', async () => {
  await db.execute(sql`delete from audit_events`);
  await db.execute(
    sql`insert into audit_events (kind) values ('SESSION_COPIED'), ('REFRESH_TOKEN_REUSED'), ('SIGNED_UP')`,
  );
  const kinds = async (kind: 'REFRESH_TOKEN_REUSED' | null) =>
    (await root.auditEvents({ kind })).nodes.map((event) => event.kind);
  assert.deepEqual(await kinds('REFRESH_TOKEN_REUSED'), ['REFRESH_TOKEN_REUSED', 'REFRESH_TOKEN_REUSED']);
  assert.deepEqual(await kinds(null), ['SIGNED_UP', 'REFRESH_TOKEN_REUSED', 'REFRESH_TOKEN_REUSED']);
});

test('skips unknown authentication methods in sessions and tokens, and keeps them stored', async () => {
  const alice = await signUp(service, { username: 'alice', email: 'alice@a.test', password });
  await db.execute(
    sql`update sessions set authentication_methods = '{ADDED_LATER,PASSWORD}' where user_id = ${alice.id}`,
  );
  const [session] = await alice.sessions();
  assert.deepEqual(session!.authenticationMethods, ['PASSWORD']);
  const refreshed = expectMember(await alice.refreshSession(alice.tokens.refreshToken), 'RefreshSessionSuccess');
  assert.deepEqual(refreshed.tokens.session.authenticationMethods, ['PASSWORD']);
  assert.deepEqual(decodeJwt(refreshed.tokens.accessToken).amr, ['pwd']);
  await verify(service, alice, alice.emailToken);
  const stored = sql`select authentication_methods as methods from sessions where user_id = ${alice.id}`;
  assert.deepEqual(await rows(service, stored), [{ methods: ['PASSWORD', 'EMAIL_ONE_TIME_PASSWORD', 'ADDED_LATER'] }]);
});

test('skips security tokens of unknown kinds', async () => {
  const bob = await signUp(service, { username: 'bob', email: 'bob@a.test', password });
  await db.execute(
    sql`insert into security_tokens (id, user_id, kind, address, given_at_sign_up) values ('later', ${bob.id}, 'added-later', 'bob', true)`,
  );
  const { securityTokens } = await bob.me();
  assert.deepEqual(
    securityTokens.map(({ id }: { id: string }) => id),
    [bob.emailToken],
  );
});
