import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { pendingAddresses, users } from '../../src/database/schema.js';
import { assertConsistent, documents, outcomeOf, startAccountRaces } from '../support/account-races.js';
import { expectMember, type OutboxEntry, outbox } from '../support/client.js';
import {
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  issueOneTimePassword,
  type Person,
  type PersonRow,
  signUp,
} from '../support/people.js';
import { insist } from '../support/replicas.js';
import { clear } from '../support/service.js';

const { service, at } = await startAccountRaces();
const { db } = service.app;

let people = 0;
const unique = () => (people += 1);

const count = (outcomes: string[], name: string) => outcomes.filter((outcome) => outcome === name).length;

describe('two concurrent changes of an address', () => {
  /** For more rounds: `ROUNDS=1000 npm test -- tests/races/accounts.slow.test.ts`. */
  const rounds = Number(process.env.ROUNDS ?? 200);
  const batch = 10;

  test(`the verified address is the one that received the one-time password, ${rounds} of ${rounds}`, async () => {
    let verified = 0;
    let changedSince = 0;
    for (let done = 0; done < rounds; done += batch) {
      const attackers = await Promise.all(
        Array.from({ length: batch }, async (_, index) => {
          const number = unique();
          const own = `mallory${number}@b.test`;
          const victims = `victim${number}@a.test`;
          // In every second round, both addresses are pending beside a verified address.
          const first = index % 2 === 0 ? { email: `first${number}@b.test`, verified: true } : {};
          const attacker = await insertPerson(service, { username: `mallory${number}`, ...first });
          const tokens = [idOfAddress(service, own), idOfAddress(service, victims)] as const;
          return { attacker, index, own, victims, tokens };
        }),
      );
      await Promise.all(
        attackers.map(async ({ attacker, index, own, victims, tokens }) => {
          const ask = (replica: number, document: string, variables: Record<string, unknown>) =>
            insist(async () => outcomeOf(await at(replica, attacker).ask(document, variables)));
          await Promise.all([
            ask(index, documents.updateUser, { input: { email: own } }),
            ask(index + 1, documents.updateUser, { input: { email: victims } }),
            ask(index, documents.send, { tokenId: tokens[0] }),
            ask(index + 1, documents.send, { tokenId: tokens[1] }),
          ]);
          await at(index, attacker).ask(documents.updateUser, { input: { email: own } });
          assert.equal(
            outcomeOf(await at(index, attacker).ask(documents.send, { tokenId: tokens[0] })),
            'SendOneTimePasswordSuccess',
          );
        }),
      );
      const messages = await outbox(service);
      await Promise.all(
        attackers.map(async ({ attacker, index, own, victims, tokens }) => {
          // All that the attacker can read.
          const code = codeSentTo(messages, own);
          const answers = await Promise.all([
            // With a varying delay, so either comes first.
            delay(30 * (index % 5)).then(() =>
              at(index + 1, attacker).ask(documents.updateUser, { input: { email: victims } }),
            ),
            at(index, attacker).ask(documents.check, { tokenId: tokens[0], code, purpose: 'VERIFICATION' }),
            at(index + 1, attacker).ask(documents.check, { tokenId: tokens[1], code, purpose: 'VERIFICATION' }),
          ]);
          answers.forEach(outcomeOf);
          const account = await at(index, attacker).me();
          for (const token of account.securityTokens)
            if (token.verified) assert.notEqual(token.id, tokens[1], `${victims} is verified`);
          if (account.email === own) {
            assert.equal(account.emailVerified, true);
            verified += 1;
          }
          if (account.pendingEmail === victims || account.email === victims) changedSince += 1;
        }),
      );
    }
    // Otherwise the two never overlapped.
    assert.ok(verified > 0, 'no address was ever verified');
    assert.ok(changedSince > 0, 'no address was ever changed');
  });

  function codeSentTo(messages: OutboxEntry[], address: string): string {
    const message = messages.find(({ to, oneTimePassword }) => to === address && oneTimePassword !== null);
    assert.ok(message, address);
    return message.oneTimePassword;
  }

  test('of 40 concurrent changes of an account, each is atomic and the last wins', async () => {
    await clear(service);
    const owner = await insertPerson(service, { username: 'owner' });
    const inputs = Array.from({ length: 40 }, (_, index) => ({
      email: `owner${index}@a.test`,
      phone: `+120255501${10 + index}`,
    }));
    const outcomes = await Promise.all(
      inputs.map((input, index) =>
        insist(async () => outcomeOf(await at(index, owner).ask(documents.updateUser, { input }))),
      ),
    );
    assert.equal(count(outcomes, 'UpdateUserSuccess'), 40);
    const account = await owner.me();
    const { pendingEmail, pendingPhone } = account;
    assert.ok(inputs.some(({ email, phone }) => email === pendingEmail && phone === pendingPhone));
    const rows = await db.select().from(pendingAddresses);
    assert.deepEqual(rows.map(({ address }) => address).sort(), [pendingPhone, pendingEmail]);
  });
});

