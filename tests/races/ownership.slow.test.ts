/** Concurrent proofs of addresses over two processes: who owns an account, and who an address. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { importUsers } from '../../src/domain/import/import.js';
import type { ImportedUser } from '../../src/domain/import/imported-user.js';
import { assertConsistent, documents, outcomeOf, startAccountRaces } from '../support/account-races.js';
import { caller, idOfAddress, insertPerson, issueOneTimePassword, type Person } from '../support/people.js';

const { service, at } = await startAccountRaces();

let people = 0;

/** Unused identifiers. */
function unique() {
  people += 1;
  return { username: `user${people}`, email: `user${people}@a.test`, phone: `+1202555${1000 + people}` };
}

/** Runs rounds of a race, a few at a time. */
async function inRounds<T>(rounds: number, race: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let first = 0; first < rounds; first += 6)
    results.push(...(await Promise.all(Array.from({ length: 6 }, (_, index) => race(first + index)))));
  await assertConsistent(service);
  return results;
}

const startsLate = (late: boolean, round: number) => delay(late ? 8 * (round % 4) : 0);

/** Checks a code for verification in the session. */
async function verifyAt(replica: number, owner: Person, address: string, code: string): Promise<string> {
  const variables = { tokenId: idOfAddress(service, address), code, purpose: 'VERIFICATION' };
  return outcomeOf(await at(replica, owner).ask(documents.check, variables));
}

/** An account that holds the addresses pending. */
async function claim(addresses: { email?: string; phone?: string }): Promise<Person> {
  const person = await insertPerson(service, { username: unique().username });
  assert.equal((await person.updateUser(addresses)).__typename, 'UpdateUserSuccess');
  return person;
}

const codeFor = (address: string, { id }: Person) =>
  issueOneTimePassword(service, idOfAddress(service, address), 'VERIFICATION', id);

test('a first proof leaves nothing of a squatter who verifies the other address at the same time, 60 of 60', async () => {
  const ownAccounts = await inRounds(60, async (round) => {
    const { email, phone } = unique();
    // The squatter signed up with the email of the victim beside an own number.
    const squatter = await insertPerson(service, { email, phone, hasPassword: true });
    const code = await issueOneTimePassword(service, squatter.emailToken, 'AUTHENTICATION');
    const squattersCode = await issueOneTimePassword(service, squatter.phoneToken, 'VERIFICATION');
    const [proven] = await Promise.all([
      startsLate(round % 2 === 0, round).then(() =>
        at(round).ask(documents.check, { tokenId: squatter.emailToken, code, purpose: 'AUTHENTICATION' }),
      ),
      startsLate(round % 2 === 1, round).then(() => verifyAt(round + 1, squatter, phone, squattersCode)),
    ]);
    assert.equal(outcomeOf(proven), 'CheckOneTimePasswordSuccess');
    const victim = caller(service, { token: proven.data.checkOneTimePassword.tokens.accessToken });
    const account = await victim.me();
    assert.deepEqual([account.email, account.emailVerified, account.hasUsablePassword], [email, true, false]);
    assert.deepEqual([account.phone, account.pendingPhone, account.sessions.length], [null, null, 1]);
    const isOwn = account.id !== squatter.id;
    // Otherwise the session of the squatter ended with the first proof.
    assert.equal(await squatter.isSignedIn(), isOwn);
    if (isOwn) assert.deepEqual([(await squatter.me()).email, (await squatter.me()).pendingEmail], [null, null]);
    return isOwn;
  });
  assert.deepEqual([...new Set(ownAccounts)].sort(), [false, true], 'one of the two was always first');
});

