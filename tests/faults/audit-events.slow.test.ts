/** Audit events after a kill: each committed change has its event, and each event its change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { expectMember, operations } from '../support/client.js';
import { password } from '../support/people.js';
import { connect } from '../support/replicas.js';
import { createDatabase, type ServiceProcess, sharedSecrets, spawnService } from '../support/service.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const { query } = await connect(shared.DATABASE_URL);
/** Each acknowledged operation has its own kind of audit event. */
const acknowledged = { IDENTIFIERS_CHANGED: 0, PASSWORD_CHANGED: 0, SIGNED_IN: 0, SESSION_ENDED: 0 };
let accounts = 0;

test('a kill of the service loses no audit event of a change', async () => {
  for (const round of ['right after an answer', 'right after an answer', 'at any moment']) {
    const service = await spawnService(shared);
    const answers = { count: 0, last: 40, onLast: () => {} };
    const killed = new Promise<void>((resolve) => {
      answers.onLast = () => {
        if (round === 'right after an answer') service.process.kill('SIGKILL');
        else setTimeout(() => service.process.kill('SIGKILL'), Math.random() * 100);
        resolve();
      };
    });
    const clients = Array.from({ length: 6 }, () => changeUntilKilled(service, answers));
    await killed;
    assert.equal(await service.exited, null, 'ended by the signal');
    await Promise.all(clients);
  }
  await connectionsAreGone();

  const users = await compareWithEvents();
  assert.ok(users.length >= 18, 'each client has an account in each round');
  for (const { id, ...counts } of users) {
    assert.equal(counts.openings, counts.sessions, `sessions opened: ${JSON.stringify(counts)}`);
    assert.equal(counts.endings, counts.revoked, `sessions revoked: ${JSON.stringify(counts)}`);
    assert.equal(counts.renamings, counts.renamed, `usernames changed: ${JSON.stringify(counts)}`);
  }
  for (const [kind, count] of Object.entries(acknowledged)) {
    assert.ok(count > 5, `only ${count} operations with ${kind}`);
    const [{ events }] = await query('select count(*)::int as events from audit_events where kind = $1', [kind]);
    assert.ok(events >= count, `${kind}: ${events} events of ${count} acknowledged operations`);
  }
});

/** Signs up and changes the account until the service stops responding. */
async function changeUntilKilled(
  service: ServiceProcess,
  answers: { count: number; last: number; onLast(): void },
): Promise<void> {
  const answered = (kind: keyof typeof acknowledged) => {
    acknowledged[kind] += 1;
    if (++answers.count === answers.last) answers.onLast();
  };
  try {
    const name = `account${++accounts}`;
    let [currentPassword, username] = [password, `${name}-0`];
    const { tokens } = expectMember(await operations(service).createUser({ username, password }), 'CreateUserSuccess');
    const owner = operations(service, { token: tokens!.accessToken });
    for (let round = 1; ; round += 1) {
      username = `${name}-${round}`;
      assert.equal((await owner.updateUser({ username })).__typename, 'UpdateUserSuccess');
      answered('IDENTIFIERS_CHANGED');
      const second = expectMember(
        await operations(service).authenticate({ username, password: currentPassword }),
        'AuthenticateSuccess',
      );
      answered('SIGNED_IN');
      assert.deepEqual(await operations(service).signOut(second.tokens.refreshToken), { signedOut: true });
      answered('SESSION_ENDED');
      const newPassword = `${password} ${round}`;
      const changed = await owner.changePassword({ currentPassword, newPassword });
      assert.equal(changed.__typename, 'ChangePasswordSuccess');
      answered('PASSWORD_CHANGED');
      currentPassword = newPassword;
    }
  } catch (error) {
    if (service.process.exitCode === null && service.process.signalCode === null && !service.process.killed)
      throw error;
  }
}

/** The stored state of each user, to compare with its audit events. */
function compareWithEvents() {
  return query(`select u.id,
    (select count(*)::int from sessions s where s.user_id = u.id) as sessions,
    (select count(*)::int from audit_events e where e.subject_id = u.id and e.kind in ('SIGNED_UP', 'SIGNED_IN')) as openings,
    (select count(*)::int from sessions s where s.user_id = u.id and s.revoked_at is not null) as revoked,
    (select coalesce(sum(case when session_id is null then split_part(detail, ':', 1)::int else 1 end), 0)::int
      from audit_events e where e.subject_id = u.id and e.kind = 'SESSION_ENDED') as endings,
    split_part(u.username, '-', 2)::int as renamed,
    (select count(*)::int from audit_events e where e.subject_id = u.id and e.kind = 'IDENTIFIERS_CHANGED') as renamings
    from users u`);
}

/** Waits until PostgreSQL has ended the transactions of killed processes. */
async function connectionsAreGone(): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [{ count }] = await query(
      `select count(*)::int from pg_stat_activity where datname = current_database() and application_name = 'flex-identity'
        and pid <> pg_backend_pid() and state <> 'idle'`,
    );
    if (count === 0) return;
    assert.ok(Date.now() < deadline, 'a killed process still has connections');
    await delay(20);
  }
}
