import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { securityTokens, users } from '../../src/database/schema.js';
import { type Answer, type OutboxEntry, outbox } from '../support/client.js';
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
import { advance, clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';

const environment = {
  DATABASE_URL: await createDatabase(),
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
  SMS_PREFIX_SENDS_PER_HOUR: '0',
  ...sharedSecrets(),
};
/** One of the two, in this process. It also shifts time and counts rows in their database. */
const service = await startService(environment);
const replicas = [service, await spawnService(environment)] as const;
const { db } = service.app;

let people = 0;
const unique = () => (people += 1);

/** Uses the session on one of the replicas. */
function at(replica: number, person?: Person) {
  return caller(replicas[replica % 2]!, person ? { token: person.tokens.accessToken } : {});
}

/** Returns the union member or the error code. Rejects internal and unavailable errors. */
function outcomeOf({ errors, data }: Answer): string {
  const code = errors?.[0]?.extensions.code;
  assert.ok(code !== 'INTERNAL_SERVER_ERROR' && code !== 'SERVICE_UNAVAILABLE', JSON.stringify(errors));
  return code ?? (Object.values(data)[0] as { __typename: string }).__typename;
}

const documents = {
  updateUser:
    'mutation ($id: ID, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { __typename ... on IdentityError { code ... on ValidationError { issues { field code } } } } }',
  deleteUser: 'mutation ($id: ID) { deleteUser(id: $id) { __typename ... on IdentityError { code } } }',
  send: 'mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename ... on IdentityError { code } } }',
  check:
    'mutation ($tokenId: ID!, $code: String!, $purpose: OneTimePasswordPurpose!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $code, purpose: $purpose) { __typename ... on IdentityError { code } ... on CheckOneTimePasswordSuccess { user { id } tokens { accessToken } } } }',
};

const count = (outcomes: string[], name: string) => outcomes.filter((outcome) => outcome === name).length;

describe('two concurrent changes of an address', () => {
  /** For more rounds: `ROUNDS=1000 npm test -- tests/races/accounts.slow.test.ts`. */
  const rounds = Number(process.env.ROUNDS ?? 200);
  const batch = 20;

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
          const answers = await Promise.all([
            at(index, attacker).ask(documents.updateUser, { input: { email: own } }),
            at(index + 1, attacker).ask(documents.updateUser, { input: { email: victims } }),
            at(index, attacker).ask(documents.send, { tokenId: tokens[0] }),
            at(index + 1, attacker).ask(documents.send, { tokenId: tokens[1] }),
          ]);
          answers.forEach(outcomeOf);
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
            delay(5 * (index % 4)).then(() =>
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
      inputs.map(async (input, index) => outcomeOf(await at(index, owner).ask(documents.updateUser, { input }))),
    );
    assert.equal(count(outcomes, 'UpdateUserSuccess'), 40);
    const account = await owner.me();
    assert.ok(inputs.some(({ email, phone }) => email === account.email && phone === account.phone));
    const rows = await db.select().from(securityTokens);
    assert.deepEqual(rows.map(({ address }) => address).sort(), [account.phone, account.email]);
  });
});

