/** Expected errors are never hidden, and have one name and the same fields in domain and schema. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { buildSchema, execute, type GraphQLObjectType, graphql, isObjectType, isUnionType, parse } from 'graphql';
import * as errors from '../../../src/domain/errors.js';
import { createContext } from '../../../src/graphql/server/context.js';
import { createSchema, emitSchema } from '../../../src/graphql/server/schema.js';
import { toErrorFields } from '../../../src/graphql/server/typed-errors.js';
import { send } from '../../support/client.js';
import { caller, password, signUp } from '../../support/people.js';
import { startService } from '../../support/service.js';

const service = await startService();

/** Input that causes the error. Names are unique, so no rate limit applies. */
const refused = {
  InvalidCredentialsError: () => ({ username: `nobody-${randomUUID()}`, password: 'wrong' }),
  ValidationError: () => ({ password: 'wrong' }),
};
const facts: Record<string, object> = {
  InvalidCredentialsError: { code: 'INVALID_CREDENTIALS' },
  ValidationError: {
    code: 'VALIDATION',
    issues: [
      {
        field: null,
        code: 'IDENTIFIER_REQUIRED',
        message: 'Enter a username, an email address or a phone number.',
      },
    ],
  },
};

/** The context of a document that is executed here, because the service rejects it earlier. */
const contextValue = createContext(service.app, {
  client: { ipAddress: '127.0.0.1', network: '127.0.0.1/32', userAgent: null },
  header: () => undefined,
  cookie: () => undefined,
  setCookie: () => {},
});

/** Signs in by a document with this selection and optional fragments. */
async function ask(input: object, selection: string, fragments = '', variables: Record<string, unknown> = {}) {
  const more = Object.keys(variables).map((name) => `, $${name}: Boolean!`);
  return send(
    service,
    `mutation ($input: AuthenticateInput!${more.join('')}) { authenticate(input: $input) { ${selection} } } ${fragments}`,
    { input, ...variables },
  );
}

describe('an expected error that the document omits is a top-level error with all fields', () => {
  const unaware: Record<string, [selection: string, fragments?: string, variables?: Record<string, boolean>]> = {
    'a bare __typename': ['__typename'],
    'a bare __typename under another name': ['kind: __typename'],
    'a fragment on the success alone': ['... on AuthenticateSuccess { user { id } }'],
    'the success and __typename': ['__typename ... on AuthenticateSuccess { user { id } }'],
    'a fragment on another error': ['__typename ... on TimeoutError { retryAt }'],
    'only __typename, in a fragment on the union': ['... on AuthenticateResult { __typename }'],
    'only __typename, in a fragment without a type': ['... { __typename }'],
    'only __typename, in a named fragment on the union': ['...F', 'fragment F on AuthenticateResult { __typename }'],
    'another error, in nested fragments': [
      '...F',
      'fragment F on AuthenticateResult { ... { ...G } } fragment G on AuthenticateResult { ... on TimeoutError { code } }',
    ],
    'an interface within a fragment on the success': [
      '__typename ... on AuthenticateSuccess { ... on AuthenticateResult { ... on IdentityError { code } } }',
    ],
    'a skipped fragment': ['__typename ... on IdentityError @skip(if: true) { code }'],
    'a fragment that is not included': ['__typename ... on IdentityError @include(if: false) { code }'],
    'a fragment skipped by a variable': ['__typename ... on IdentityError @skip(if: $no) { code }', '', { no: true }],
    'a fragment not included by a variable': [
      '__typename ... on IdentityError @include(if: $yes) { code }',
      '',
      { yes: false },
    ],
    'a fragment that is included and skipped': [
      '__typename ... on IdentityError @include(if: true) @skip(if: true) { code }',
    ],
    'a skipped spread': ['__typename ...F @skip(if: true)', 'fragment F on IdentityError { code }'],
    'a fragment within a skipped fragment': ['__typename ... @skip(if: true) { ... on IdentityError { code } }'],
  };
  for (const [name, input] of Object.entries(refused))
    for (const [what, [selection, fragments, variables]] of Object.entries(unaware))
      test(`${name}: ${what}`, async () => {
        const answer = await ask(input(), selection, fragments, variables);
        assert.equal(answer.data, null);
        assert.equal(answer.errors?.length, 1);
        assert.deepEqual(answer.errors[0]!.extensions, facts[name]);
        assert.deepEqual(answer.errors[0]!.path, ['authenticate']);
        assert.ok(answer.errors[0]!.message.length > 10);
      });
});

