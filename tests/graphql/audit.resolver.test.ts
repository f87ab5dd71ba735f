/** The audit log: its content and its queries. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { auditEventKinds } from '../../src/database/schema.js';
import { expectError, expectMember } from '../support/client.js';
import type { AuditEventPageQueryVariables } from '../support/generated/graphql.js';
import {
  caller,
  insertPerson,
  issueOneTimePassword,
  lastMessage,
  makeSuperuser,
  type Person,
  password,
  signIn,
  signUp,
  signUpVerified,
} from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService({ OTP_SEND_INTERVAL_SECONDS: '0', TRUST_PROXY: '127.0.0.1' });

type Event = Awaited<ReturnType<Person['auditEvents']>>['nodes'][number];

let root: Person;
const anonymous = caller(service);
const next = 'violin under the stairs';

beforeEach(async () => {
  // Otherwise pending events would be written after the log is cleared.
  await service.app.outbox();
  await clear(service);
  root = await insertPerson(service, { username: 'root', role: 'superuser' });
});

/** Clears the audit log, so that a test sees only its own events. */
async function forget(): Promise<void> {
  await service.app.outbox();
  await service.app.db.execute(sql`delete from audit_events`);
}

async function events(filter: AuditEventPageQueryVariables = {}): Promise<Event[]> {
  await service.app.outbox();
  return (await root.auditEvents({ first: 100, ...filter })).nodes;
}

