/** Every argument and input field of the schema as it is emitted, given what it should not be given: by all operations, also those that are still to come. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { Answer } from '../support/client.js';
import { caller, makeSuperuser, type Person, password, signUp } from '../support/people.js';
import { type Leaf, type SchemaOperation, schemaOperations, variablesOf } from '../support/schema-operations.js';
import { startService } from '../support/service.js';

const service = await startService({ OTP_SEND_INTERVAL_SECONDS: '0', OTP_SENDS_PER_HOUR: '0', OTP_SENDS_PER_DAY: '0' });
const { db } = service.app;
const root = await makeSuperuser(service);
const victim = await signUp(service, {
  username: 'victim',
  email: 'victim@example.com',
  phone: '+12025550199',
  password,
});
const anonymous = caller(service);

let people = 0;
/** Somebody new who asks, since what they ask for may end their session. */
async function asker(role: 'nobody' | 'ordinary' | 'superuser') {
  people += 1;
  if (role === 'nobody') return { as: anonymous, id: null };
  const person = await signUp(service, { username: `asker-${people}`, email: `asker-${people}@example.com`, password });
  if (role === 'superuser') await db.execute(sql`update users set is_superuser = true where id = ${person.id}`);
  return { as: person, id: person.id };
}

const fresh: Record<string, () => string> = {
  username: () => `made-${randomUUID()}`,
  email: () => `made-${randomUUID()}@example.com`,
  phone: () => `+1212555${String(Math.floor(Math.random() * 10_000)).padStart(4, '0')}`,
};

/** What an honest client could give, but for the proofs, which are wrong, and the ids, which are nobody's. */
function honest({ path, type, values }: Leaf): unknown {
  const name = path.at(-1)!;
  if (values) return values[0];
  if (name === 'tokenId') return victim.emailToken;
  if (name === 'id') return randomUUID();
  if (name === 'newPassword') return 'another horse battery';
  if (name === 'password') return password;
  if (name === 'identifier') return fresh.username!();
  if (fresh[name] !== undefined && path.length > 1) return name === 'username' ? fresh.username!() : undefined;
  if (type === 'Int') return 1;
  if (type === 'Boolean' || type === 'DateTime') return undefined;
  return 'wrong';
}

/** @param target the leaf that the question is about: of two that exclude each other, it is the one that is given */
function ask(
  by: Person | typeof anonymous,
  operation: SchemaOperation,
  give: (leaf: Leaf) => unknown,
  target?: Leaf,
): Promise<Answer> {
  const named = ['username', 'email', 'phone'];
  const chosen = operation.leaves.find(({ path }) => path.at(-1) === 'identifier');
  const byName = named.includes(target?.path.at(-1) ?? '');
  const excluded = (leaf: Leaf) =>
    chosen !== undefined && leaf !== target && (byName ? leaf === chosen : named.includes(leaf.path.at(-1)!));
  return by.ask(
    operation.document,
    variablesOf(operation, (leaf) => (excluded(leaf) ? undefined : give(leaf))),
  );
}

const texts = schemaOperations.flatMap((operation) =>
  operation.leaves
    .filter(({ type }) => type === 'String' || type === 'ID')
    .map((leaf) => ({ operation, leaf, name: `${operation.name}(${leaf.path.join('.')})` })),
);

/** In full, but for what a question of somebody else's may change: the throttles of the address that all guess at, and when somebody was last here. */
async function victimInFull(): Promise<unknown> {
  const { rows } = (await db.execute(
    sql`select id, username, email, phone, password_hash, is_active, is_staff, is_superuser from users where id in (${victim.id}, ${root.id}) order by id`,
  )) as unknown as { rows: unknown[] };
  const tokens = (await db.execute(
    sql`select * from security_tokens where user_id = ${victim.id} order by id`,
  )) as unknown as { rows: unknown[] };
  return { rows, tokens: tokens.rows, sessions: (await victim.sessions()).length };
}

function assertAnswered({ status, data, errors }: Answer, about: string): void {
  // Without ids and tokens, in which any letters may come together.
  const text = JSON.stringify({ data, errors }).replace(/[\w.-]{30,}/g, '');
  assert.ok(status < 500, `${about}: ${status} ${text}`);
  assert.doesNotMatch(
    text,
    /INTERNAL_SERVER_ERROR|SERVICE_UNAVAILABLE|syntax error|pg_|relation|drizzle|node_modules|\$2b\$|bcrypt/i,
    about,
  );
}

test('the schema has operations whose arguments are looked at here', () => {
  assert.ok(texts.length >= 40);
  assert.ok(texts.some(({ name }) => name === 'authenticate(input.password)'));
  assert.ok(texts.some(({ name }) => name === 'users(search)'));
});

describe('SQL has no effect', () => {
  const injections = [
    `' or '1'='1`,
    `' or 1=1; drop table users; --`,
    `victim' --`,
    `'; update users set is_superuser = true; --`,
    `\\'; select pg_sleep(10); --`,
    `" or ""="`,
    '$1 $$ $2',
    `') union select password_hash from users --`,
    '%',
    '_',
    `${victim.id}' or true --`,
    `${victim.emailToken}' or true --`,
    '{"a":1}',
    '{1,2}',
    "1'::int",
    '\0',
    '\ud800',
    'NaN',
    '\u2019; drop table users; \u02bc',
  ];

  for (const role of ['nobody', 'ordinary', 'superuser'] as const)
    for (const { operation, leaf, name } of texts)
      test(`in ${name}, asked by ${role === 'nobody' ? role : `somebody ${role}`}`, async () => {
        const before = await victimInFull();
        const { as } = await asker(role);
        for (const injection of injections) {
          const answer = await ask(as, operation, (each) => (each === leaf ? injection : honest(each)), leaf);
          const about = `${name}: ${injection}`;
          assertAnswered(answer, about);
          const found = JSON.stringify(answer.data ?? null);
          if (role === 'nobody') assert.ok(!found.includes(victim.id) && !found.includes('victim'), about);
        }
        assert.deepEqual(await victimInFull(), before);
      });
});

