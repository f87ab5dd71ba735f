/** Expensive documents and bodies, and their rejection. */
import assert from 'node:assert/strict';
import { request } from 'node:http';

interface Reply {
  status: number;
  text: string;
}

/**
 * Sends raw requests, because `fetch` rejects some. The response may arrive before the whole body
 * is sent.
 */
export function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Reply> {
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
/** Fragments that spread the next fragment twice, for an exponential number of fields. */
const doubling = (levels: number, on: string, field: string) =>
  [
    ...Array.from(
      { length: levels },
      (_, level) => `fragment F${level} on ${on} { ...F${level + 1} ...F${level + 1} }`,
    ),
    `fragment F${levels} on ${on} { ${field} }`,
  ].join(' ');
export const many = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

export const documents: Record<string, string> = {
  'fields 500 deep': nested('{ me ', '}', 500, '{ id }'),
  'unknown fields 500 deep': `query ${nested('{ a ', '}', 500, '{ a }')}`,
  'inline fragments 500 deep': `query { ${nested('... { ', '} ', 500, '__typename ')} }`,
  'inline fragments with a type 500 deep': `query { ${nested('... on Query { ', '} ', 500, '__typename ')} }`,
  'lists 500 deep': `{ securityTokens(identifier: ${nested('[', ']', 500)}) { id } }`,
  'objects 500 deep': `{ securityTokens(identifier: ${nested('{ a: ', '}', 500, '1')}) { id } }`,
  'a type 500 deep': `query ($a: ${nested('[', ']', 500, 'Int')}) { me { id } }`,
  'lists 20 000 deep': `{ securityTokens(identifier: ${nested('[', ']', 20_000)}) { id } }`,
  'fields 9 000 deep': nested('{ a ', '}', 9_000, '{ a }'),
  '5000 directives': `{ me ${many(5000, () => '@a')} { id } }`,
  '1500 known directives': `{ me ${many(1500, () => '@skip(if: false)')} { id } }`,
  '40 directives on one field': `{ me ${many(40, () => '@a')} { id } }`,
  '2^25 fields by doubling fragments': `{ ...F0 } ${doubling(25, 'Query', '__typename')}`,
  '2^25 fields of a user by doubling fragments': `{ me { ...F0 } } ${doubling(25, 'User', 'id')}`,
  '2^25 mutations by doubling fragments': `mutation { ...F0 } ${doubling(25, 'Mutation', 'signOut { signedOut }')}`,
  'fragments that spread each other': '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
  '60 KB of fields': `{ me { ${many(9_000, (index) => `a${index}`)} } }`,
  '60 KB of one field': `{ me { ${many(20_000, () => 'id')} } }`,
  '1 500 aliases of a query': `{ ${many(1500, (index) => `a${index}: policy { defaultRegion }`)} }`,
  '1 000 operations': many(1000, (index) => `query Q${index} { me { id } }`),
  '1 000 unused fragments': `{ me { id } } ${many(1000, (index) => `fragment F${index} on User { id }`)}`,
  '1 000 variables': `query (${many(1000, (index) => `$v${index}: Int`)}) { me { id } }`,
  '60 KB of brackets': '('.repeat(60_000),
  '60 KB of commas and an unknown field': `{ ${','.repeat(60_000)} a }`,
  'an unterminated string': `{ securityTokens(identifier: "${'a'.repeat(60_000)}) { id } }`,
};

interface Body {
  body: string;
  headers?: Record<string, string>;
  statuses: number[];
}

export const bodies: Record<string, Body> = {
  '240 KB of fields': {
    body: JSON.stringify({ query: `{ me { ${many(40_000, (index) => `a${index}`)} } }` }),
    statuses: [413],
  },
  '2 MB': {
    body: JSON.stringify({ query: '{ me { id } }', variables: { x: 'x'.repeat(2_000_000) } }),
    statuses: [413],
  },
  '2 MB of space': { body: `${' '.repeat(2_000_000)}{"query":"{ me { id } }"}`, statuses: [413] },
  'a body with a wrong length': {
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

export function assertRefused({ status, text }: Reply, about: string): void {
  assert.ok(status < 500, `${about}: ${status} ${text.slice(0, 200)}`);
  const { data, errors } = JSON.parse(text);
  assert.equal(data ?? null, null, about);
  assert.ok(errors.length > 0, about);
  assert.ok(errors.length <= 5, `${about}: ${errors.length} errors`);
  assert.ok(text.length < 4_000, `${about}: an answer of ${text.length}`);
  assert.doesNotMatch(text, /INTERNAL_SERVER_ERROR|call stack|node_modules|Maximum/i, about);
}

/**
 * Sends a body that must be rejected.
 * @returns the status, or the expected status if the connection is lost first
 */
export async function statusOf(url: string, { body, headers = {}, statuses }: Body): Promise<number> {
  try {
    const { status, text } = await post(url, body, headers);
    assert.ok(text.length < 4_000);
    assert.doesNotMatch(text, /"data":\{"me"|INTERNAL_SERVER_ERROR/);
    return status;
  } catch (error) {
    assert.match(String((error as NodeJS.ErrnoException).code), /^(EPIPE|ECONNRESET)$/);
    return statuses[0]!;
  }
}
