/** Usernames in every script and form have the same outcome in every database and locale. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import { operations } from '../support/client.js';
import { connect } from '../support/replicas.js';
import { createDatabase, startService } from '../support/service.js';
import { usernameCases } from '../support/usernames.js';

const password = 'correct horse battery';

const databases = [
  { name: 'the embedded database', url: 'memory:', lower: 'é' },
  {
    name: 'PostgreSQL in locale C',
    url: await createDatabase("template template0 locale_provider libc locale 'C'"),
    lower: 'É',
  },
  {
    name: 'PostgreSQL in locale C.UTF-8',
    url: await createDatabase("template template0 locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"),
    lower: 'é',
  },
];

/** Signs up with each username in order, and returns the outcomes. */
async function replay(url: string) {
  const service = await startService({ DATABASE_URL: url });
  const anyone = operations(service);
  const made = new Map<string, { id: string; tokenId: string }>();
  const outcomes: unknown[] = [];
  for (const [index, { username }] of usernameCases.entries()) {
    const answer = await anyone.createUser({ username, email: `${index}@example.com` });
    if (answer.__typename === 'CreateUserSuccess') {
      const { id, username: stored, securityTokens } = answer.user;
      made.set(username, { id, tokenId: securityTokens[0]!.id });
      outcomes.push({ username, stored });
    } else outcomes.push({ username, issues: answer.issues });
  }

  // One hash for all users: a password per user would take most of the time.
  await anyone.createUser({ email: 'everybody@example.com', password });
  await service.app.db.execute(
    sql`update users set password_hash = (select password_hash from users where email = 'everybody@example.com')`,
  );
  const found: unknown[] = [];
  for (const [index, { username, outcome, collidesWith = username }] of usernameCases.entries()) {
    // Alternates between the explicit and the inferred kind.
    const { __typename, user } = await anyone.authenticate({
      [index % 2 ? 'username' : 'identifier']: username,
      password,
    });
    const tokens: { id: string }[] = await anyone.securityTokens(username);
    found.push({ username, __typename, tokens: tokens.length });
    if (outcome === 'accept')
      assert.deepEqual({ id: user?.id, tokenId: tokens[0]?.id }, made.get(collidesWith), username);
  }
  return { outcomes, found };
}

const tables: Awaited<ReturnType<typeof replay>>[] = [];

for (const { name, url } of databases) {
  test(`${name} accepts, matches and rejects usernames as the table states`, async () => {
    const table = await replay(url);
    tables.push(table);
    for (const [index, { username, about, outcome, stored = username, collidesWith }] of usernameCases.entries()) {
      const actual = table.outcomes[index] as { stored?: string; issues?: { field: string; code: string }[] };
      if (outcome === 'reject') {
        assert.equal(actual.issues?.length, 1, about);
        assert.equal(actual.issues[0]!.field, 'username', about);
        assert.ok(['INVALID', 'TOO_LONG', 'BLANK'].includes(actual.issues[0]!.code), about);
      } else if (collidesWith === undefined) assert.deepEqual(actual, { username, stored }, about);
      else assert.deepEqual(actual, { username, issues: [{ field: 'username', code: 'TAKEN' }] }, about);
    }
  });
}

test('every database gives the same answers', () => {
  assert.equal(tables.length, databases.length);
  for (const table of tables) assert.deepEqual(table, tables[0]);
});

test('the databases differ in their own lower case', async () => {
  for (const { url, lower } of databases.slice(1)) {
    const { query } = await connect(url);
    assert.deepEqual(await query("select lower('É')"), [{ lower }]);
  }
});
