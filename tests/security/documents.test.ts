/** Documents and bodies made to be dear: refused before they cost anything, with few words. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { caller, password, signUp } from '../support/people.js';
import { schemaOperations } from '../support/schema-operations.js';
import { sharedSecrets, startService } from '../support/service.js';

const service = await startService();
const production = await startService({ NODE_ENV: 'production', BCRYPT_COST: '10', ...sharedSecrets() });
const alice = await signUp(service, { username: 'alice', password });

interface Reply {
  status: number;
  text: string;
}

/** Without `fetch`, which refuses to send some of this. A connection that is ended before all is sent has answered before. */
function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}/graphql`,
      { method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const nested = (open: string, close: string, depth: number, inner = '') =>
  `${open.repeat(depth)}${inner}${close.repeat(depth)}`;
/** Fragments each of which spreads the next one twice: so many levels, two to that power of fields. */
const doubling = (levels: number, on: string, field: string) =>
  [
    ...Array.from(
      { length: levels },
      (_, level) => `fragment F${level} on ${on} { ...F${level + 1} ...F${level + 1} }`,
    ),
    `fragment F${levels} on ${on} { ${field} }`,
  ].join(' ');
const many = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

const documents: Record<string, string> = {
  'fields 500 deep': nested('{ me ', '}', 500, '{ id }'),
  'fields 500 deep that there are not': `query ${nested('{ a ', '}', 500, '{ a }')}`,
  'inline fragments 500 deep': `query { ${nested('... { ', '} ', 500, '__typename ')} }`,
  'inline fragments with a type 500 deep': `query { ${nested('... on Query { ', '} ', 500, '__typename ')} }`,
  'lists 500 deep': `{ securityTokens(identifier: ${nested('[', ']', 500)}) { id } }`,
  'objects 500 deep': `{ securityTokens(identifier: ${nested('{ a: ', '}', 500, '1')}) { id } }`,
  'a type 500 deep': `query ($a: ${nested('[', ']', 500, 'Int')}) { me { id } }`,
  'lists 20 000 deep': `{ securityTokens(identifier: ${nested('[', ']', 20_000)}) { id } }`,
  'fields 9 000 deep': nested('{ a ', '}', 9_000, '{ a }'),
  '5000 directives': `{ me ${many(5000, () => '@a')} { id } }`,
  '5000 directives that there are': `{ me ${many(1500, () => '@skip(if: false)')} { id } }`,
  '40 directives on one field': `{ me ${many(40, () => '@a')} { id } }`,
  '2^25 fields by doubling fragments': `{ ...F0 } ${doubling(25, 'Query', '__typename')}`,
  '2^25 fields of a user by doubling fragments': `{ me { ...F0 } } ${doubling(25, 'User', 'id')}`,
  '2^25 mutations by doubling fragments': `mutation { ...F0 } ${doubling(25, 'Mutation', 'signOut { signedOut }')}`,
  'fragments that spread each other': '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
  '60 KB of fields': `{ me { ${many(9_000, (index) => `a${index}`)} } }`,
  '60 KB of one field': `{ me { ${many(20_000, () => 'id')} } }`,
  '1 500 aliases of a query': `{ ${many(1500, (index) => `a${index}: policy { defaultRegion }`)} }`,
  '1 000 operations': many(1000, (index) => `query Q${index} { me { id } }`),
  '1 000 fragments that nobody spreads': `{ me { id } } ${many(1000, (index) => `fragment F${index} on User { id }`)}`,
  '1 000 variables': `query (${many(1000, (index) => `$v${index}: Int`)}) { me { id } }`,
  '60 KB of brackets': '('.repeat(60_000),
  '60 KB of commas and a field that there is not': `{ ${','.repeat(60_000)} a }`,
  'a string that does not end': `{ securityTokens(identifier: "${'a'.repeat(60_000)}) { id } }`,
};

const bodies: Record<string, { body: string; headers?: Record<string, string>; statuses: number[] }> = {
  '240 KB of fields': {
    body: JSON.stringify({ query: `{ me { ${many(40_000, (index) => `a${index}`)} } }` }),
    statuses: [413],
  },
  '2 MB': {
    body: JSON.stringify({ query: '{ me { id } }', variables: { x: 'x'.repeat(2_000_000) } }),
    statuses: [413],
  },
  '2 MB of space': { body: `${' '.repeat(2_000_000)}{"query":"{ me { id } }"}`, statuses: [413] },
  'a body whose length is a lie': {
    body: '{"query":"{ me { id } }"}',
    headers: { 'content-length': '99999999' },
    statuses: [413],
  },
  'an access token of 1 MB': {
    body: '{"query":"{ me { id } }"}',
    headers: { authorization: `Bearer ${'a'.repeat(1_000_000)}` },
    statuses: [431],
  },
  'a bootstrap secret of 1 MB': {
    body: '{"query":"{ me { id } }"}',
    headers: { 'x-bootstrap-secret': 'a'.repeat(1_000_000) },
    statuses: [431],
  },
  'a refresh token of 1 MB': {
    body: JSON.stringify({
      query: 'mutation ($t: String) { refreshSession(refreshToken: $t) { ... on IdentityError { code } } }',
      variables: { t: 'a'.repeat(1_000_000) },
    }),
    statuses: [413],
  },
  'variables 30 000 deep': {
    body: `{"query":"query ($x: String) { me { id } }","variables":{"x":${nested('[', ']', 30_000)}}}`,
    statuses: [200, 400],
  },
};

/** Of this process, the client and its parsing included: what a machine under load does not change. */
async function workOf(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const start = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1000);
  }
  return Math.min(...times);
}

