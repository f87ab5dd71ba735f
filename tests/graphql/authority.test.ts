/** Permissions of every operation for each role and each target. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { users } from '../../src/database/schema.js';
import { expectError, expectMember, TopLevelError } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  type PersonRow,
  password,
  signIn,
  signsIn,
} from '../support/people.js';
import { clear, rows, startService } from '../support/service.js';
import { codeOf } from '../support/sessions.js';

// Sends are rate-limited after the first one. This file does not test rate limits.
const service = await startService({
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
});
const anonymous = caller(service);
const nobodysEmail = 'nobody@a.test';

beforeEach(() => clear(service));

const roles = ['nobody', 'ordinary', 'staff', 'superuser'] as const;
const targets = ['oneself', 'ordinary', 'staff', 'superuser', 'absent', 'malformed'] as const;

type Role = (typeof roles)[number];
type Target = (typeof targets)[number];

/** The target of an operation: a user ID, and the security token of that user's email. */
interface Subject {
  id: string;
  tokenId: string;
}

interface Operation {
  ask: (by: Caller, subject: Subject) => Promise<unknown>;
  /** for each role, the response for each target */
  answers: Record<Role, readonly string[]>;
}

const toAll = (answer: string) => targets.map(() => answer);
const [success, forbidden, notFound] = ['success', 'FORBIDDEN', 'NOT_FOUND'];
const toNobody = toAll('UNAUTHENTICATED');
const ownOnly = [success, forbidden, forbidden, forbidden, forbidden, forbidden];
const othersOnly = [forbidden, success, success, success, notFound, notFound];
const ofAnybody = [success, success, success, success, notFound, notFound];
/** By the ID of a security token. Made-up IDs have another response. */
const byToken = (answers: readonly string[]) => [...answers.slice(0, -1), 'BAD_USER_INPUT'];

const forSuperusers = { nobody: toNobody, ordinary: toAll(forbidden), staff: toAll(forbidden), superuser: othersOnly };
const forOwner = {
  nobody: byToken(toNobody),
  ordinary: byToken(ownOnly),
  staff: byToken(ownOnly),
  superuser: byToken(ownOnly),
};
const wrongAtOwn = ['INVALID_ONE_TIME_PASSWORD', ...byToken(ownOnly).slice(1)];

const operations: Record<string, Operation> = {
  user: {
    ask: (by, { id }) => by.user(id),
    answers: {
      nobody: toNobody,
      ordinary: toAll(forbidden),
      staff: [success, success, success, success, 'null', 'null'],
      superuser: [success, success, success, success, 'null', 'null'],
    },
  },
  'updateUser of an identifier': {
    ask: (by, { id }) => by.updateUser({ username: `renamed-${id.slice(0, 8)}`.replaceAll(' ', '') }, { id }),
    answers: { nobody: toNobody, ordinary: ownOnly, staff: ownOnly, superuser: ofAnybody },
  },
  'updateUser of isActive': {
    ask: (by, { id }) => by.updateUser({ isActive: false }, { id }),
    answers: { ...forSuperusers, staff: [forbidden, success, notFound, notFound, notFound, notFound] },
  },
  'updateUser of isStaff': { ask: (by, { id }) => by.updateUser({ isStaff: true }, { id }), answers: forSuperusers },
  'updateUser of isSuperuser': {
    ask: (by, { id }) => by.updateUser({ isSuperuser: true }, { id }),
    answers: forSuperusers,
  },
  'updateUser of isActive and isStaff': {
    ask: (by, { id }) => by.updateUser({ isActive: true, isStaff: false }, { id }),
    answers: forSuperusers,
  },
  deleteUser: {
    ask: (by, { id }) => by.deleteUser({ id }),
    answers: { nobody: toNobody, ordinary: ownOnly, staff: ownOnly, superuser: ofAnybody },
  },
  setUserPassword: {
    ask: (by, { id }) => by.setUserPassword(id, 'another horse battery'),
    answers: { ...forSuperusers, superuser: [forbidden, success, success, notFound, notFound, notFound] },
  },
  generateOneTimePassword: {
    ask: (by, { tokenId }) => by.generateOneTimePassword(tokenId),
    answers: { ...forSuperusers, superuser: byToken([success, success, success, notFound, notFound, notFound]) },
  },
  unlockSecurityToken: {
    ask: (by, { tokenId }) => by.unlockSecurityToken(tokenId),
    answers: { ...forOwner, nobody: toNobody, superuser: byToken(ofAnybody) },
  },
  'sendOneTimePassword for verification': {
    ask: (by, { tokenId }) => by.sendOneTimePassword(tokenId, 'VERIFICATION'),
    answers: forOwner,
  },
  'checkOneTimePassword for verification': {
    ask: (by, { tokenId }) => by.checkOneTimePassword(tokenId, 'WRONG', 'VERIFICATION'),
    answers: { nobody: byToken(toNobody), ordinary: wrongAtOwn, staff: wrongAtOwn, superuser: wrongAtOwn },
  },
};