describe('a pending address', () => {
  test('that two accounts verify at once goes to one of them', async () => {
    await inRounds(18, async (round) => {
      const { email } = unique();
      const both = [await claim({ email }), await claim({ email })] as const;
      const codes = [await codeFor(email, both[0]), await codeFor(email, both[1])] as const;
      const outcomes = await Promise.all([
        verifyAt(round, both[0], email, codes[0]),
        verifyAt(round + 1, both[1], email, codes[1]),
      ]);
      const winner = outcomes.indexOf('CheckOneTimePasswordSuccess');
      assert.match(String(outcomes[1 - winner]), /^(InvalidOneTimePasswordError|FORBIDDEN)$/, String(outcomes));
      const accounts = [await both[winner]!.me(), await both[1 - winner]!.me()] as const;
      assert.deepEqual([accounts[0].email, accounts[0].emailVerified], [email, true]);
      assert.deepEqual([accounts[1].email, accounts[1].pendingEmail], [null, null]);
    });
  });

  test('goes to the account that verifies it beside a concurrent sign-up', async () => {
    const signUps = await inRounds(18, async (round) => {
      const { email } = unique();
      const owner = await claim({ email });
      const code = await codeFor(email, owner);
      const [verified, made] = await Promise.all([
        startsLate(true, round).then(() => verifyAt(round, owner, email, code)),
        at(round + 1).createUser({ email }),
      ]);
      assert.equal(verified, 'CheckOneTimePasswordSuccess');
      assert.deepEqual([(await owner.me()).email, (await owner.me()).emailVerified], [email, true]);
      if (made.__typename !== 'CreateUserSuccess') {
        assert.deepEqual(made.issues, [{ field: 'email', code: 'TAKEN' }]);
        return made.__typename;
      }
      const account = await caller(service, { token: made.tokens!.accessToken }).me();
      assert.equal(account.email, null);
      assert.match(account.username ?? '', /^user-[a-z0-9]{10}$/);
      return made.__typename;
    });
    assert.ok(signUps.includes('CreateUserSuccess'), 'the sign-up was never first');
  });

  test('beside an import that vouches for it has one verified owner', async () => {
    await inRounds(12, async (round) => {
      const { email } = unique();
      const owner = await claim({ email });
      const code = await codeFor(email, owner);
      const [verified, created] = await Promise.all([
        startsLate(true, round).then(() => verifyAt(round, owner, email, code)),
        importVerified(email),
      ]);
      const isOwners = verified === 'CheckOneTimePasswordSuccess';
      if (!isOwners) assert.match(verified, /^(InvalidOneTimePasswordError|FORBIDDEN)$/);
      assert.equal(created, isOwners ? 0 : 1);
      assert.deepEqual((await owner.me()).email, isOwners ? email : null);
    });
  });

  test('of each of two accounts can be verified by the other at the same time', async () => {
    await inRounds(6, async (round) => {
      const { email, phone } = unique();
      const both = [await claim({ email, phone }), await claim({ email, phone })] as const;
      const codes = [await codeFor(email, both[0]), await codeFor(phone, both[1])] as const;
      // Each locks its own account first, and then that of the other.
      const outcomes = await Promise.all([
        verifyAt(round, both[0], email, codes[0]),
        verifyAt(round + 1, both[1], phone, codes[1]),
      ]);
      assert.deepEqual(outcomes, Array(2).fill('CheckOneTimePasswordSuccess'));
      const held = [await both[0].me(), await both[1].me()].map((account) => ({
        ...{ email: account.email, phone: account.phone },
        ...{ pendingEmail: account.pendingEmail, pendingPhone: account.pendingPhone },
      }));
      const none = { pendingEmail: null, pendingPhone: null };
      assert.deepEqual(held, [
        { email, phone: null, ...none },
        { email: null, phone, ...none },
      ]);
    });
  });
});

/** Imports a user with a verified email. @returns how many users were created */
async function importVerified(email: string): Promise<number> {
  const none = { username: null, phone: null, emailThrottle: null, phoneThrottle: null, passwordHash: null };
  const user: ImportedUser = {
    ...{ ...none, id: email, email, emailVerified: true, phoneVerified: false },
    ...{ isActive: true, isStaff: false, isSuperuser: false, dateJoined: null, lastLogin: null },
  };
  async function* users() {
    yield user;
  }
  const { created } = await importUsers(service.app, users(), {
    ...{ source: 'test', dryRun: false },
    ...{ onProblem: () => {}, onNormalised: () => {}, onBatch: async () => {} },
  });
  return created;
}