function assertRefused({ status, text }: Reply, about: string): void {
  assert.ok(status < 500, `${about}: ${status} ${text.slice(0, 200)}`);
  const { data, errors } = JSON.parse(text);
  assert.equal(data ?? null, null, about);
  assert.ok(errors.length > 0, about);
  assert.ok(errors.length <= 5, `${about}: ${errors.length} errors`);
  assert.ok(text.length < 4_000, `${about}: an answer of ${text.length}`);
  assert.doesNotMatch(text, /INTERNAL_SERVER_ERROR|call stack|node_modules|Maximum/i, about);
}

describe('a document is refused, with five errors at most, where it holds', () => {
  before(() => post(service.url, JSON.stringify({ query: '{ me { id } }' })));
  for (const [what, query] of Object.entries(documents))
    test(what, async () => {
      const body = JSON.stringify({ query });
      assert.ok(body.length < 64 * 1024, 'refused for what it holds, not for its size');
      const milliseconds = await workOf(async () => {
        assertRefused(await post(service.url, body), what);
      });
      assert.ok(milliseconds < 100, `${milliseconds} ms of work`);
      assertRefused(await post(production.url, body), what);
      assertRefused(await post(service.url, body, { authorization: `Bearer ${alice.tokens.accessToken}` }), what);
      assert.equal((await alice.me()).username, 'alice');
    });
});

describe('a request is refused that holds', () => {
  for (const [what, { body, headers = {}, statuses }] of Object.entries(bodies))
    test(what, async () => {
      let status = 0;
      const milliseconds = await workOf(async () => {
        try {
          const reply = await post(service.url, body, headers);
          status = reply.status;
          assert.ok(reply.text.length < 4_000);
          assert.doesNotMatch(reply.text, /"data":\{"me"|INTERNAL_SERVER_ERROR/);
        } catch (error) {
          // The connection is gone before the client has sent it all, and with it the answer.
          assert.match(String((error as NodeJS.ErrnoException).code), /^(EPIPE|ECONNRESET)$/);
          status = statuses[0]!;
        }
      });
      assert.ok(statuses.includes(status), `${status}`);
      assert.ok(milliseconds < 250, `${milliseconds} ms of work`);
      assert.equal((await alice.me()).username, 'alice');
    });
});

describe('the greatest honest documents are taken:', () => {
  for (const { name, document } of schemaOperations)
    test(`${name} with all that it answers`, async () => {
      // One of these ends the session that asks.
      const { errors } = await (await signUp(service, { username: `asks-${name}` })).ask(document);
      const refused = errors?.filter(({ extensions }) => extensions.code !== 'BAD_USER_INPUT') ?? [];
      assert.deepEqual(
        refused.filter(({ extensions }) => !['FORBIDDEN', 'UNAUTHENTICATED', 'NOT_FOUND'].includes(extensions.code)),
        [],
      );
    });
});

describe('at most five errors are told', () => {
  const wrong: Record<string, { query: string; variables?: unknown }> = {
    'of a hundred fields that there are not': { query: `{ me { ${many(100, (index) => `a${index}`)} } }` },
    'of fifty arguments that there are not': { query: `{ me(${many(50, (index) => `a${index}: 1`)}) { id } }` },
    'of a hundred variables that nobody uses': { query: `query (${many(40, (i) => `$v${i}: Int`)}) { me { id } }` },
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

describe('in production no name of the schema is suggested', () => {
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

  test('and nothing is told by introspection', async () => {
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
    test(`${what} is refused, and nothing is the wiser`, async () => {
      const { status, text } = await post(service.url, body);
      assert.equal(status, 400, text);
      assertRefused({ status, text }, what);
      assert.equal(({} as Record<string, unknown>).isSuperuser, undefined);
      const { isSuperuser, isStaff } = await alice.me();
      assert.deepEqual({ isSuperuser, isStaff }, { isSuperuser: false, isStaff: false });
    });

  test('in a document, or in the variables of a GET, is a name like another', async () => {
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

describe('documents that are different each time do not stay in memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heapMegabytes = () => {
    collect();
    return process.memoryUsage().heapUsed / 1024 ** 2;
  };
  const fields = Array.from({ length: 90 }, (_, index) => `a${index}: passwordMinLength`).join(' ');
  const varied: Record<string, { document: (number: number) => string; count: number }> = {
    'with many fields': { document: (number) => `query q${number} { policy { ${fields} } }`, count: 800 },
    'with 20 000 comments': { document: (number) => `{ __typename } #${number}\n${'#\n'.repeat(20_000)}`, count: 60 },
    'with one great comment': { document: (number) => `{ __typename } #${number} ${'ж'.repeat(30_000)}`, count: 600 },
  };
  for (const [what, { document, count }] of Object.entries(varied))
    test(what, async () => {
      const ask = async (from: number, to: number) => {
        for (let number = from; number < to; number += 1) {
          const { status } = await post(service.url, JSON.stringify({ query: document(number) }));
          assert.equal(status, 200);
        }
      };
      await ask(0, count / 4);
      const before = heapMegabytes();
      await ask(count / 4, count + count / 4);
      const grown = heapMegabytes() - before;
      assert.ok(grown < 15, `${grown} MB more`);
    });
});