let people = 0;

/** A user with the role and a verified email. */
function rowOf(role: Exclude<Role, 'nobody'>): PersonRow {
  people += 1;
  return { username: `${role}${people}`, email: `${role}${people}@a.test`, verified: true, role };
}

const makePerson = (role: Exclude<Role, 'nobody'>) => insertPerson(service, rowOf(role));

interface Case {
  target: Target;
  asker: Caller;
  subject: Subject;
}

/** A caller and a target for each case. Cases share no user, because a success changes the user. */
async function makeCases(role: Role): Promise<Case[]> {
  const absent = { id: '00000000-0000-4000-8000-000000000000', tokenId: idOfAddress(service, nobodysEmail) };
  const malformed = { id: 'no id', tokenId: `e${'A'.repeat(32)}` };
  const ownRole = role === 'nobody' ? 'ordinary' : role;
  const askers = targets.map(() => rowOf(ownRole));
  const subjects = (['ordinary', 'staff', 'superuser'] as const).map(rowOf);
  const inserted = await insertPeople(service, [...askers, ...subjects]);
  const others = inserted.slice(targets.length).map(({ id, emailToken }) => ({ id, tokenId: emailToken }));
  return targets.map((target, index) => {
    const self = inserted[index]!;
    const known = [{ id: self.id, tokenId: self.emailToken }, ...others, absent, malformed];
    return { target, asker: role === 'nobody' ? anonymous : self, subject: known[index]! };
  });
}

/** The rows of all accounts that an operation could change. */
function inspect(): Promise<unknown[]> {
  return rows(
    service,
    sql`select
      (select jsonb_agg(to_jsonb(users) order by id) from users) as users,
      (select jsonb_agg(to_jsonb(security_tokens) order by id) from security_tokens) as tokens,
      (select jsonb_agg(to_jsonb(sessions) - 'last_used_at' order by id) from sessions) as sessions,
      (select jsonb_agg(to_jsonb(one_time_passwords) order by token_id, purpose) from one_time_passwords) as passwords`,
  );
}

/** Returns the code of the error, from the data or the top level. */
async function outcomeOf(asked: Promise<unknown>): Promise<string> {
  try {
    const result = (await asked) as { code?: string } | null;
    return result === null ? 'null' : (result.code ?? success);
  } catch (error) {
    if (error instanceof TopLevelError) return String(error.code);
    throw error;
  }
}

