import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { users } from '../../src/database/schema.js';
import type { Answer } from '../support/client.js';
import { expectMember } from '../support/client.js';
import {
  type Caller,
  caller,
  idOfAddress,
  insertPeople,
  insertPerson,
  type PersonRow,
  password,
} from '../support/people.js';
import { clear, startService } from '../support/service.js';

// Every send of this file but the first is one too soon, and that is not what is asked here.
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

/** What an operation is asked for: a user by id, and the security token of that user's email. */
interface Subject {
  id: string;
  tokenId: string;
}

interface Operation {
  document: string;
  variables: (subject: Subject) => Record<string, unknown>;
  /** for each role, what is answered for each of the targets */
  answers: Record<Role, readonly string[]>;
}

const toAll = (answer: string) => targets.map(() => answer);

function updateUser(
  input: Record<string, unknown> | ((subject: Subject) => object),
  answers: Operation['answers'],
): Operation {
  return {
    document:
      'mutation ($id: ID, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { __typename ... on IdentityError { code } } }',
    variables: (subject) => ({ id: subject.id, input: typeof input === 'function' ? input(subject) : input }),
    answers,
  };
}

const [success, forbidden, notFound] = ['success', 'FORBIDDEN', 'NOT_FOUND'];
const ownOnly = [success, forbidden, forbidden, forbidden, forbidden, forbidden];

const wrongAtOwn = ['INVALID_ONE_TIME_PASSWORD', forbidden, forbidden, forbidden, forbidden, 'BAD_USER_INPUT'];

const operations: Record<string, Operation> = {
  user: {
    document: 'query ($id: ID!) { user(id: $id) { id } }',
    variables: ({ id }) => ({ id }),
    answers: {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: [success, success, success, success, 'null', 'null'],
      superuser: [success, success, success, success, 'null', 'null'],
    },
  },
  'updateUser of an identifier': updateUser(
    ({ id }) => ({ username: `renamed-${id.slice(0, 8)}`.replaceAll(' ', '') }),
    {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: ownOnly,
      staff: ownOnly,
      superuser: [success, success, success, success, notFound, notFound],
    },
  ),
  'updateUser of isActive': updateUser(
    { isActive: false },
    {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: [forbidden, success, notFound, notFound, notFound, notFound],
      superuser: [forbidden, success, success, success, notFound, notFound],
    },
  ),
  'updateUser of isStaff': updateUser(
    { isStaff: true },
    {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: toAll(forbidden),
      superuser: [forbidden, success, success, success, notFound, notFound],
    },
  ),
  'updateUser of isSuperuser': updateUser(
    { isSuperuser: true },
    {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: toAll(forbidden),
      superuser: [forbidden, success, success, success, notFound, notFound],
    },
  ),
  'updateUser of isActive and isStaff': updateUser(
    { isActive: true, isStaff: false },
    {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: toAll(forbidden),
      superuser: [forbidden, success, success, success, notFound, notFound],
    },
  ),
  deleteUser: {
    document: 'mutation ($id: ID) { deleteUser(id: $id) { __typename ... on IdentityError { code } } }',
    variables: ({ id }) => ({ id }),
    answers: {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: ownOnly,
      staff: ownOnly,
      superuser: [success, success, success, success, notFound, notFound],
    },
  },
  setUserPassword: {
    document:
      'mutation ($id: ID!) { setUserPassword(id: $id, newPassword: "another horse battery") { __typename ... on IdentityError { code } } }',
    variables: ({ id }) => ({ id }),
    answers: {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: toAll(forbidden),
      superuser: [forbidden, success, success, success, notFound, notFound],
    },
  },
  generateOneTimePassword: {
    document:
      'mutation ($tokenId: ID!) { generateOneTimePassword(tokenId: $tokenId) { __typename ... on IdentityError { code } } }',
    variables: ({ tokenId }) => ({ tokenId }),
    answers: {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: toAll(forbidden),
      staff: toAll(forbidden),
      superuser: [success, success, success, notFound, notFound, 'BAD_USER_INPUT'],
    },
  },
  unlockSecurityToken: {
    document:
      'mutation ($tokenId: ID!) { unlockSecurityToken(tokenId: $tokenId) { __typename ... on IdentityError { code } } }',
    variables: ({ tokenId }) => ({ tokenId }),
    answers: {
      nobody: toAll('UNAUTHENTICATED'),
      ordinary: [...ownOnly.slice(0, -1), 'BAD_USER_INPUT'],
      staff: [...ownOnly.slice(0, -1), 'BAD_USER_INPUT'],
      superuser: [success, success, success, success, notFound, 'BAD_USER_INPUT'],
    },
  },
  'sendOneTimePassword for verification': {
    document:
      'mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename ... on IdentityError { code } } }',
    variables: ({ tokenId }) => ({ tokenId }),
    answers: {
      nobody: [...toAll('UNAUTHENTICATED').slice(0, -1), 'BAD_USER_INPUT'],
      ordinary: [...ownOnly.slice(0, -1), 'BAD_USER_INPUT'],
      staff: [...ownOnly.slice(0, -1), 'BAD_USER_INPUT'],
      superuser: [...ownOnly.slice(0, -1), 'BAD_USER_INPUT'],
    },
  },
  'checkOneTimePassword for verification': {
    document:
      'mutation ($tokenId: ID!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: "WRONG", purpose: VERIFICATION) { __typename ... on IdentityError { code } } }',
    variables: ({ tokenId }) => ({ tokenId }),
    answers: {
      nobody: [...toAll('UNAUTHENTICATED').slice(0, -1), 'BAD_USER_INPUT'],
      ordinary: wrongAtOwn,
      staff: wrongAtOwn,
      superuser: wrongAtOwn,
    },
  },
};

