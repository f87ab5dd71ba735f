/** Read permissions of the fields of users and sessions, on every path. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { buildSchema, execute, type GraphQLObjectType, getNamedType, isLeafType, parse } from 'graphql';
import { findSessions } from '../../src/database/sessions.queries.js';
import { findUser, type User } from '../../src/database/users.queries.js';
import { type Context, createContext } from '../../src/graphql/server/context.js';
import { enforceReadRules } from '../../src/graphql/server/read-rules.js';
import { createSchema } from '../../src/graphql/server/schema.js';
import { sessionReadRules } from '../../src/graphql/session.type.js';
import { userReadRules } from '../../src/graphql/user.type.js';
import { signUp } from '../support/people.js';
import { startService } from '../support/service.js';

const service = await startService();
const alice = await account('alice');
const bob = await account('bob');
const [session] = await findSessions(service.app.db, alice.id);

const schema = createSchema();
const { me } = schema.getQueryType()!.getFields();
const { revokeSession } = schema.getMutationType()!.getFields();
// The schema is that of the process, so later files need its resolvers.
const resolvers = { me: me!.resolve, revokeSession: revokeSession!.resolve };
after(() => {
  Object.assign(me!, { resolve: resolvers.me });
  Object.assign(revokeSession!, { resolve: resolvers.revokeSession });
});

async function account(username: string): Promise<User> {
  const { id } = await signUp(service, { username, email: `${username}@a.test` });
  return (await findUser(service.app.db, id))!;
}

/** The context of a request by this user, or by a client who is not signed in. */
function contextOf(user: User | null): Context {
  const jar = { header: () => undefined, cookie: () => undefined, setCookie: () => {} };
  const context = createContext(service.app, {
    client: { ipAddress: '127.0.0.1', network: '127.0.0.1/32', userAgent: null },
    ...jar,
  });
  const facts = {
    recentlyAuthenticated: true,
    passwordProof: false,
    addressProofVerifiedAt: null,
    openedForNewOwner: false,
    touchDue: false,
  };
  if (user !== null) context.viewer = { user, session: { id: randomUUID() }, ...facts };
  return context;
}

/** Reads a field of an object from a resolver. @returns `read`, or the code of the error */
async function read(type: 'User' | 'Session', object: unknown, field: string, contextValue: Context): Promise<string> {
  const { type: fieldType } = (schema.getType(type) as GraphQLObjectType).getFields()[field]!;
  const selection = isLeafType(getNamedType(fieldType)) ? field : `${field} { __typename }`;
  me!.resolve = () => object;
  revokeSession!.resolve = () => ({ session: object });
  const source =
    type === 'User'
      ? `{ me { ${selection} } }`
      : `mutation { revokeSession(id: "x") { ... on RevokeSessionSuccess { session { ${selection} } } } }`;
  const { data, errors } = await execute({ schema, document: parse(source), contextValue });
  if (errors === undefined) return 'read';
  // Null is either the field, or the object of a non-null field.
  const found = (data?.me ?? (data?.revokeSession as { session?: unknown } | null)?.session ?? {}) as object;
  assert.deepEqual(Object.values(found).filter(Boolean), []);
  return String(errors[0]!.extensions.code);
}

const rulesByType = { User: userReadRules, Session: sessionReadRules };
const objects = { User: alice, Session: session };

for (const type of ['User', 'Session'] as const) {
  const fields = Object.keys((schema.getType(type) as GraphQLObjectType).getFields());

  describe(`the fields of ${type}`, () => {
    test('each have a read rule', () => {
      assert.deepEqual(Object.keys(rulesByType[type]).sort(), fields.sort());
    });

    const readers: [string, User | null, string][] = [
      ['the user', alice, 'read'],
      ['staff', { ...bob, isStaff: true }, 'read'],
      ['a superuser', { ...bob, isSuperuser: true }, 'read'],
      ['another user', bob, 'FORBIDDEN'],
      ['a client who is not signed in', null, 'UNAUTHENTICATED'],
    ];
    for (const [name, reader, expected] of readers)
      test(`return ${expected} to ${name}`, async () => {
        for (const field of fields)
          assert.equal(await read(type, objects[type], field, contextOf(reader)), expected, field);
      });

    test('are readable by no client if the object names no user', async () => {
      assert.equal(await read(type, {}, 'id', contextOf(null)), 'UNAUTHENTICATED');
      assert.equal(await read(type, {}, 'id', contextOf(bob)), 'FORBIDDEN');
    });
  });
}

test('the creator of an account reads it in the response, but not its sessions', async () => {
  const context = Object.assign(contextOf(bob), { createdUserId: alice.id });
  assert.equal(await read('User', alice, 'email', context), 'read');
  assert.equal(await read('User', alice, 'sessions', context), 'read');
  assert.equal(await read('Session', session, 'id', context), 'FORBIDDEN');
  assert.equal(await read('User', { ...alice, id: randomUUID() }, 'email', context), 'FORBIDDEN');
});

describe('read rules', () => {
  const sample = () => buildSchema('type Query { things: [Thing!]! } type Thing { id: ID! name: String size: Int }');

  test('are required for every field', () => {
    assert.throws(
      () => enforceReadRules(sample(), 'Thing', { id: () => true, name: () => true }),
      /Thing\.size has no/,
    );
  });

  test('run once for each object, and keep synchronous resolvers synchronous', () => {
    const decided: unknown[] = [];
    const rule = (thing: { id: number }) => decided.push(thing.id) > 0;
    const things = Array.from({ length: 100 }, (_, id) => ({ id, name: `thing ${id}`, size: id }));
    const guarded = sample();
    enforceReadRules(guarded, 'Thing', { id: rule, name: rule, size: rule });
    const document = parse('{ things { id name size } }');
    const answer = execute({ schema: guarded, document, rootValue: { things }, contextValue: contextOf(bob) });
    assert.ok(!(answer instanceof Promise));
    assert.equal(answer.errors, undefined);
    assert.deepEqual(decided, [...things.keys()]);
  });
});
