/** Events commit with their transaction, or not at all. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { App } from '../../../src/app/app.js';
import type { Database } from '../../../src/database/database.js';
import { auditEvents, users } from '../../../src/database/schema.js';
import { insertUser } from '../../../src/database/users.queries.js';
import { claimIdentifiers } from '../../../src/domain/accounts/claim-identifiers.js';
import { auditSubscriber } from '../../../src/domain/events/audit.js';
import { type EventBatch, emit, emitRevocations, transact } from '../../../src/domain/events/events.js';
import { clear, startService } from '../../support/service.js';

const service = await startService();
const userId = '11111111-1111-4111-8111-111111111111';
const unlocked = { type: 'security-token-unlocked', userId, securityTokenId: 'a token' } as const;
const removed = { type: 'password-removed', userId } as const;

let committed: EventBatch[];
let app: App;

beforeEach(async () => {
  await clear(service);
  committed = [];
  const spy = { afterCommit: (_app: App, batch: EventBatch) => void committed.push(batch) };
  app = { ...service.app, subscribers: [auditSubscriber, spy] };
});

async function storedKinds(): Promise<string[]> {
  const rows = await app.db.select({ kind: auditEvents.kind }).from(auditEvents).orderBy(auditEvents.id);
  return rows.map(({ kind }) => kind);
}

describe('transact', () => {
  test('passes the events of a transaction together and in order', async () => {
    const result = await transact(app, null, async (tx) => {
      emit(tx, unlocked);
      emit(tx, removed);
      assert.deepEqual(committed, [], 'no event is passed before the commit');
      return 'result';
    });
    assert.equal(result, 'result');
    assert.deepEqual(committed, [{ actor: null, events: [unlocked, removed] }]);
    assert.deepEqual(await storedKinds(), ['SECURITY_TOKEN_UNLOCKED', 'PASSWORD_REMOVED']);
  });

  test('emits nothing if the transaction rolls back', async () => {
    const work = transact(app, null, async (tx) => {
      emit(tx, unlocked);
      throw new Error('after the event');
    });
    await assert.rejects(work, /after the event/);
    assert.deepEqual(committed, []);
    assert.deepEqual(await storedKinds(), []);
  });

  test('rolls the change back if its audit event cannot be written', async () => {
    const work = transact(app, null, async (tx) => {
      await insertUser(tx, { username: 'alice', usernameKey: 'alice' });
      emit(tx, { ...unlocked, userId: 'no UUID' });
    });
    await assert.rejects(work);
    assert.equal(await app.db.$count(users), 0);
    assert.deepEqual(committed, []);
  });

  test('calls no subscriber without an event', async () => {
    await transact(app, null, async (tx) => emitRevocations(tx, { userId, count: 0, reason: 'password set' }));
    assert.deepEqual(committed, []);
  });
});

describe('emit', () => {
  test('throws in a transaction that transact did not open', async () => {
    await assert.rejects(
      app.db.transaction(async (tx) => emit(tx, unlocked)),
      /security-token-unlocked was emitted outside of transact/,
    );
  });

  test('throws after the work of the transaction has ended', async () => {
    let ended: Database | undefined;
    await transact(app, null, async (tx) => {
      ended = tx;
    });
    assert.throws(() => emit(ended!, unlocked), /outside of transact/);
  });
});

test('claimIdentifiers emits only the events of the second run', async () => {
  await insertUser(app.db, { username: 'alice', usernameKey: 'alice' });
  let runs = 0;
  await claimIdentifiers(app, null, { identifiers: [] }, async (tx) => {
    runs += 1;
    emit(tx, runs === 1 ? unlocked : removed);
    if (runs === 1) await insertUser(tx, { username: 'Alice', usernameKey: 'alice' });
  });
  assert.equal(runs, 2);
  assert.deepEqual(committed, [{ actor: null, events: [removed] }]);
  assert.deepEqual(await storedKinds(), ['PASSWORD_REMOVED']);
});
