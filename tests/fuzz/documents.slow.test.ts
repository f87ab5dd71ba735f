/** Thousands of valid and invalid documents of the schema cause no internal error. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { type GeneratedRequest, requests } from '../support/documents.js';
import { insertPeople, password, signUp } from '../support/people.js';
import { startService } from '../support/service.js';

const count = 5_000;
const batch = 50;

const service = await startService({
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
  PASSWORD_MIN_SCORE: '0',
});
const alice = await signUp(service, { username: 'alice', email: 'alice@example.com', phone: '+12025550123', password });
const nobodys = await alice.securityTokens('nobody@example.com');
const known = [
  alice.id,
  alice.emailToken,
  alice.phoneToken,
  nobodys[0]!.id,
  'bob',
  'bob@example.com',
  password,
  'another horse battery',
];

let batches = 0;

/** The caller may have been deleted by the last batch. */
async function askers(): Promise<(string | undefined)[]> {
  batches += 1;
  const people = await insertPeople(
    service,
    (['ordinary', 'superuser'] as const).map((role) => ({ username: `${role}-${batches}`, hasPassword: true, role })),
  );
  return [undefined, ...people.map(({ tokens }) => tokens.accessToken as string), 'nonsense'];
}

/** Texts of PostgreSQL, drivers, internal errors and stacks, which no response may contain. */
const unmasked =
  /insert into|select "|update "|violates|at or near|invalid byte sequence|invalid input (?:syntax|value)|out of range for type|drizzle|postgres|node_modules|file:\/\/|\/(?:src|dist)\/|\.[jt]s:\d+|\n\s+at |RangeError|TypeError|Cannot (?:read|set) properties|is not (?:a function|iterable|a constructor|defined)$|Maximum call stack|Unexpected error value|\$2b\$/;

const agent = new Agent({ keepAlive: true });

/** `fetch` takes twice the processor time. */
async function post(body: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { method: 'POST', agent, signal: AbortSignal.timeout(20_000) };
    httpRequest(`${service.url}/graphql`, { ...options, headers: { 'content-type': 'application/json', ...headers } })
      .on('response', resolve)
      .on('error', reject)
      .end(body);
  });
  return { status: response.statusCode ?? 0, text: await textOf(response) };
}

async function check(request: GeneratedRequest, token: string | undefined, cookie: boolean): Promise<string> {
  const about = JSON.stringify(request).slice(0, 2_000);
  const { status, text } = await post(JSON.stringify(request), {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(cookie && { 'x-session-transport': 'cookie' }),
  });
  const { data, errors = [] } = JSON.parse(text) as {
    data?: unknown;
    errors?: { message: string; extensions?: { code?: string } }[];
  };
  const codes = errors.map(({ extensions }) => extensions?.code);
  if (!codes.includes('SERVICE_UNAVAILABLE')) assert.ok(status < 500, `${status} ${text} for ${about}`);
  assert.ok(!codes.includes('INTERNAL_SERVER_ERROR'), `${text} for ${about}`);
  assert.ok(data !== undefined || errors.length > 0, `${text} for ${about}`);
  for (const { message } of errors) assert.doesNotMatch(message, unmasked, `for ${about}`);
  for (const code of codes) assert.match(String(code), /^[A-Z_]+$/, `${text} for ${about}`);
  return errors.length === 0 ? 'answered' : String(codes[0]);
}

test(`${count} generated documents cause no internal error`, async (t) => {
  const outcomes: Record<string, number> = {};
  const asked = fc.tuple(requests(known), fc.nat({ max: 3 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { minLength: batch, maxLength: batch }), async (all) => {
      const tokens = await askers();
      const found = await Promise.all(all.map(([request, who, cookie]) => check(request, tokens[who], cookie)));
      for (const outcome of found) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }),
    {
      numRuns: count / batch,
      // The message contains the failing document, because shrinking a batch would take too long.
      endOnFailure: true,
      reporter({ failed, seed, counterexamplePath, errorInstance }) {
        if (failed) throw new Error(`{ seed: ${seed}, path: "${counterexamplePath}" }`, { cause: errorInstance });
      },
    },
  );
  t.diagnostic(JSON.stringify(outcomes));
  // Otherwise only the parser was tested.
  for (const outcome of [
    'answered',
    'GRAPHQL_PARSE_FAILED',
    'GRAPHQL_VALIDATION_FAILED',
    'BAD_USER_INPUT',
    'FORBIDDEN',
  ])
    assert.ok(
      (outcomes[outcome] ?? 0) >= count / 100,
      `${outcome}: ${outcomes[outcome]} of ${JSON.stringify(outcomes)}`,
    );
  assert.equal((await fetch(`${service.url}/readyz`)).status, 200);
});
