/** Compares the table of docs/security.md with the proof that each operation needs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { pendingAddresses } from '../src/database/schema.js';
import { expectMember } from './support/client.js';
import {
  byAddress,
  insertPeople,
  insertPerson,
  type Person,
  password,
  person,
  signIn,
  verifyUnsent,
} from './support/people.js';
import { root } from './support/root.js';
import { advance, clear, startService } from './support/service.js';

const service = await startService();
const { signInBy, makeCode, tokenOf } = byAddress(service);

/** What a session can have, from the weakest to the strongest. */
const proofs = ['an old sign-in', 'a sign-in', 'a code to the phone', 'a code to the email', 'the password'] as const;
type Proof = (typeof proofs)[number];

/** The weakest proof that meets each documented need. The email was verified before the phone. */
const weakest: Record<string, Proof> = {
  nothing: 'an old sign-in',
  'recent authentication': 'a sign-in',
  'any fresh proof': 'a code to the phone',
  'fresh proof by the current password': 'the password',
  'fresh proof by the current password, or by a code to that address or one verified earlier': 'a code to the email',
  'fresh proof by the current password, or by a code to the address verified first': 'a code to the email',
};

interface Guarded {
  run: (caller: Person, other: Person) => Promise<{ __typename: string }>;
  without?: 'password' | 'phone';
}

const newPassword = 'another horse battery';

const operations: Record<string, Guarded> = {
  '`changePassword` of an existing password': { run: (caller) => caller.changePassword({ newPassword }) },
  '`changePassword` of an account without a password': {
    run: (caller) => caller.changePassword({ newPassword }),
    without: 'password',
  },
  '`updateUser`: add an address, or change or remove an unverified one': {
    run: (caller) => caller.updateUser({ phone: '+12025550199' }),
    without: 'phone',
  },
  '`updateUser`: change or remove a verified address': { run: (caller) => caller.updateUser({ email: 'new@a.test' }) },
  '`checkOneTimePassword` of a pending address that replaces a verified one': {
    async run(caller) {
      const [address, tokenId] = ['new@a.test', tokenOf('new@a.test')];
      const pending = { userId: caller.id, kind: 'email' as const, tokenId, address };
      await service.app.db.insert(pendingAddresses).values(pending);
      return caller.checkOneTimePassword(tokenId, await makeCode(address, 'VERIFICATION'), 'VERIFICATION');
    },
  },
  '`deleteUser` of the caller': { run: (caller) => caller.deleteUser() },
  '`updateUser`: change or remove the username': { run: (caller) => caller.updateUser({ username: 'lovelace' }) },
  '`unlockSecurityToken`': { run: (caller) => caller.unlockSecurityToken(caller.emailToken) },
  '`revokeOtherSessions`': { run: (caller) => caller.revokeOtherSessions() },
  '`revokeSession` of another session': {
    run: async (caller) => {
      const another = (await caller.sessions()).find(({ current }) => !current);
      assert.ok(another);
      return caller.revokeSession(another.id);
    },
  },
  '`createSuperuser` by a superuser': { run: (caller) => caller.createSuperuser({ username: 'grace' }) },
  '`setUserPassword`': { run: (caller, other) => caller.setUserPassword(other.id, newPassword) },
  '`generateOneTimePassword`': { run: (caller, other) => caller.generateOneTimePassword(other.emailToken) },
  '`revokeUserSessions`': { run: (caller, other) => caller.revokeUserSessions(other.id) },
  '`updateUser` of another user': { run: (caller, other) => caller.updateUser({ username: 'bo' }, { id: other.id }) },
  '`deleteUser` of another user': { run: (caller, other) => caller.deleteUser({ id: other.id }) },
  '`revokeSession` of the current session': { run: (caller) => caller.revokeSession(caller.tokens.session.id) },
};

beforeEach(() => clear(service));

const security = readFileSync(join(root, 'docs/security.md'), 'utf8');
const [table = ''] = security.split('| operation | needs |\n|---|---|\n')[1]?.split('\n\n') ?? [];
const needs = new Map(
  table.split('\n').map((row): [string, string] => {
    const [, operation = '', need = ''] = row.split('|').map((cell) => cell.trim());
    return [operation, need];
  }),
);

test('docs/security.md lists the operations of this test, and no other', () => {
  assert.deepEqual([...needs.keys()], Object.keys(operations));
});

for (const [name, operation] of Object.entries(operations))
  test(`${name} needs ${needs.get(name)}`, async () => {
    const need = weakest[needs.get(name) ?? ''];
    assert.ok(need, 'the need is documented');
    for (const [strength, proof] of proofs.entries()) {
      const answer = await runWith(operation, proof);
      if (answer === undefined) continue;
      const meets: boolean = strength >= proofs.indexOf(need);
      assert.equal(answer === 'StepUpRequiredError', !meets, `with ${proof}: ${answer}`);
      assert.match(answer, meets ? /Success$/ : /^StepUp/, proof);
    }
  });

/** Runs the operation in a session with the proof; undefined if the account cannot give it. */
async function runWith({ run, without }: Guarded, proof: Proof): Promise<string | undefined> {
  if (proof === `the ${without}` || proof === `a code to the ${without}`) return undefined;
  await clear(service);
  const common = { hasPassword: true, verified: true } as const;
  const [, other] = await insertPeople(service, [
    {
      ...common,
      username: 'ada',
      email: 'ada@a.test',
      ...(without !== 'phone' && { phone: '+12025550101' }),
      hasPassword: without !== 'password',
      role: 'superuser',
    },
    { ...common, username: 'bob', email: 'bob@a.test' },
  ]);
  // She remains if Ada is deleted.
  await insertPerson(service, { username: 'grace.hopper', role: 'superuser' });
  const later = sql`update security_tokens set verified_at = verified_at + interval '1 ms' where kind = 'phone'`;
  await service.app.db.execute(later);
  const caller = await openSession(without !== 'password');
  await prove(caller, proof);
  return (await run(caller, other)).__typename;
}

/** Opens a session that the sign-up did not open: it has no fresh proof. */
async function openSession(byPassword: boolean): Promise<Person> {
  if (byPassword) return signIn(service, { username: 'ada', password });
  const result = await signInBy('ada@a.test', await makeCode('ada@a.test'));
  const { user, tokens } = expectMember(result, 'CheckOneTimePasswordSuccess');
  return person(service, user, tokens);
}

async function prove(caller: Person, proof: Proof): Promise<void> {
  if (proof === 'an old sign-in') await advance(service, 601);
  if (proof === 'a code to the phone') await verifyUnsent(service, caller, caller.phoneToken);
  if (proof === 'a code to the email') await verifyUnsent(service, caller, caller.emailToken);
  if (proof === 'the password') expectMember(await caller.reauthenticate(password), 'ReauthenticateSuccess');
}

test('a password that is too young for fresh proof gives recent authentication', async () => {
  await insertPerson(service, { username: 'ada', email: 'ada@a.test', hasPassword: true, verified: true });
  const caller = await signIn(service, { username: 'ada', password });
  await advance(service, 7_200);
  await service.app.db.execute(sql`update users set password_changed_at = statement_timestamp()`);
  expectMember(await caller.revokeOtherSessions(), 'StepUpRequiredError');
  const { password: isAccepted } = expectMember(await caller.reauthenticate(password), 'StepUpRequiredError');
  assert.equal(isAccepted, false);
  expectMember(await caller.revokeOtherSessions(), 'RevokeOtherSessionsSuccess');
});
