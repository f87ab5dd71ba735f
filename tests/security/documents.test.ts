/** Rejects expensive documents and bodies early and briefly. A benchmark measures the time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertRefused, bodies, documents, many, post, statusOf } from '../support/hostile-documents.js';
import { caller, password, signUp } from '../support/people.js';
import { schemaOperations } from '../support/schema-operations.js';
import { sharedSecrets, startService } from '../support/service.js';
import { watchWork } from '../support/work.js';

const service = await startService();
const production = await startService({ NODE_ENV: 'production', BCRYPT_COST: '10', ...sharedSecrets() });
const alice = await signUp(service, { username: 'alice', password });
const workOf = watchWork();

describe('rejects a document early, with at most five errors, if it contains', () => {
  for (const [what, query] of Object.entries(documents))
    test(what, async () => {
      const body = JSON.stringify({ query });
      assert.ok(body.length < 64 * 1024, 'rejected for its content, not for its size');
      const { answer, work } = await workOf(() => post(service.url, body));
      assertRefused(answer, what);
      assert.deepEqual(work, { statements: [], hashes: [], scores: [] });
      assertRefused(await post(service.url, body, { authorization: `Bearer ${alice.tokens.accessToken}` }), what);
      assert.equal((await alice.me()).username, 'alice');
    });
});

describe('rejects a request that contains', () => {
  for (const [what, body] of Object.entries(bodies))
    test(what, async () => {
      const { answer: status, work } = await workOf(() => statusOf(service.url, body));
      assert.ok(body.statuses.includes(status), `${status}`);
      assert.deepEqual(work.hashes, []);
      assert.equal((await alice.me()).username, 'alice');
    });
});

describe('accepts the largest legitimate documents:', () => {
  for (const { name, document } of schemaOperations)
    test(`${name} with its largest response`, async () => {
      // An operation of the document may revoke the session of the caller.
      const { errors } = await (await signUp(service, { username: `asks-${name}` })).ask(document);
      const refused = errors?.filter(({ extensions }) => extensions.code !== 'BAD_USER_INPUT') ?? [];
      assert.deepEqual(
        refused.filter(({ extensions }) => !['FORBIDDEN', 'UNAUTHENTICATED', 'NOT_FOUND'].includes(extensions.code)),
        [],
      );
    });
});

describe('responses contain at most five errors', () => {
  const wrong: Record<string, { query: string; variables?: unknown }> = {
    'of a hundred fields that there are not': { query: `{ me { ${many(100, (index) => `a${index}`)} } }` },
    'of fifty arguments that there are not': { query: `{ me(${many(50, (index) => `a${index}: 1`)}) { id } }` },
    'of a hundred unused variables': { query: `query (${many(40, (i) => `$v${i}: Int`)}) { me { id } }` },
    'of a hundred fields that an input does not have': {
      query: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }',
      variables: { input: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a${i}`, 1])) },
    },
    'of thirty variables of the wrong type': {
      query: `query (${many(30, (i) => `$v${i}: Int!`)}) { ${many(30, (i) => `a${i}: users(first: $v${i}) { nodes { id } }`)} }`,
      variables: {},
    },
    'of five of each kind': {
      query: `query ($v: Nothing) { ${many(9, (i) => `a${i}`)} ...F } fragment G on Nothing { id }`,
    },
  };
  for (const [what, body] of Object.entries(wrong))
    test(what, async () => {
      for (const { url } of [service, production]) assertRefused(await post(url, JSON.stringify(body)), what);
    });
});

describe('in production, errors suggest no name of the schema', () => {
  const misspelt: Record<string, { query: string; variables?: unknown }> = {
    'for a field of the root': { query: '{ mee { id } }' },
    'for a field of a type': { query: '{ me { usernam } }' },
    'for a mutation': { query: 'mutation { createUserr { id } }' },
    'for an argument': { query: '{ securityTokens(identifie: "x") { id } }' },
    'for a type': { query: 'query ($input: CreateUserInpu) { me { id } }' },
    'for a type condition': { query: '{ me { ... on Use { id } } }' },
    'for a value of an enum': {
      query: 'mutation { sendOneTimePassword(tokenId: "x", purpose: VERIFICATIO) { __typename } }',
    },
    'for a value of an enum in a variable': {
      query: 'mutation ($p: OneTimePasswordPurpose!) { sendOneTimePassword(tokenId: "x", purpose: $p) { __typename } }',
      variables: { p: 'VERIFICATIO' },
    },
    'for a field of an input': { query: 'mutation { createUser(input: { usernam: "x" }) { __typename } }' },
    'for a field of an input in a variable': {
      query: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }',
      variables: { input: { usernam: 'x' } },
    },
    'for a directive': { query: '{ me { id @skp(if: true) } }' },
    'for a member of a union': { query: 'mutation { signOut { ... on SignOutSucces { signedOut } } }' },
    'for a fragment on another type': { query: '{ me { ...F } } fragment F on Userr { id }' },
  };
  for (const [what, body] of Object.entries(misspelt))
    test(what, async () => {
      const { status, text } = await post(production.url, JSON.stringify(body));
      assertRefused({ status, text }, what);
      assert.doesNotMatch(text, /did you mean/i);
    });

  test('and introspection is disabled', async () => {
    for (const query of [
      '{ __schema { types { name } } }',
      '{ __type(name: "User") { name } }',
      '{ a: __schema { queryType { name } } }',
    ])
      assertRefused(await post(production.url, JSON.stringify({ query })), query);
  });
});

describe('__proto__', () => {
  const proto = '{"isSuperuser":true,"isStaff":true,"id":"x","username":"mallory"}';
  const sent: Record<string, string> = {
    'beside the variables': `{"query":"{ me { id } }","__proto__":${proto}}`,
    'as a variable': `{"query":"{ me { id } }","variables":{"__proto__":${proto}}}`,
    'in an input': `{"query":"mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }","variables":{"input":{"__proto__":${proto}}}}`,
    'spelt in escapes': `{"query":"{ me { id } }","variables":{"\\u005f_proto__":${proto}}}`,
    'by way of a constructor': `{"query":"{ me { id } }","variables":{"constructor":{"prototype":${proto}}}}`,
    'as the extensions': `{"query":"{ me { id } }","extensions":{"__proto__":${proto}}}`,
  };
  for (const [what, body] of Object.entries(sent))
    test(`${what} is rejected without a side effect`, async () => {
      const { status, text } = await post(service.url, body);
      assert.equal(status, 400, text);
      assertRefused({ status, text }, what);
      assert.equal(({} as Record<string, unknown>).isSuperuser, undefined);
      const { isSuperuser, isStaff } = await alice.me();
      assert.deepEqual({ isSuperuser, isStaff }, { isSuperuser: false, isStaff: false });
    });

  test('is an ordinary name in a document or in variables of a GET', async () => {
    const anonymous = caller(service);
    assert.deepEqual((await anonymous.ask('{ __proto__: policy { defaultRegion } }')).data, {
      ['__proto__']: { defaultRegion: 'US' },
    });
    for (const query of [
      'query ($__proto__: String = "US") { me { id } }',
      'mutation { createUser(input: { username: "mallory", __proto__: { isSuperuser: true } }) { __typename } }',
      '{ __proto__ { id } }',
      '{ me { ...__proto__ } }',
    ]) {
      const { data, errors } = await anonymous.ask(query);
      assert.ok(errors!.length > 0 && !data, query);
      assert.notEqual(errors![0]!.extensions.code, 'INTERNAL_SERVER_ERROR', query);
    }
    const search = new URLSearchParams({ query: '{ me { id } }', variables: `{"__proto__":${proto}}` });
    const response = await fetch(`${service.url}/graphql?${search}`, {
      headers: { 'apollo-require-preflight': 'true' },
    });
    assert.ok(response.status < 500);
    assert.equal(({} as Record<string, unknown>).isSuperuser, undefined);
  });
});