describe('concurrent claims', () => {
  test('of 40 users who set the same username, one succeeds and the others get TAKEN', async () => {
    await clear(service);
    const many = await insertPeople(
      service,
      Array.from({ length: 40 }, (_, index) => ({ username: `person${index}` })),
    );
    const answers = await Promise.all(
      many.map((person, index) => at(index, person).ask(documents.updateUser, { input: { username: 'wanted' } })),
    );
    const outcomes = answers.map(outcomeOf);
    assert.equal(count(outcomes, 'UpdateUserSuccess'), 1);
    for (const { data } of answers.filter((_, index) => outcomes[index] !== 'UpdateUserSuccess'))
      assert.deepEqual(data.updateUser.issues, [{ field: 'username', code: 'TAKEN' }]);
  });

  for (const [field, wanted] of Object.entries({ email: 'wanted@a.test', phone: '+12025550199' }))
    test(`of 40 users who set the same ${field}, all hold it pending and one verifies it`, async () => {
      await clear(service);
      const many = await insertPeople(
        service,
        Array.from({ length: 40 }, (_, index) => ({ username: `person${index}` })),
      );
      const changes = await Promise.all(
        many.map((person, index) =>
          insist(async () =>
            outcomeOf(await at(index, person).ask(documents.updateUser, { input: { [field]: wanted } })),
          ),
        ),
      );
      assert.equal(count(changes, 'UpdateUserSuccess'), 40);
      assert.equal(await db.$count(pendingAddresses), 40);

      const tokenId = idOfAddress(service, wanted);
      const codes = await Promise.all(many.map(({ id }) => issueOneTimePassword(service, tokenId, 'VERIFICATION', id)));
      const checks = await Promise.all(
        many.map((person, index) =>
          at(index, person).ask(documents.check, { tokenId, code: codes[index], purpose: 'VERIFICATION' }),
        ),
      );
      const outcomes = checks.map(outcomeOf);
      assert.equal(count(outcomes, 'CheckOneTimePasswordSuccess'), 1);
      // Those who lost the address before they were read have no access to its token.
      for (const outcome of outcomes)
        assert.match(outcome, /^(CheckOneTimePasswordSuccess|InvalidOneTimePasswordError|FORBIDDEN)$/);
      const winner = many[outcomes.indexOf('CheckOneTimePasswordSuccess')]!;
      assert.equal((await winner.me())[`${field as 'email'}Verified`], true);
      assert.equal(await db.$count(pendingAddresses), 0);
      await assertConsistent(service);
    });

  test('one of many concurrent sign-ups gets an address that another account holds pending', async () => {
    await clear(service);
    const { mallory } = await claim('wanted@a.test');
    const outcomes = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => (await at(index).createUser({ email: 'wanted@a.test' })).__typename,
      ),
    );
    assert.equal(count(outcomes, 'CreateUserSuccess'), 1);
    assert.equal(count(outcomes, 'ValidationError'), 19);
    assert.equal((await mallory.me()).pendingEmail, 'wanted@a.test');
    await assertConsistent(service);
  });

  /** Holds the address pending beside a verified one, and has a one-time password for it. */
  async function claim(email: string): Promise<{ mallory: Person; code: string; tokenId: string }> {
    const mallory = await insertPerson(service, { phone: '+12025550101', verified: true });
    await mallory.updateUser({ email });
    const tokenId = idOfAddress(service, email);
    return { mallory, tokenId, code: await issueOneTimePassword(service, tokenId, 'VERIFICATION') };
  }
});

