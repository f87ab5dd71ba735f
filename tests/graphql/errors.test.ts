/** Responses to malformed requests, internal errors and an unavailable database. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { type Answer, expectMember } from '../support/client.js';
import { holdLock } from '../support/locks.js';
import { caller, password, signUp } from '../support/people.js';
import { startProxy } from '../support/proxy.js';
import { clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';

const database = await createDatabase();
const proxy = await startProxy(database);
const service = await startService({ DATABASE_URL: proxy.url });
const anonymous = caller(service);
const { db } = service.app;

beforeEach(() => clear(service));

const signUpDocument = `mutation { createUser(input: { username: "carol", password: "${password}" }) { __typename } }`;
const signInDocument = `mutation { authenticate(input: { username: "alice", password: "${password}" }) { __typename } }`;

/** Runs the work while a table is renamed. */
async function without(table: string, work: () => Promise<unknown>): Promise<void> {
  await db.execute(sql.raw(`alter table ${table} rename to ${table}_away`));
  try {
    await work();
  } finally {
    await db.execute(sql.raw(`alter table ${table}_away rename to ${table}`));
  }
}

/** Asserts that the response is masked. @returns the error ID in the log */
function assertMasked({ data, errors }: Pick<Answer, 'data' | 'errors'>): string {
  assert.equal(errors?.length, 1);
  const { message, extensions } = errors[0]!;
  assert.equal(extensions.code, 'INTERNAL_SERVER_ERROR');
  assert.match(extensions.errorId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(Object.keys(extensions).sort(), ['code', 'errorId']);
  assert.equal(message, 'Internal error. Quote the error ID to support.');
  assert.doesNotMatch(JSON.stringify({ data, errors }), /select|insert|relation|drizzle|node_modules|\.[jt]s\b|stack/i);
  return extensions.errorId;
}

function assertUnavailable(answer: Answer, what?: string): void {
  assert.equal(answer.errors?.[0]?.extensions.code, 'SERVICE_UNAVAILABLE', what);
  assert.deepEqual(Object.keys(answer.errors[0]!.extensions), ['code']);
  assert.equal(answer.errors[0]!.message, 'The service is temporarily unavailable. Try again soon.');
  assert.equal(answer.status, 503, what);
  assert.equal(answer.headers.get('retry-after'), '1', what);
  assert.ok(!answer.data, what);
}

describe('an internal error', () => {
  test('is masked in every operation', async () => {
    const alice = await signUp(service, { username: 'alice', email: 'alice@example.com', password });
    await without('users', async () => {
      for (const document of [signUpDocument, signInDocument, '{ securityTokens(identifier: "alice") { id } }'])
        assertMasked(await anonymous.ask(document));
      assertMasked(await alice.ask('{ me { id } }'));
    });
    assert.equal((await alice.me()).username, 'alice');
  });

  test('is masked in a field, and the other fields have data', async () => {
    const alice = await signUp(service, { username: 'alice', email: 'alice@example.com' });
    await without('one_time_passwords', async () => {
      const answer = await alice.ask('{ me { username securityTokens { id } } policy { defaultRegion } }');
      assertMasked(answer);
      assert.deepEqual(answer.errors?.[0]?.path, ['me', 'securityTokens']);
      assert.deepEqual(answer.data, { me: null, policy: { defaultRegion: 'US' } });
    });
  });

  test('is masked outside of GraphQL', async () => {
    await without('outbox_messages', async () => {
      const response = await fetch(`${service.url}/dev/outbox`);
      assert.equal(response.status, 500);
      assertMasked((await response.json()) as Answer);
    });
  });

  test('is counted, inside and outside of GraphQL', async () => {
    const counted = async () => {
      const text = await (await fetch(`${service.url}/metrics`)).text();
      return Number(/^flex_identity_internal_errors_total (\d+)$/m.exec(text)![1]);
    };
    const alice = await signUp(service, { username: 'alice', email: 'alice@example.com' });
    const places: [what: string, table: string, ask: () => Promise<unknown>][] = [
      ['in a field', 'one_time_passwords', () => alice.ask('{ me { securityTokens { id } } }')],
      ['before the operation', 'sessions', () => alice.ask('{ policy { defaultRegion } }')],
      ['in the operation', 'users', () => anonymous.ask(signInDocument)],
      ['outside of GraphQL', 'outbox_messages', () => fetch(`${service.url}/dev/outbox`)],
    ];
    const before = await counted();
    for (const [index, [what, table, ask]] of places.entries()) {
      await without(table, ask);
      assert.equal(await counted(), before + index + 1, what);
    }
    await anonymous.ask('{ nothing }');
    await fetch(`${service.url}/graphql`, { method: 'POST', body: 'a=1' });
    assert.equal(await counted(), before + places.length, 'expected errors are not counted');
  });

  test('has a distinct ID', async () => {
    await without('users', async () => {
      const ids = [await anonymous.ask(signInDocument), await anonymous.ask(signInDocument)].map(assertMasked);
      assert.notEqual(ids[0], ids[1]);
    });
  });

  test('leaves no changes', async () => {
    await without('sessions', async () => {
      assertMasked(await anonymous.ask(signUpDocument));
    });
    expectMember(await anonymous.createUser({ username: 'carol', email: 'carol@example.com' }), 'CreateUserSuccess');
  });

  test('is logged with its ID and without secrets', async () => {
    const ownDatabase = await createDatabase();
    const spawned = await spawnService({ ...sharedSecrets(), DATABASE_URL: ownDatabase });
    const { tokens } = await signUp(spawned, { username: 'alice' });
    const client = new pg.Client(ownDatabase);
    await client.connect();
    await client.query('alter table users rename to users_away');
    await client.query('alter table sessions rename to sessions_away');
    await client.end();
    const signOutDocument = `mutation { signOut(refreshToken: "${tokens.refreshToken}") { signedOut } }`;
    const errorIds = [];
    for (const document of [signUpDocument, signOutDocument])
      errorIds.push(assertMasked(await caller(spawned).ask(document)));
    // The response may arrive before the log output.
    const deadline = Date.now() + 10_000;
    while (!errorIds.every((errorId) => spawned.output().includes(errorId)) && Date.now() < deadline)
      await setTimeout(10);
    for (const [index, errorId] of errorIds.entries()) {
      const lines = spawned.output().match(new RegExp(`^.*${errorId}.*$`, 'gm'))!;
      assert.equal(lines.length, 1, spawned.output());
      const entry = JSON.parse(lines[0]!);
      assert.equal(entry.level, 50);
      const table = ['users', 'sessions'][index];
      assert.match(JSON.stringify(entry.err), new RegExp(`relation \\\\+"${table}\\\\+" does not exist`));
    }
    for (const secret of [password, tokens.refreshToken, tokens.session.id, 'carol'])
      assert.ok(!spawned.output().includes(secret), secret);
    assert.doesNotMatch(spawned.output(), /bcrypt-hmac-sha384\$|\$2b\$/);
  });
});

describe('an unavailable database', () => {
  test('is SERVICE_UNAVAILABLE, never a wrong password or an invalid access token', async () => {
    const alice = await signUp(service, { username: 'alice', email: 'alice@example.com', password });
    const tokenArgument = `(tokenId: "${alice.emailToken}"`;
    const documents = [
      signInDocument,
      signUpDocument,
      '{ securityTokens(identifier: "alice") { id } }',
      `mutation { sendOneTimePassword${tokenArgument}) { __typename } }`,
      `mutation { checkOneTimePassword${tokenArgument}, oneTimePassword: "wrong") { __typename } }`,
      `mutation { signOut(refreshToken: "${alice.tokens.refreshToken}") { signedOut } }`,
    ];
    const ready = async () => (await fetch(`${service.url}/readyz`)).status;
    assert.equal(await ready(), 200);

    await proxy.cut();
    try {
      for (const document of documents) assertUnavailable(await anonymous.ask(document), document);
      assertUnavailable(await alice.ask('{ me { id } }'), 'me');
      assertUnavailable(await alice.ask('{ policy { defaultRegion } }'), 'policy, signed in');
      assert.deepEqual((await anonymous.ask('{ policy { defaultRegion } }')).data, { policy: { defaultRegion: 'US' } });
      assert.equal(await ready(), 503);
      const outbox = await fetch(`${service.url}/dev/outbox`);
      assertUnavailable({ ...((await outbox.json()) as Answer), status: outbox.status, headers: outbox.headers });
      assert.equal((await fetch(`${service.url}/healthz`)).status, 200);
    } finally {
      await proxy.heal();
    }

    assert.equal(await ready(), 200);
    assert.equal((await alice.me()).username, 'alice');
    expectMember(await anonymous.authenticate({ username: 'alice', password }), 'AuthenticateSuccess');
  });

  test('leaves no changes of an interrupted request', async () => {
    const lock = await holdLock(database, 'lock table sessions');
    const answer = anonymous.ask(signUpDocument);
    await lock.awaited();
    await lock.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    await lock.release();
    assertUnavailable(await answer);
    expectMember(await anonymous.createUser({ username: 'carol', password }), 'CreateUserSuccess');
  });

  test('is distinguished from an internal error by its code', async () => {
    const failWith = (code: string) =>
      db.execute(
        sql.raw(`create or replace function fail() returns trigger language plpgsql as $$
          begin raise exception 'broken' using errcode = '${code}'; end $$`),
      );
    await failWith('XX000');
    await db.execute(sql`create trigger fail before insert on users for each row execute function fail()`);
    const answerWith = async (code: string) => {
      await failWith(code);
      return anonymous.ask(signUpDocument);
    };
    try {
      // Disk full, too many connections, out of memory, shutdown, start, read-only, lock, deadlock,
      // serialization.
      for (const code of ['53100', '53300', '53200', '57P01', '57P03', '25006', '55P03', '40P01', '40001', '58030'])
        assertUnavailable(await answerWith(code), code);
      for (const code of ['42P01', '22001', 'P0001', 'XX000', '23502']) assertMasked(await answerWith(code));
    } finally {
      await db.execute(sql`drop function fail cascade`);
    }
  });
});

describe('a malformed request', () => {
  const post = (body: string) => {
    const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
    return fetch(`${service.url}/graphql`, { method: 'POST', headers, body });
  };

  test('gets the errors of its document or variables, and changes nothing', async () => {
    const wrong: [string, string, Record<string, unknown>?][] = [
      ['{', 'GRAPHQL_PARSE_FAILED'],
      ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
      ['mutation { createUser(input: { username: 1 }) { __typename } }', 'GRAPHQL_VALIDATION_FAILED'],
      ['mutation { checkOneTimePassword(tokenId: "x") { __typename } }', 'GRAPHQL_VALIDATION_FAILED'],
      ['mutation { sendOneTimePassword(tokenId: "x", purpose: NONE) { __typename } }', 'GRAPHQL_VALIDATION_FAILED'],
      ['mutation ($i: CreateUserInput!) { createUser(input: $i) { __typename } }', 'BAD_USER_INPUT'],
      ['mutation ($i: CreateUserInput!) { createUser(input: $i) { __typename } }', 'BAD_USER_INPUT', { i: null }],
    ];
    for (const [query, code, variables] of wrong) {
      const { data, errors, status } = await anonymous.ask(query, variables);
      assert.equal(errors?.[0]?.extensions.code, code, query);
      assert.ok(!data);
      assert.ok(status === 200 || status === 400, String(status));
      assert.deepEqual(Object.keys(errors![0]!.extensions), ['code']);
      const response = await post(JSON.stringify({ query, variables }));
      assert.equal(response.status, 400, query);
    }
  });

  test('by GET permits only queries, and only from clients that cannot be a page of another origin', async () => {
    const get = (query: string, headers: Record<string, string> = {}) =>
      fetch(`${service.url}/graphql?query=${encodeURIComponent(query)}`, { headers });
    const preflighted = { 'apollo-require-preflight': 'true' };
    const answer = await get('{ policy { defaultRegion } }', preflighted);
    assert.deepEqual(await answer.json(), { data: { policy: { defaultRegion: 'US' } } });
    assert.equal((await get('{ policy { defaultRegion } }')).status, 400);
    assert.equal((await get(signUpDocument, preflighted)).status, 405);
    expectMember(await anonymous.createUser({ username: 'carol' }), 'CreateUserSuccess');
  });

  test('is rejected if its body is too large', async () => {
    const query = `${signUpDocument} # ${'x'.repeat(70_000)}`;
    const response = await post(JSON.stringify({ query }));
    assert.equal(response.status, 413);
    const text = await response.text();
    assert.ok(Array.isArray(JSON.parse(text).errors), text);
    assert.doesNotMatch(text, /node_modules|stack/);
    expectMember(await anonymous.createUser({ username: 'carol' }), 'CreateUserSuccess');
  });
});
