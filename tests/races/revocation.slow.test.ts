/**
 * A session that is revoked while its request is under way changes nothing. The request and the
 * revocation reach two processes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documents, outcomeOf, startAccountRaces } from '../support/account-races.js';
import type { Answer } from '../support/client.js';
import { holdLock } from '../support/locks.js';
import { type Caller, insertPeople, type Person, password, signIn, signsIn } from '../support/people.js';

const { service, at, databaseUrl } = await startAccountRaces();

const changePassword =
  'mutation ($newPassword: String!) { changePassword(input: { newPassword: $newPassword }) { __typename } }';
const setUserPassword =
  'mutation ($id: ID!, $newPassword: String!) { setUserPassword(id: $id, newPassword: $newPassword) { __typename } }';
const newPassword = 'another horse battery';

/** What a thief asks by the session of a superuser. */
const requests: Record<string, (thief: Caller, victim: Person) => Promise<Answer>> = {
  changePassword: (thief) => thief.ask(changePassword, { newPassword }),
  'updateUser of an own address': (thief) => thief.ask(documents.updateUser, { input: { email: 'thief@b.test' } }),
  'updateUser of another user': (thief, { id }) => thief.ask(documents.updateUser, { id, input: { isActive: false } }),
  'deleteUser of the own account': (thief) => thief.ask(documents.deleteUser),
  'deleteUser of another user': (thief, { id }) => thief.ask(documents.deleteUser, { id }),
  setUserPassword: (thief, { id }) => thief.ask(setUserPassword, { id, newPassword }),
};

let round = 0;

for (const [name, request] of Object.entries(requests))
  test(`${name} under way while its session is revoked is UNAUTHENTICATED, and changes nothing`, async () => {
    round += 1;
    const names = { owner: `owner${round}`, victim: `victim${round}`, root: `root${round}` };
    const [stolen, victim] = await insertPeople(service, [
      { username: names.owner, hasPassword: true, role: 'superuser' },
      { username: names.victim, hasPassword: true },
      // So that the owner is not the last superuser.
      { username: names.root, role: 'superuser' },
    ]);
    const owner = await signIn(service, { username: names.owner, password });

    // Both wait for the account in the order of their requests, after all that needs no lock.
    const lock = await holdLock(databaseUrl, `select from users where id = '${stolen.id}' for update`);
    const revoked = at(0, owner).revokeOtherSessions();
    await lock.awaited(1);
    const answer = request(at(1, stolen), victim);
    await lock.awaited(2);
    await lock.release();
    assert.equal((await revoked).__typename, 'RevokeOtherSessionsSuccess');
    assert.equal(outcomeOf(await answer), 'UNAUTHENTICATED');

    const { pendingEmail, sessions } = await owner.me();
    assert.deepEqual([pendingEmail, sessions.length], [null, 1]);
    for (const username of [names.owner, names.victim]) {
      assert.equal(await signsIn(service, username, password), true, username);
      assert.equal(await signsIn(service, username, newPassword), false, username);
    }
  });