describe('auditEvents', () => {
  test('contains an event of each kind with its actor, its subject and the client address', async () => {
    const told = new Map<string, Event>();
    const expect = async (expected: string[], about: Partial<Event>) => {
      const found = (await events()).reverse();
      assert.deepEqual(
        found.map(({ kind }) => kind),
        expected,
      );
      for (const event of found) told.set(event.kind, event);
      for (const [field, value] of Object.entries(about))
        assert.equal(found[0]![field as keyof Event], value, `${expected[0]}: ${field}`);
      await forget();
    };
    const device = { headers: { 'user-agent': 'Phone/1', 'x-forwarded-for': '203.0.113.7' } };
    const from = { ipAddress: '203.0.113.7', userAgent: 'Phone/1' };

    const alice = await signUp(service, { username: 'alice', email: 'alice@a.test', password }, device);
    const { id } = alice;
    const sessionId = alice.tokens.session.id;
    await expect(['SIGNED_UP'], { actorId: id, subjectId: id, sessionId, ...from });
    await root.createUser({ username: 'carol' });
    await expect(['SIGNED_UP'], { actorId: root.id, sessionId: null });

    await caller(service, device).authenticate({ username: 'alice', password: 'wrong' });
    await expect(['SIGN_IN_FAILED'], { actorId: null, subjectId: id, sessionId: null, ...from });
    await caller(service, device).authenticate({ username: 'alice', password });
    await service.app.outbox();
    await anonymous.authenticate({ username: 'nobody', password });
    await expect(['SIGN_IN_THROTTLED', 'SIGN_IN_FAILED'], { subjectId: id });
    await advance(service, 60);
    const second = (await signIn(service, { username: 'alice', password }, device)).tokens.session.id;
    await expect(['SIGNED_IN'], { actorId: id, subjectId: id, sessionId: second, detail: 'PASSWORD', ...from });

    await alice.sendOneTimePassword(alice.emailToken, 'VERIFICATION');
    const sent = { securityTokenId: alice.emailToken, detail: 'VERIFICATION', subjectId: id };
    await expect(['ONE_TIME_PASSWORD_SENT'], { actorId: id, ...sent });
    await alice.checkOneTimePassword(alice.emailToken, 'WRONG', 'VERIFICATION');
    // Rejected attempts are recorded separately in the background.
    await service.app.outbox();
    await alice.checkOneTimePassword(alice.emailToken, 'WRONG', 'VERIFICATION');
    await expect(['ONE_TIME_PASSWORD_REFUSED', 'ONE_TIME_PASSWORD_THROTTLED'], { actorId: id, ...sent });
    await advance(service, 10);
    const { oneTimePassword } = await lastMessage(service);
    await alice.checkOneTimePassword(alice.emailToken, oneTimePassword, 'VERIFICATION');
    const verified = { actorId: id, subjectId: id, securityTokenId: alice.emailToken, detail: 'email' };
    await expect(['ADDRESS_VERIFIED', 'ONE_TIME_PASSWORD_ACCEPTED'], verified);
    const ofCode = told.get('ONE_TIME_PASSWORD_ACCEPTED')!;
    assert.deepEqual(ofCode, { ...ofCode, actorId: id, sessionId, ...sent });

    const made = expectMember(await root.generateOneTimePassword(alice.emailToken), 'GenerateOneTimePasswordSuccess');
    await expect(['ONE_TIME_PASSWORD_GENERATED'], { actorId: root.id, subjectId: id, detail: 'AUTHENTICATION' });
    const { tokens } = await anonymous.checkOneTimePassword(alice.emailToken, made.oneTimePassword);
    const opened = { actorId: id, subjectId: id, sessionId: tokens!.session.id };
    await expect(['ONE_TIME_PASSWORD_ACCEPTED', 'SIGNED_IN'], opened);
    await root.unlockSecurityToken(alice.emailToken);
    await expect(['SECURITY_TOKEN_UNLOCKED'], { actorId: root.id, subjectId: id, securityTokenId: alice.emailToken });

    await alice.changePassword({ currentPassword: 'wrong', newPassword: next });
    await expect(['CURRENT_PASSWORD_REFUSED'], { actorId: id, subjectId: id });
    await advance(service, 10);
    await alice.changePassword({ currentPassword: password, newPassword: next });
    // The current password is an authentication, and she had two other active sessions.
    await expect(['REAUTHENTICATED', 'PASSWORD_CHANGED', 'SESSION_ENDED'], { actorId: id, subjectId: id, sessionId });
    assert.equal(told.get('SESSION_ENDED')!.detail, '2: password changed');
    await alice.updateUser({ username: 'alicia', phone: '+12025550123' }, { currentPassword: next });
    await service.app.outbox();
    const changed = ['REAUTHENTICATED', 'IDENTIFIERS_CHANGED', 'ADDRESS_ADDED', 'ONE_TIME_PASSWORD_SENT'];
    await expect(changed, { actorId: id, subjectId: id });
    assert.deepEqual(
      ['IDENTIFIERS_CHANGED', 'ADDRESS_ADDED'].map((kind) => told.get(kind)!.detail),
      ['username, pendingPhone', 'phone'],
    );
    const taken = await insertPerson(service, { phone: '+12025550123' });
    const ofPhone = await issueOneTimePassword(service, taken.phoneToken);
    await taken.checkOneTimePassword(taken.phoneToken, ofPhone);
    const lost = { subjectId: id, securityTokenId: taken.phoneToken, detail: 'phone' };
    await expect(['ADDRESS_LOST', 'ADDRESS_VERIFIED', 'ONE_TIME_PASSWORD_ACCEPTED'], { actorId: taken.id, ...lost });
    await root.setUserPassword(id, password);
    await expect(['PASSWORD_SET', 'SESSION_ENDED'], { actorId: root.id, subjectId: id });

    await anonymous.sendOneTimePassword(alice.emailToken, 'PASSWORD_RESET');
    await service.app.outbox();
    const reset = (await lastMessage(service)).oneTimePassword;
    await forget();
    await anonymous.resetPassword({ tokenId: alice.emailToken, oneTimePassword: reset, newPassword: next });
    await expect(['PASSWORD_RESET', 'SIGNED_IN'], { actorId: id, subjectId: id, securityTokenId: alice.emailToken });

    await root.updateUser({ isStaff: true }, { id });
    await expect(['ROLES_CHANGED'], { actorId: root.id, subjectId: id, detail: 'isStaff: true' });
    await root.updateUser({ isActive: false }, { id });
    const deactivated = { actorId: root.id, subjectId: id, detail: 'isActive: false' };
    await expect(['ACTIVATION_CHANGED', 'SESSION_ENDED'], deactivated);
    await root.deleteUser({ id });
    await expect(['USER_DELETED'], { actorId: root.id, subjectId: id });

    const squatted = await insertPerson(service, { email: 'dora@a.test', hasPassword: true });
    const code = await issueOneTimePassword(service, squatted.emailToken);
    await forget();
    await anonymous.checkOneTimePassword(squatted.emailToken, code);
    const dropped = ['PASSWORD_REMOVED', 'SESSION_ENDED', 'OWNERSHIP_PROVEN', 'ADDRESS_VERIFIED'];
    await expect([...dropped, 'ONE_TIME_PASSWORD_ACCEPTED', 'SIGNED_IN'], { subjectId: squatted.id });

    const bob = await insertPerson(service, { username: 'bob' });
    await anonymous.refreshSession(bob.tokens.refreshToken);
    await advance(service, 11);
    await caller(service, device).refreshSession(bob.tokens.refreshToken);
    await expect(['REFRESH_TOKEN_REUSED'], { subjectId: bob.id, sessionId: bob.tokens.session.id, ...from });
    await root.createSuperuser({ username: 'second', password });
    await expect(['SUPERUSER_CREATED'], { actorId: root.id, detail: 'by a superuser' });
    assert.deepEqual([...told.keys()].sort(), [...auditEventKinds].sort(), 'a kind has no event');
  });

  test('contains the creation of the first superuser', async () => {
    await clear(service);
    root = await makeSuperuser(service);
    const told = (await events()).map(({ kind, detail, subjectId }) => [kind, detail, subjectId]);
    const created = ['SUPERUSER_CREATED', 'bootstrap secret', root.id];
    assert.deepEqual(told, [['SIGNED_IN', 'PASSWORD', root.id], created]);
  });

  test('contains no user input', async () => {
    const alice = await signUpVerified(service, 'alice@secret.test');
    await anonymous.authenticate({ identifier: 'canary-identifier', password: 'canary-password' });
    await anonymous.checkOneTimePassword(alice.emailToken, 'canary-code');
    await alice.changePassword({ currentPassword: 'canary-current', newPassword: next });
    await alice.updateUser({ username: 'canary_name', email: 'canary@secret.test' });
    assert.doesNotMatch(JSON.stringify(await events()), /canary|secret\.test|alice/);
  });

  test('returns each event once, newest first, while other events are added', async () => {
    for (let index = 0; index < 7; index += 1) await anonymous.authenticate({ username: `user${index}`, password });
    const all = await events();
    assert.equal(all.length, 7);
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const page = await root.auditEvents({ first: 3, after });
      seen.push(...page.nodes.map(({ id }) => id));
      assert.deepEqual(
        page.edges.map(({ node }) => node.id),
        page.nodes.map(({ id }) => id),
      );
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
      await anonymous.authenticate({ username: `later${seen.length}`, password });
      await service.app.outbox();
    }
    assert.deepEqual(
      seen,
      all.map(({ id }) => id),
    );
  });

  test('filters events by user, kind and time', async () => {
    const alice = await signUp(service, { username: 'alice', password });
    await anonymous.authenticate({ username: 'alice', password: 'wrong' });
    await anonymous.authenticate({ username: 'nobody', password });
    await service.app.outbox();
    await advance(service, 3600);
    const bob = await signUp(service, { username: 'bob', password });
    const hourAgo = new Date(Date.now() - 1_800_000).toISOString();
    const some = async (filter: AuditEventPageQueryVariables) =>
      (await events(filter)).reverse().map(({ kind, subjectId }) => [kind, subjectId]);
    assert.deepEqual(await some({ userId: alice.id }), [
      ['SIGNED_UP', alice.id],
      ['SIGN_IN_FAILED', alice.id],
    ]);
    assert.deepEqual(await some({ kind: 'SIGN_IN_FAILED' }), [
      ['SIGN_IN_FAILED', alice.id],
      ['SIGN_IN_FAILED', null],
    ]);
    assert.deepEqual(await some({ since: hourAgo }), [['SIGNED_UP', bob.id]]);
    assert.equal((await some({ until: hourAgo })).length, 3);
    assert.deepEqual(await some({ userId: alice.id, kind: 'SIGNED_UP', since: hourAgo }), []);
    assert.deepEqual(await some({ userId: 'no id' }), []);
  });

  test('rejects times outside the supported years', async () => {
    for (const years of [{ since: '0000-01-01T00:00:00Z' }, { until: '9999-12-31T23:59:59-23:59' }])
      await expectError(root.auditEvents(years), 'BAD_USER_INPUT');
    await root.auditEvents({ since: '0001-01-01T00:00:00Z', until: '9999-12-31T23:59:59Z' });
  });

  test('permits superusers only, and rejects invalid page sizes and cursors', async () => {
    const staff = await insertPerson(service, { username: 'staff', role: 'staff' });
    await expectError(anonymous.auditEvents(), 'UNAUTHENTICATED');
    await expectError(staff.auditEvents(), 'FORBIDDEN');
    const forged = Buffer.from('event 1; drop table users').toString('base64url');
    for (const page of [{ first: 0 }, { first: 101 }, { after: '' }, { after: 'x' }, { after: forged }])
      await expectError(root.auditEvents(page), 'BAD_USER_INPUT', JSON.stringify(page));
  });
});