describe('an expected error that the document selects is data', () => {
  const aware = (name: string): Record<string, [string, string?, Record<string, boolean>?]> => ({
    'a fragment on the member': [`... on ${name} { code }`],
    'a fragment on IdentityError': ['... on IdentityError { code }'],
    'only __typename in a fragment on the member': [`... on ${name} { __typename }`],
    'only __typename in a fragment on IdentityError': ['... on IdentityError { __typename }'],
    'a named fragment': ['...F', `fragment F on ${name} { code }`],
    'a fragment within a fragment on the union': [`... on AuthenticateResult { ... on ${name} { code } }`],
    'a fragment within one without a type': ['... { ... { ... on IdentityError { code } } }'],
    'a named fragment within named fragments': [
      '...F',
      `fragment F on AuthenticateResult { ...G } fragment G on AuthenticateResult { __typename ...H } fragment H on ${name} { code }`,
    ],
    'a fragment on the member within one on IdentityError': [`... on IdentityError { ... on ${name} { code } }`],
    'a fragment that is not skipped': ['... on IdentityError @skip(if: false) { code }'],
    'a fragment that is included': ['... on IdentityError @include(if: true) { code }'],
    'a fragment not skipped by a variable': ['... on IdentityError @skip(if: $no) { code }', '', { no: false }],
    'a fragment included by a variable': ['... on IdentityError @include(if: $yes) { code }', '', { yes: true }],
    'a spread that is skipped once and not again': [
      '...F @skip(if: true) ...F',
      'fragment F on IdentityError { code }',
    ],
    'the success and __typename beside it': [
      '__typename ... on AuthenticateSuccess { user { id } } ... on IdentityError { code }',
    ],
  });
  for (const [name, input] of Object.entries(refused))
    for (const [what, [selection, fragments, variables]] of Object.entries(aware(name)))
      test(`${name}: ${what}`, async () => {
        const answer = await ask(input(), selection, fragments, variables);
        assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
        const { code, __typename } = answer.data.authenticate;
        assert.ok(code === (facts[name] as { code: string }).code || __typename === name, JSON.stringify(answer.data));
      });
});