describe('authority', () => {
  for (const [name, { ask, answers }] of Object.entries(operations))
    for (const role of roles)
      test(`${name} follows the rules for ${role === 'nobody' ? 'an anonymous caller' : `a caller with role ${role}`}`, async () => {
        const cases = await makeCases(role);
        let before = await inspect();
        for (const [index, { target, asker, subject }] of cases.entries()) {
          const outcome = await outcomeOf(ask(asker, subject));
          assert.equal(outcome, answers[role][index], target);
          const after = await inspect();
          if (outcome !== success && outcome !== 'INVALID_ONE_TIME_PASSWORD')
            assert.deepEqual(after, before, `${target}: changed although refused`);
          before = after;
        }
      });

  test('users permits only staff and superusers', async () => {
    for (const [role, expected] of [
      ['nobody', 'UNAUTHENTICATED'],
      ['ordinary', forbidden],
      ['staff', success],
      ['superuser', success],
    ] as const) {
      const asker = role === 'nobody' ? anonymous : await makePerson(role);
      for (const page of [{}, { search: 'a' }, { after: 'bad' }]) {
        const bad = expected === success && 'after' in page;
        const outcome = await outcomeOf(asker.users(page));
        assert.equal(outcome, bad ? 'BAD_USER_INPUT' : expected, `${role} ${JSON.stringify(page)}`);
      }
    }
  });

  test('a removed role ends its permissions immediately, even if the access token contains it', async () => {
    const rows = [rowOf('superuser'), rowOf('staff'), rowOf('ordinary')] as const;
    const [root, staff, ordinary] = await insertPeople(service, rows);
    await staff.users();
    await root.updateUser({ isStaff: false }, { id: staff.id });
    await expectError(staff.users(), forbidden);
    await expectError(staff.updateUser({ isActive: false }, { id: ordinary.id }), forbidden);
  });

  test('a superuser without the staff role has all permissions of staff', async () => {
    const rows = [rowOf('superuser'), rowOf('superuser'), rowOf('ordinary')] as const;
    const [root, superuser, ordinary] = await insertPeople(service, rows);
    await root.updateUser({ isStaff: false }, { id: superuser.id });
    await superuser.users();
    expectMember(await superuser.updateUser({ isActive: false }, { id: ordinary.id }), 'UpdateUserSuccess');
  });

  test('deactivation revokes all sessions and blocks every sign-in; activation permits sign-ins and restores no session', async () => {
    const [root, staff, alice] = await insertPeople(service, [
      rowOf('superuser'),
      rowOf('staff'),
      { username: 'alice', email: 'alice@a.test', hasPassword: true },
    ]);
    const elsewhere = await signIn(service, { username: 'alice', password });
    const setActive = async (isActive: boolean) => {
      const { user } = expectMember(await staff.updateUser({ isActive }, { id: alice.id }), 'UpdateUserSuccess');
      assert.deepEqual([user.isActive, user.sessions], [isActive, []]);
      for (const session of [alice, elsewhere]) assert.equal(await session.isSignedIn(), false);
    };
    await setActive(false);
    assert.equal(await signsIn(service, 'alice', password), false);
    expectMember(await root.generateOneTimePassword(alice.emailToken), 'NotFoundError');
    await setActive(true);
    assert.equal(await signsIn(service, 'alice@a.test', password), true);
  });
});

describe('a field that an input does not declare', () => {
  const inputs: Record<string, { operation: string; good: Record<string, unknown> }> = {
    CreateUserInput: { operation: 'createUser', good: { username: 'mallory' } },
    CreateSuperuserInput: { operation: 'createSuperuser', good: { username: 'mallory' } },
    AuthenticateInput: { operation: 'authenticate', good: { identifier: 'alice', password } },
    UpdateUserInput: { operation: 'updateUser', good: { username: 'mallory' } },
    ChangePasswordInput: { operation: 'changePassword', good: { newPassword: 'another horse battery' } },
    ResetPasswordInput: {
      operation: 'resetPassword',
      good: { tokenId: 'x', oneTimePassword: 'x', newPassword: 'another horse battery' },
    },
  };
  const foreign = {
    isSuperuser: true,
    isStaff: true,
    isActive: true,
    verified: true,
    emailVerified: true,
    failureCount: 0,
    passwordHash: 'x',
    id: 'x',
    __proto__x: 'x',
  };

  for (const [type, { operation, good }] of Object.entries(inputs))
    test(`is an unknown field of ${type}, and changes nothing`, async () => {
      const alice = await insertPerson(service, { username: 'alice' });
      for (const [field, value] of Object.entries(foreign)) {
        if (type === 'UpdateUserInput' && ['isSuperuser', 'isStaff', 'isActive'].includes(field)) continue;
        const input = { ...good, [field]: value };
        const document = `mutation ($input: ${type}!) { ${operation}(input: $input) { __typename } }`;
        const byVariable = await alice.ask(document, { input });
        assert.equal(codeOf(byVariable), 'BAD_USER_INPUT', field);
        assert.match(byVariable.errors![0]!.message, new RegExp(`Field "${field}" is not defined by type "${type}"`));
        const literal = Object.entries(input).map(([name, of]) => `${name}: ${JSON.stringify(of)}`);
        const byLiteral = await alice.ask(`mutation { ${operation}(input: { ${literal} }) { __typename } }`);
        assert.equal(codeOf(byLiteral), 'GRAPHQL_VALIDATION_FAILED', field);
      }
      assert.equal((await alice.me()).username, 'alice');
      assert.deepEqual(await anonymous.securityTokens('mallory'), []);
      assert.equal(await service.app.db.$count(users), 1);
    });
});