let people = 0;

/** A person of that role, whose email is verified. */
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

/** A caller and a subject for each target. No two cases share a person, because a success changes them. */
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

/** Everything that an operation could change, of every account. */
async function inspect(): Promise<unknown> {
  const inspected = await service.app.db.execute(sql`select
    (select jsonb_agg(to_jsonb(users) order by id) from users) as users,
    (select jsonb_agg(to_jsonb(security_tokens) order by id) from security_tokens) as tokens,
    (select jsonb_agg(to_jsonb(sessions) - 'last_used_at' order by id) from sessions) as sessions,
    (select jsonb_agg(to_jsonb(one_time_passwords) order by token_id, purpose) from one_time_passwords) as passwords`);
  return (inspected as unknown as { rows: unknown[] }).rows;
}

function outcomeOf({ errors, data }: Answer): string {
  if (errors !== undefined) return errors[0]!.extensions.code;
  const [result] = Object.values(data) as ({ code?: string } | null)[];
  return result === null ? 'null' : (result!.code ?? success);
}

describe('authority', () => {
  for (const [name, { document, variables, answers }] of Object.entries(operations))
    for (const role of roles)
      test(`${name}, asked by ${role === 'nobody' ? 'nobody who is signed in' : `somebody ${role}`}, is for whom the rules say`, async () => {
        const cases = await makeCases(role);
        let before = await inspect();
        for (const [index, { target, asker, subject }] of cases.entries()) {
          const outcome = outcomeOf(await asker.ask(document, variables(subject)));
          assert.equal(outcome, answers[role][index], target);
          const after = await inspect();
          if (outcome !== success && outcome !== 'INVALID_ONE_TIME_PASSWORD')
            assert.deepEqual(after, before, `${target}: changed although refused`);
          before = after;
        }
      });

  test('users is for staff and superusers', async () => {
    for (const [role, expected] of [
      ['nobody', 'UNAUTHENTICATED'],
      ['ordinary', forbidden],
      ['staff', success],
      ['superuser', success],
    ] as const) {
      const asker = role === 'nobody' ? anonymous : await makePerson(role);
      for (const args of ['', '(search: "a")', '(after: "bad")']) {
        const outcome = outcomeOf(await asker.ask(`{ users${args} { nodes { id } } }`));
        const bad = expected === success && args.includes('bad');
        assert.equal(outcome, bad ? 'BAD_USER_INPUT' : expected, `${role} ${args}`);
      }
    }
  });

  test('a lost role is lost at once, whatever the access token says', async () => {
    const root = await makePerson('superuser');
    const staff = await makePerson('staff');
    const ordinary = await makePerson('ordinary');
    assert.equal(outcomeOf(await staff.ask('{ users { nodes { id } } }')), success);
    await root.updateUser({ isStaff: false }, { id: staff.id });
    assert.equal(outcomeOf(await staff.ask('{ users { nodes { id } } }')), forbidden);
    const { document, variables } = operations['updateUser of isActive']!;
    assert.equal(outcomeOf(await staff.ask(document, variables({ id: ordinary.id, tokenId: '' }))), forbidden);
  });

  test('deactivation ends every session and closes every door; activation opens the doors and revives no session', async () => {
    const root = await makePerson('superuser');
    const staff = await makePerson('staff');
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test', hasPassword: true });
    const { tokens } = expectMember(
      await anonymous.authenticate({ username: 'alice', password }),
      'AuthenticateSuccess',
    );
    const sessions = [alice, caller(service, { token: tokens.accessToken })];

    const deactivated = expectMember(
      await staff.updateUser({ isActive: false }, { id: alice.id }),
      'UpdateUserSuccess',
    );
    assert.deepEqual([deactivated.user.isActive, deactivated.user.sessions], [false, []]);
    for (const session of sessions) assert.equal(outcomeOf(await session.ask('{ me { id } }')), 'UNAUTHENTICATED');
    expectMember(await anonymous.authenticate({ username: 'alice', password }), 'InvalidCredentialsError');
    expectMember(await root.generateOneTimePassword(alice.emailToken, 'AUTHENTICATION'), 'NotFoundError');

    const activated = expectMember(await staff.updateUser({ isActive: true }, { id: alice.id }), 'UpdateUserSuccess');
    assert.equal(activated.user.isActive, true);
    for (const session of sessions) assert.equal(outcomeOf(await session.ask('{ me { id } }')), 'UNAUTHENTICATED');
    expectMember(await caller(service, {}).authenticate({ email: 'alice@a.test', password }), 'AuthenticateSuccess');
  });

  test('a superuser without the role of staff may do whatever staff may', async () => {
    const root = await makePerson('superuser');
    const superuser = await makePerson('superuser');
    await root.updateUser({ isStaff: false }, { id: superuser.id });
    const ordinary = await makePerson('ordinary');
    assert.equal(outcomeOf(await superuser.ask('{ users { nodes { id } } }')), success);
    const { document, variables } = operations['updateUser of isActive']!;
    assert.equal(outcomeOf(await superuser.ask(document, variables({ id: ordinary.id, tokenId: '' }))), success);
  });
});

describe('what an input does not have', () => {
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
        const byVariable = await alice.ask(
          `mutation ($input: ${type}!) { ${operation}(input: $input) { __typename } }`,
          {
            input: { ...good, [field]: value },
          },
        );
        assert.equal(outcomeOf(byVariable), 'BAD_USER_INPUT', field);
        assert.match(byVariable.errors![0]!.message, new RegExp(`Field "${field}" is not defined by type "${type}"`));
        const literal = Object.entries({ ...good, [field]: value }).map(
          ([name, of]) => `${name}: ${JSON.stringify(of)}`,
        );
        const byLiteral = await alice.ask(`mutation { ${operation}(input: { ${literal} }) { __typename } }`);
        assert.equal(outcomeOf(byLiteral), 'GRAPHQL_VALIDATION_FAILED', field);
      }
      assert.equal((await alice.me()).username, 'alice');
      assert.deepEqual(await anonymous.securityTokens('mallory'), []);
      assert.equal(await service.app.db.$count(users), 1);
    });
});