test('a TimeoutError that the document omits has retryAt and failureCount', async () => {
  await signUp(service, { username: 'alice', password });
  await ask({ username: 'alice', password: 'wrong' }, '__typename');
  const answer = await ask({ username: 'alice', password }, '... on AuthenticateSuccess { user { id } }');
  assert.equal(answer.data, null);
  const { retryAt, ...extensions } = answer.errors![0]!.extensions;
  assert.deepEqual(extensions, { code: 'TIMEOUT', retryAfterSeconds: 1, failureCount: 1 });
  const seen = await caller(service).authenticate({ username: 'alice', password });
  assert.equal(seen.retryAt, retryAt);
  assert.match(retryAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('a mutation that selects its field twice is not executed', async () => {
  const bob = await signUp(service, { username: 'bob', password });
  const input = '(input: { username: "bob", password: "wrong" })';
  const answer = await bob.ask(
    `mutation { authenticate${input} { __typename } authenticate${input} { ... on IdentityError { code } } }`,
  );
  assert.ok(!answer.data);
  assert.equal(answer.errors?.[0]?.extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  assert.equal((await bob.authenticate({ username: 'bob', password })).__typename, 'AuthenticateSuccess');
});

// Validation rejects several root fields, but fields with one name are still merged.
test('either selection of a repeated field may select the error', async () => {
  const run = async (first: string, second: string) => {
    const input = '(input: { password: "x" })';
    const source = `mutation { authenticate${input} { ${first} } authenticate${input} { ${second} } }`;
    return graphql({ schema: createSchema(), source, contextValue });
  };
  for (const [first, second] of [
    ['__typename', '... on IdentityError { code }'],
    ['... on IdentityError { code }', '__typename'],
  ] as const)
    assert.equal((await run(first, second)).errors, undefined);
  assert.equal((await run('__typename', '... on TimeoutError { code }')).errors?.[0]?.extensions.code, 'VALIDATION');
});

// Validation rejects such documents, too.
test('fragments that spread each other 2^25 times are visited once', async () => {
  const doubling = Array.from(
    { length: 25 },
    (_, n) => `fragment F${n} on AuthenticateResult { ...F${n + 1} ...F${n + 1} }`,
  );
  const startedAt = performance.now();
  const { errors } = await execute({
    schema: createSchema(),
    document: parse(
      `mutation { authenticate(input: { password: "x" }) { ...F0 } } ${doubling.join(' ')} fragment F25 on AuthenticateResult { __typename }`,
    ),
    contextValue,
  });
  assert.equal(errors?.[0]?.extensions.code, 'VALIDATION');
  const milliseconds = performance.now() - startedAt;
  assert.ok(milliseconds < 1000, `${milliseconds} ms`);
});

describe('each expected error of the domain has a type in the schema', () => {
  const schema = buildSchema(emitSchema());
  /** One error of each class, with every field. */
  const refusals: Record<string, errors.ExpectedError> = {
    ValidationError: new errors.ValidationError([{ field: 'email', code: 'BLANK', message: 'Blank.' }]),
    InvalidCredentialsError: new errors.InvalidCredentialsError(),
    InvalidOneTimePasswordError: new errors.InvalidOneTimePasswordError(),
    TimeoutError: new errors.TimeoutError({ retryAt: new Date(), retryAfterSeconds: 1, failureCount: 1 }),
    TransmissionError: new errors.TransmissionError(),
    InvalidSessionError: new errors.InvalidSessionError(),
    NotFoundError: new errors.NotFoundError(),
    StepUpRequiredError: new errors.StepUpRequiredError({ securityTokens: [], password: true }),
    LastCredentialError: new errors.LastCredentialError(),
  };
  const classes = Object.entries(errors).filter(([, value]) => value.prototype instanceof errors.ExpectedError);
  const faces = Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter((type) => type.getInterfaces().some(({ name }) => name === 'IdentityError'));

  test('with the same name, and vice versa', () => {
    assert.deepEqual(classes.map(([name]) => name).sort(), Object.keys(refusals).sort());
    assert.deepEqual(faces.map(({ name }) => name).sort(), Object.keys(refusals).sort());
    for (const [name, refusal] of Object.entries(refusals)) assert.equal(refusal.name, name);
  });

  test('with the same fields', () => {
    for (const [name, refusal] of Object.entries(refusals)) {
      const fields = Object.keys((schema.getType(name) as GraphQLObjectType).getFields());
      assert.deepEqual(Object.keys(toErrorFields(refusal)).sort(), fields.sort(), name);
    }
    const [issue] = (refusals.ValidationError as errors.ValidationError).issues;
    const issueType = schema.getType('ValidationIssue') as GraphQLObjectType;
    assert.deepEqual(Object.keys(issue!).sort(), Object.keys(issueType.getFields()).sort());
  });

  test('with a unique code', () => {
    const codes = Object.values(refusals).map(({ code }) => code);
    assert.equal(new Set(codes).size, codes.length);
  });

  test('and each union contains only such types beside its success', () => {
    const unions = Object.values(schema.getTypeMap()).filter(isUnionType);
    assert.ok(unions.length >= 6);
    for (const union of unions) {
      const [success, ...others] = union.getTypes();
      assert.match(success!.name, /Success$/);
      for (const { name } of others) assert.ok(name in refusals, `${union.name} | ${name}`);
    }
  });
});
