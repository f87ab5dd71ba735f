/** Rejects all bodies except JSON in UTF-8, and executes nothing. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { users } from '../../src/database/schema.js';
import { clear, startService } from '../support/service.js';

const service = await startService();
beforeEach(() => clear(service));

const password = 'violin under the stairs';
const query = `mutation { createUser(input: { username: "mallory", password: "${password}" }) { __typename } }`;
const json = JSON.stringify({ query });

interface Request {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

/** Sends the raw request, because `fetch` would correct it. */
function exchange({
  method = 'POST',
  path = '/graphql',
  headers = {},
  body = json,
}: Request): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${service.url}${path}`,
      { method, headers: { 'content-length': Buffer.byteLength(body), ...headers }, agent: false },
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

async function assertRefused(about: Request, statuses: number[] = [400, 415]): Promise<void> {
  const { status, text } = await exchange(about);
  assert.ok(statuses.includes(status), `${status}: ${text}`);
  assert.doesNotMatch(text, /CreateUserSuccess|stack|node_modules|INTERNAL_SERVER_ERROR/);
  assert.equal(await service.app.db.$count(users), 0);
}

test('accepts JSON in UTF-8, with any case and spaces of its content type', async () => {
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'Application/JSON',
    'application/json; charset="utf-8"',
  ]) {
    await clear(service);
    const { status, text } = await exchange({ headers: { 'content-type': type } });
    assert.equal(status, 200, `${type}: ${text}`);
    assert.match(text, /CreateUserSuccess/);
  }
});

describe('a mutation is not executed if its content type is', () => {
  const types = [
    'text/plain',
    'text/plain; charset=utf-8',
    'text/plain; application/json',
    'text/json',
    'text/html',
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded; charset=application/json',
    'multipart/form-data; boundary=x',
    'multipart/mixed; boundary=application/json',
    'application/graphql',
    'application/graphql+json',
    'application/json-patch+json',
    'application/vnd.api+json',
    'application/jsonp',
    'application/jsonx',
    'application/json,text/plain',
    'application/octet-stream',
    'application/xml',
    'json',
    '*/*',
    'application/*',
    '',
    'application/json; charset=utf-7',
    'application/json; charset=utf-16',
    'application/json; charset=utf-16le',
    'application/json; charset=utf-32',
    'application/json; charset=iso-8859-1',
    'application/json; charset=windows-1252',
    'application/json; charset=ibm500',
    'application/json; charset="utf-7"',
    'application/json; charset=UTF-7; charset=utf-8',
    'application/json; charset=utf-8; charset=utf-7',
    'application/json; charset=utf-8x',
    'application/json; charset=',
    'application/json\t; charset=utf-7',
    'application/json\u00a0',
    'application/json foo',
    'application/json;foo;charset=utf-7',
  ];
  for (const type of types)
    test(JSON.stringify(type), async () => {
      await assertRefused({ headers: { 'content-type': type, 'apollo-require-preflight': 'true' } });
    });

  test('missing', async () => {
    await assertRefused({});
    await assertRefused({ headers: { 'apollo-require-preflight': 'true', origin: 'https://evil.test' } });
  });

  test('repeated', async () => {
    await assertRefused({ headers: { 'content-type': ['text/plain', 'application/json'] } });
  });
});

describe('a mutation is not executed from', () => {
  const type = { 'content-type': 'application/json' };
  const bodies: Record<string, string | Buffer> = {
    nothing: '',
    'a space': ' ',
    'half of it': json.slice(0, -2),
    'JSON with something behind it': `${json}x`,
    'two JSON texts': `${json}\n${json}`,
    'JSON with a comma too many': json.replace(/}$/, ',}'),
    'JSON with a comment': `/* */${json}`,
    'JSON in a call': `f(${json})`,
    'JSON in single quotes': json.replaceAll('"', "'"),
    'a guard against scripts': `)]}',\n${json}`,
    'a number': '1',
    'a string': JSON.stringify(query),
    null: 'null',
    'a list': `[${json}]`,
    'an empty list': '[]',
    'a query in a list': JSON.stringify({ query: [query] }),
    'a query in an object': JSON.stringify({ query: { toString: query } }),
    'variables that are a list': JSON.stringify({ query, variables: [] }),
    'variables that are a text': JSON.stringify({ query, variables: '{}' }),
    'variables that are a number': JSON.stringify({ query, variables: 1 }),
    'extensions that are a text': JSON.stringify({ query, extensions: 'x' }),
    'an operation name that is a number': JSON.stringify({ query, operationName: 1 }),
    'an operation name that there is not': JSON.stringify({ query, operationName: 'x' }),
    'UTF-16': Buffer.from(`\ufeff${json}`, 'utf16le'),
    'UTF-16 without a mark': Buffer.from(json, 'utf16le'),
    'UTF-7': json.replaceAll('{', '+AHs-').replaceAll('"', '+ACI-'),
    gzip: gzipSync(json),
    'a form': `query=${encodeURIComponent(query)}`,
    'a form with parts': `--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${json}\r\n--x--`,
    'a hash of a document that was never given': JSON.stringify({
      extensions: { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } },
    }),
  };
  for (const [what, body] of Object.entries(bodies))
    test(what, async () => {
      const statuses =
        what.startsWith('an operation name that there') || what.startsWith('a hash') ? [200, 400] : [400, 415];
      await assertRefused({ headers: type, body }, statuses);
    });

  test('a body with a content encoding', async () => {
    for (const encoding of ['gzip', 'deflate', 'br', 'x'])
      await assertRefused({ headers: { ...type, 'content-encoding': encoding }, body: gzipSync(json) });
  });

  test('bytes that are not UTF-8', async () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe4], [0xf5, 0x80, 0x80, 0x80]]) {
      const [before, behind] = json.split('under') as [string, string];
      assert.ok(behind);
      await assertRefused({
        headers: type,
        body: Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)]),
      });
    }
  });

  test('another method, or a method override header', async () => {
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
      await assertRefused({ method, headers: type }, [400, 404, 405]);
    const inQuery = `/graphql?query=${encodeURIComponent(query)}`;
    const preflighted = { 'apollo-require-preflight': 'true' };
    for (const headers of [preflighted, { ...preflighted, 'x-http-method-override': 'POST', 'x-http-method': 'POST' }])
      await assertRefused({ method: 'GET', path: inQuery, headers, body: '' }, [400, 405]);
    await assertRefused({ method: 'GET', headers: { ...type, ...preflighted } }, [400, 405]);
  });

  test('the query string with an empty body', async () => {
    for (const body of ['{}', JSON.stringify({ query: null }), JSON.stringify({ query: '' })])
      await assertRefused({ path: `/graphql?query=${encodeURIComponent(query)}`, headers: type, body });
  });

  test('another path', async () => {
    for (const path of [
      '/',
      '/graphql/',
      '/GraphQL',
      '//graphql',
      '/graphql%2f',
      '/graphql/..%2fgraphql',
      '/graphql;x',
      '/graphql%00',
    ])
      await assertRefused({ path, headers: type }, [400, 404]);
  });
});

test('registers no document by its hash', async () => {
  const { createHash } = await import('node:crypto');
  const document = '{ policy { defaultRegion } }';
  const extensions = {
    persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(document).digest('hex') },
  };
  const headers = { 'content-type': 'application/json' };
  await exchange({ headers, body: JSON.stringify({ query: document, extensions }) });
  const { text } = await exchange({ headers, body: JSON.stringify({ extensions }) });
  assert.doesNotMatch(text, /defaultRegion/);
  assert.match(text, /"errors"/);
});