describe('concurrent claims of an address', () => {
  for (const field of ['username', 'email', 'phone'] as const)
    test(`of 40 users who set the same ${field}, one succeeds and the others get TAKEN`, async () => {
      await clear(service);
      const wanted = { username: 'wanted', email: 'wanted@a.test', phone: '+12025550199' }[field];
      const many = await insertPeople(
        service,
        Array.from({ length: 40 }, (_, index) => ({ username: `person${index}` })),
      );
      const answers = await Promise.all(
        many.map((person, index) => at(index, person).ask(documents.updateUser, { input: { [field]: wanted } })),
      );
      const outcomes = answers.map(outcomeOf);
      assert.equal(count(outcomes, 'UpdateUserSuccess'), 1);
      for (const { data } of answers.filter((_, index) => outcomes[index] !== 'UpdateUserSuccess'))
        assert.deepEqual(data.updateUser.issues, [{ field, code: 'TAKEN' }]);
      assert.equal(await db.$count(securityTokens), field === 'username' ? 0 : 1);
    });

  test('one of many concurrent sign-ups gets a released address', async () => {
    await clear(service);
    await squat('wanted@a.test');
    await advance(service, 86_400);
    const outcomes = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => (await at(index).createUser({ email: 'wanted@a.test' })).__typename,
      ),
    );
    assert.equal(count(outcomes, 'CreateUserSuccess'), 1);
    assert.equal(count(outcomes, 'ValidationError'), 19);
    await assertConsistent();
  });

  test('concurrent release and verification of an address have one winner', async () => {
    let kept = 0;
    for (let round = 0; round < 30; round += 1) {
      await clear(service);
      const { mallory, code, tokenId } = await squat('wanted@a.test');
      await advance(service, 86_400);
      await renew(tokenId);
      const [verified, made] = await Promise.all([
        // With a varying delay, so either comes first.
        delay(10 * (round % 3)).then(() =>
          at(round, mallory).ask(documents.check, { tokenId, code, purpose: 'VERIFICATION' }),
        ),
        at(round + 1).createUser({ email: 'wanted@a.test' }),
      ]);
      const isKept = outcomeOf(verified) === 'CheckOneTimePasswordSuccess';
      assert.equal(made.__typename, isKept ? 'ValidationError' : 'CreateUserSuccess', outcomeOf(verified));
      if (isKept) kept += 1;
      await assertConsistent();
    }
    assert.ok(kept < 30, 'the sign-up was never first');
  });

  /** Keeps the address beside a verified one, and has a one-time password for it. */
  async function squat(email: string): Promise<{ mallory: Person; code: string; tokenId: string }> {
    const mallory = await insertPerson(service, { phone: '+12025550101', verified: true });
    await mallory.updateUser({ email });
    const tokenId = idOfAddress(service, email);
    return { mallory, tokenId, code: await issueOneTimePassword(service, tokenId, 'VERIFICATION') };
  }

  /** Extends the one-time password after time has passed. */
  async function renew(tokenId: string): Promise<void> {
    await db.execute(
      sql`update one_time_passwords set expires_at = now() + interval '1 minute' where token_id = ${tokenId} and code_digest is not null`,
    );
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

  test('by two users who share the addresses of an account leaves it to one of them', async () => {
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
      const outcomes = answers.map(outcomeOf);
      assert.deepEqual(outcomes.sort(), ['CheckOneTimePasswordSuccess', 'InvalidOneTimePasswordError']);
      const winner = answers.find(({ data }) => data.checkOneTimePassword.tokens)!;
      const owner = caller(service, { token: winner.data.checkOneTimePassword.tokens.accessToken });
      const account = await owner.me();
      assert.equal(account.sessions.length, 1);
      assert.equal(account.hasUsablePassword, false);
      assert.equal(Number(account.emailVerified) + Number(account.phoneVerified), 1);
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
      for (const token of [alice.tokens.accessToken, opened])
        if (token) await caller(service, { token }).ask(documents.deleteUser, {});
      for (const address of ['alice@a.test', 'new@a.test']) await signUp(service, { email: address });
      await assertConsistent();
    }
  });
});

/** Asserts that each address has one token, and each token an address. */
async function assertConsistent(): Promise<void> {
  const addresses = sql`select id as user_id, 'email' as kind, email as address from users where email is not null
    union all select id, 'phone', phone from users where phone is not null`;
  const tokens = sql`select user_id, kind::text, address from security_tokens where not pending`;
  const { rows } = (await db.execute(
    sql`((${addresses}) except (${tokens})) union all ((${tokens}) except (${addresses}))`,
  )) as unknown as { rows: unknown[] };
  assert.deepEqual(rows, []);
}