describe('a reset', () => {
  test('with the right one-time password, 100 times concurrently over two processes, succeeds once', async () => {
    await clear(service);
    const names = { username: 'alice', email: 'alice@a.test' };
    const alice = await insertPerson(service, { ...names, hasPassword: true, verified: true });
    const oneTimePassword = await issueOneTimePassword(service, alice.emailToken, 'PASSWORD_RESET');
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        at(index).resetPassword({
          tokenId: alice.emailToken,
          oneTimePassword,
          newPassword: `another horse battery ${index}`,
        }),
      ),
    );
    const outcomes = results.map(({ __typename }) => __typename);
    assert.equal(count(outcomes, 'ResetPasswordSuccess'), 1);
    for (const name of outcomes)
      assert.match(name, /^(ResetPasswordSuccess|TimeoutError|InvalidOneTimePasswordError)$/);
    const winner = outcomes.indexOf('ResetPasswordSuccess');
    const signedIn = await at(0).authenticate({
      username: 'alice',
      password: `another horse battery ${winner}`,
    });
    assert.equal(signedIn.__typename, 'AuthenticateSuccess');
    assert.equal(signedIn.user.securityTokens.length, 1);
    const { sessions } = await caller(service, { token: signedIn.tokens.accessToken }).me();
    assert.equal(sessions.length, 2, 'the session of the reset, and this one');
  });

  test('by two users who share the addresses of an account gives an account to each', async () => {
    for (let round = 0; round < 20; round += 1) {
      await clear(service);
      const [email, phone] = ['victim@a.test', '+12025550102'];
      const stranger = await insertPerson(service, { email, phone, hasPassword: true });
      const tokenIds = [stranger.emailToken, stranger.phoneToken];
      const codes = await Promise.all(tokenIds.map((id) => issueOneTimePassword(service, id, 'AUTHENTICATION')));
      const answers = await Promise.all(
        tokenIds.map((tokenId, index) =>
          at(round + index).ask(documents.check, { tokenId, code: codes[index], purpose: 'AUTHENTICATION' }),
        ),
      );
      assert.deepEqual(answers.map(outcomeOf), Array(2).fill('CheckOneTimePasswordSuccess'));
      const accounts = await Promise.all(
        answers.map(({ data }) => caller(service, { token: data.checkOneTimePassword.tokens.accessToken }).me()),
      );
      assert.notEqual(accounts[0]!.id, accounts[1]!.id);
      for (const { sessions, hasUsablePassword } of accounts)
        assert.deepEqual([sessions.length, hasUsablePassword], [1, false]);
      const shown = accounts.map(({ email, emailVerified, phone, phoneVerified }) => ({
        ...{ email, emailVerified, phone, phoneVerified },
      }));
      assert.deepEqual(shown, [
        { email, emailVerified: true, phone: null, phoneVerified: null },
        { email: null, emailVerified: null, phone, phoneVerified: true },
      ]);
      assert.equal(await stranger.isSignedIn(), false);
      await assertConsistent(service);
    }
  });
});

describe('two superusers', () => {
  const superuser = (username: string): PersonRow => ({ username, hasPassword: true, role: 'superuser' });
  const deeds = {
    'demote each other': (id: string) => [documents.updateUser, { id, input: { isSuperuser: false } }] as const,
    'deactivate each other': (id: string) => [documents.updateUser, { id, input: { isActive: false } }] as const,
    'delete each other': (id: string) => [documents.deleteUser, { id }] as const,
    'delete themselves': (_: string, own: string) => [documents.deleteUser, { id: own }] as const,
  };

  for (const [name, deed] of Object.entries(deeds))
    test(`who ${name} concurrently over two processes leave one active`, async () => {
      for (let round = 0; round < 25; round += 1) {
        await clear(service);
        const [first, second] = await insertPeople(service, [superuser('first'), superuser('second')]);
        const answers = await Promise.all([
          at(0, first).ask(...deed(second.id, first.id)),
          at(1, second).ask(...deed(first.id, second.id)),
        ]);
        const outcomes = answers.map(outcomeOf);
        assert.equal(outcomes.filter((outcome) => outcome.endsWith('Success')).length, 1, String(outcomes));
        const active = await db.$count(users, sql`is_active and is_superuser`);
        assert.equal(active, 1);
      }
    });

  test('who all demote each other leave one active, even if they are many', async () => {
    await clear(service);
    const superusers = await insertPeople(
      service,
      Array.from({ length: 8 }, (_, index) => superuser(`root${index}`)),
    );
    const answers = await Promise.all(
      superusers.flatMap((one, index) =>
        superusers
          .filter((another) => another !== one)
          .map((another) => at(index, one).ask(documents.updateUser, { id: another.id, input: { isActive: false } })),
      ),
    );
    answers.forEach(outcomeOf);
    assert.ok((await db.$count(users, sql`is_active and is_superuser`)) >= 1);
  });
});

describe('a deleted account', () => {
  test('that is changed and verified at the same time leaves no rows', async () => {
    for (let round = 0; round < 20; round += 1) {
      await clear(service);
      const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', phone: '+12025550101' });
      const code = await issueOneTimePassword(service, alice.emailToken, 'AUTHENTICATION');
      const answers = await Promise.all([
        at(0, alice).ask(documents.updateUser, { input: { email: 'new@a.test' } }),
        at(1, alice).ask(documents.updateUser, { input: { phone: '+12025550102' } }),
        at(0).ask(documents.check, { tokenId: alice.emailToken, code, purpose: 'AUTHENTICATION' }),
        at(1, alice).ask(documents.send, { tokenId: alice.phoneToken }),
        at(0, alice).ask(documents.deleteUser, {}),
      ]);
      answers.forEach(outcomeOf);
      // A first proof revokes the session of the sign-up, and opens another.
      const opened = answers[2].data.checkOneTimePassword?.tokens?.accessToken;
      for (const token of [alice.tokens.accessToken, opened]) {
        const owner = caller(service, { token });
        if (!token || !(await owner.isSignedIn())) continue;
        if (token === opened) {
          const proof = await issueOneTimePassword(service, alice.emailToken, 'AUTHENTICATION');
          await owner.checkOneTimePassword(alice.emailToken, proof);
        }
        expectMember(await owner.deleteUser(), 'DeleteUserSuccess');
      }
      for (const address of ['alice@a.test', 'new@a.test']) await signUp(service, { email: address });
      await assertConsistent(service);
    }
  });
});
