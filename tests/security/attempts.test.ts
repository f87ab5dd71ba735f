/** Several attempts in one request, by aliases, fragments or arrays, reach no resolver. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type Answer, send } from '../support/client.js';
import { insertPerson } from '../support/people.js';
import { connect } from '../support/replicas.js';
import { startService } from '../support/service.js';

const service = await startService();
const { query } = await connect(service.app.config.databaseUrl!);
const alice = { username: 'alice', email: 'alice@example.com', hasPassword: true };
const { emailToken: tokenId } = await insertPerson(service, alice);

const tables = [
  'users',
  'security_tokens',
  'sessions',
  'one_time_passwords',
  'sign_in_throttles',
  'rate_limit_events',
  'outbox_messages',
];
const stored = () => Promise.all(tables.map((table) => query(`select * from ${table} order by 1, 2`)));

let before: unknown;
beforeEach(async () => {
  before = await stored();
});
afterEach(async () => {
  assert.deepEqual(await stored(), before, 'nothing is counted, made or sent');
});

const attempts = {
  authenticate: `authenticate(input: { identifier: "alice", password: "wrong" }) { __typename }`,
  checkOneTimePassword: `checkOneTimePassword(tokenId: "${tokenId}", oneTimePassword: "WRONG234") { __typename }`,
  sendOneTimePassword: `sendOneTimePassword(tokenId: "${tokenId}") { __typename }`,
  createUser: `createUser(input: { username: "mallory" }) { __typename }`,
};
const aliases = (attempt: string, count: number) =>
  Array.from({ length: count }, (_, index) => `a${index}: ${attempt}`).join('\n');

function assertRefused({ data, errors }: Answer): void {
  assert.equal(data ?? null, null);
  assert.ok(errors !== undefined && errors.length > 0);
}

for (const [name, attempt] of Object.entries(attempts)) {
  test(`rejects a document with two or a hundred aliases of ${name}`, async () => {
    for (const count of [2, 100]) assertRefused(await send(service, `mutation { ${aliases(attempt, count)} }`));
  });
}

test('rejects a thousand aliases of one mutation', async () => {
  const documents = [
    `mutation ($input: AuthenticateInput!) { ${aliases('authenticate(input: $input) { __typename }', 1000)} }`,
    `mutation ($id: ID!) { ${aliases('checkOneTimePassword(tokenId: $id, oneTimePassword: "9") { __typename }', 700)} }`,
  ];
  for (const document of documents) {
    assert.ok(document.length < 64 * 1024, 'rejected for its fields, not for its size');
    assertRefused(await send(service, document, { id: tokenId, input: { identifier: 'alice', password: 'wrong' } }));
  }
  assertRefused(await send(service, `mutation { ${aliases(attempts.authenticate, 1000)} }`));
});

const { authenticate, checkOneTimePassword, createUser } = attempts;
const directed = (directive: string) =>
  authenticate.replace(' { __typename }', ` ${directive}(if: $no) { __typename }`);
const ofSeveral: [string, string][] = [
  ['two different mutations', `mutation { ${authenticate} ${createUser} }`],
  ['one beside a sign-out', `mutation { signOut { signedOut } ${authenticate} }`],
  ['the same mutation twice without an alias', `mutation { ${authenticate} ${authenticate} }`],
  [
    'one beside a fragment with another',
    `mutation { ${authenticate} ...F } fragment F on Mutation { b: ${authenticate} }`,
  ],
  ['a fragment with two', `mutation { ...F } fragment F on Mutation { ${aliases(checkOneTimePassword, 2)} }`],
  [
    'two fragments with one each',
    `mutation { ...F ...G } fragment F on Mutation { a: ${authenticate} } fragment G on Mutation { b: ${authenticate} }`,
  ],
  [
    'a fragment within a fragment',
    `mutation { ...F } fragment F on Mutation { a: ${authenticate} ...G } fragment G on Mutation { ...H } fragment H on Mutation { b: ${createUser} }`,
  ],
  ['two inline fragments', `mutation { ... { a: ${authenticate} } ... on Mutation { b: ${authenticate} } }`],
  [
    'inline fragments within each other',
    `mutation { ... on Mutation { a: ${authenticate} ... on Mutation { ... { b: ${checkOneTimePassword} } } } }`,
  ],
  [
    'one that a directive leaves out and one that it does not',
    `mutation ($no: Boolean = false) { a: ${directed('@include')} b: ${directed('@skip')} }`,
  ],
  [
    'an operation of two behind one of one',
    `mutation One { ${authenticate} } mutation Two { ${aliases(authenticate, 2)} }`,
  ],
  [
    'fragments that spread each other',
    `mutation { ...F } fragment F on Mutation { a: ${authenticate} ...G } fragment G on Mutation { ...F b: ${authenticate} }`,
  ],
];
for (const [what, document] of ofSeveral) {
  test(`rejects a document with ${what}`, async () => {
    const answer = await send(service, document);
    assertRefused(answer);
    assert.match(answer.errors!.map(({ message }) => message).join(), /one root field|within itself/);
  });
}

test('rejects an array of requests', async () => {
  for (const count of [1, 2, 100]) {
    const response = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Array.from({ length: count }, () => ({ query: `mutation { ${authenticate} }` }))),
    });
    assert.equal(response.status, 400);
    assertRefused((await response.json()) as Answer);
  }
});

test('evaluates and counts a repeated fragment as one attempt', async () => {
  const fields = `authenticate(input: { identifier: "alice", password: "wrong" }) { __typename ... on IdentityError { code } }`;
  const answer = await send(
    service,
    `mutation { ...F ...F ...G } fragment F on Mutation { ${fields} } fragment G on Mutation { ...F }`,
  );
  assert.deepEqual(answer.data, {
    authenticate: { __typename: 'InvalidCredentialsError', code: 'INVALID_CREDENTIALS' },
  });
  assert.deepEqual(await query('select failure_count from sign_in_throttles'), [{ failure_count: 1 }]);
  await query('truncate sign_in_throttles');
});