describe('what is no text is refused', () => {
  const others: Record<string, unknown> = {
    'a number': 12_345_678,
    'a number with a fraction': 1.5,
    true: true,
    false: false,
    'an object': { oneTimePassword: 'BCDF2345' },
    'an object that speaks like a text': { toString: 'BCDF2345', length: 8 },
    'an operator of another database': { $ne: null },
    'a list': ['BCDF2345'],
    'a list of lists': [['BCDF2345']],
    'an empty list': [],
    'an empty object': {},
  };
  for (const { operation, leaf, name } of texts)
    test(`in ${name}`, async () => {
      const { as } = await asker('ordinary');
      const wrong = { ...others, ...(leaf.required ? { null: null, nothing: undefined } : {}) };
      for (const [what, value] of Object.entries(wrong)) {
        // The specification lets a whole number stand for an id.
        if (leaf.type === 'ID' && what === 'a number') continue;
        const { status, data, errors } = await ask(
          as,
          operation,
          (each) => (each === leaf ? value : honest(each)),
          leaf,
        );
        assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', `${what}: ${JSON.stringify({ data, errors })}`);
        assert.equal(data, undefined, what);
        assert.ok(status < 500);
        // It may be a password in the wrong place.
        assert.doesNotMatch(JSON.stringify(errors), /BCDF2345|12345678/, what);
      }
    });
});

describe('no text is dear', () => {
  const greatest = 50_000;
  /** Just what the rules let through, just more, and as much as a request can hold. */
  const lengths = [150, 256, 257, greatest];
  const made: Record<string, (length: number) => string> = {
    a: (length) => 'a'.repeat(length),
    '@': (length) => '@'.repeat(length),
    '(': (length) => '('.repeat(length),
    '.': (length) => '.'.repeat(length),
    space: (length) => ' '.repeat(length),
    '1': (length) => '1'.repeat(length),
    '+1': (length) => `+${'1'.repeat(length - 1)}`,
    'a@a.a.a': (length) => `a@${'a.'.repeat(length / 2)}`,
    'a.a.a@': (length) => `${'a.'.repeat(length / 2)}@a.test`,
    'a-a-a': (length) => 'a-'.repeat(length / 2),
    'the longest ligature': (length) => '\ufdfa'.repeat(Math.min(length, 16_000)),
    'combining marks': (length) => `a${'\u0301\u0316'.repeat(Math.min(length, 16_000) / 2)}`,
    'p@ssw0rd': (length) => 'p@ssw0rd'.repeat(length / 8),
    'a date': (length) => '1.1.1991'.repeat(length / 8),
  };

  /** Of this process with all its threads, the client included, which a machine under load does not change. */
  async function workOf(work: () => Promise<void>): Promise<number> {
    const times: number[] = [];
    for (let round = 0; round < 3 && !times.some((time) => time < limitMilliseconds); round += 1) {
      const start = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(start);
      times.push((user + system) / 1000);
    }
    return Math.min(...times);
  }
  const limitMilliseconds = 100;

  for (const { operation, leaf, name } of texts)
    test(`in ${name}`, async () => {
      const { as } = await asker('superuser');
      for (const [what, make] of Object.entries(made))
        for (const length of lengths) {
          const text = make(length);
          const milliseconds = await workOf(async () => {
            const answer = await ask(as, operation, (each) => (each === leaf ? text : honest(each)), leaf);
            assertAnswered(answer, `${what}, ${length} characters`);
          });
          assert.ok(
            milliseconds < limitMilliseconds,
            `${what}, ${length} characters: ${milliseconds.toFixed(1)} ms of work`,
          );
        }
    });
});

describe('another’s id is answered like one that nobody has', () => {
  const takingIds = schemaOperations.filter(({ leaves }) => leaves.some(({ type }) => type === 'ID'));
  for (const operation of takingIds)
    test(`by ${operation.name}`, async () => {
      const { as } = await asker('ordinary');
      const [nobodys] = await anonymous.securityTokens('nobody@example.com');
      const session = (await victim.sessions())[0].id;
      const before = await victimInFull();
      const answerAbout = async (ids: { user: string; token: string; session: string }) => {
        const { status, data, errors } = await ask(as, operation, (leaf) => {
          if (leaf.type !== 'ID') return honest(leaf);
          if (leaf.path.at(-1) === 'tokenId') return ids.token;
          return operation.name.endsWith('Session') ? ids.session : ids.user;
        });
        return JSON.stringify({ status, data, errors }).replaceAll(/"\d{4}-\d\d-\d\dT[^"]*"/g, '"then"');
      };
      const madeUp = randomUUID();
      const another = await answerAbout({ user: victim.id, token: victim.phoneToken, session });
      const nobody = await answerAbout({ user: madeUp, token: nobodys.id, session: madeUp });
      assert.equal(another, nobody);
      assert.ok(!another.includes('victim') && !another.includes(victim.id));
      assert.deepEqual(await victimInFull(), before);
    });
});
