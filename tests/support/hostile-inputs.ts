/** Hostile values for every text argument: SQL, other types, and expensive texts. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import type { Answer } from './client.js';
import { type Caller, caller, makeSuperuser, type Person, password, signUp } from './people.js';
import { type Leaf, type SchemaOperation, schemaOperations, variablesOf } from './schema-operations.js';
import type { Service } from './service.js';
import { type Work, watchWork } from './work.js';

/** All arguments and input fields with a text. */
export const textArguments = schemaOperations.flatMap((operation) =>
  operation.leaves
    .filter(({ type }) => type === 'String' || type === 'ID')
    .map((leaf) => ({ operation, leaf, name: `${operation.name}(${leaf.path.join('.')})` })),
);

type Role = 'nobody' | 'ordinary' | 'superuser';

export interface HostileInputs {
  anonymous: Caller;
  victim: Person;
  /** A user with the role who may call the operation, without failed attempts. */
  asker(role: Role, operation: SchemaOperation): Promise<Caller>;
  /** Plausible values, except wrong secrets and unknown IDs. */
  honest(leaf: Leaf): unknown;
  /** @param target the tested leaf, which replaces leaves that exclude it */
  ask(by: Caller, operation: SchemaOperation, give: (leaf: Leaf) => unknown, target?: Leaf): Promise<Answer>;
  /** All rows, except those that other callers may change. */
  victimInFull(): Promise<unknown>;
}

/** Creates a superuser, and a user who must not change. */
export async function openHostileInputs(service: Service): Promise<HostileInputs> {
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
  const kept: Partial<Record<Role, Caller>> = {};
  const fresh: Record<string, () => string> = {
    username: () => `made-${randomUUID()}`,
    email: () => `made-${randomUUID()}@example.com`,
    phone: () => `+1212555${String(Math.floor(Math.random() * 10_000)).padStart(4, '0')}`,
  };
  return {
    anonymous,
    victim,
    async asker(role, operation) {
      if (role === 'nobody') return anonymous;
      const proves = operation.leaves.some(({ path }) => path.at(-1) === 'currentPassword');
      // Earlier operations may have revoked the session.
      if (!proves && kept[role] && (await kept[role].ask('{ me { id } }')).data?.me) return kept[role];
      people += 1;
      const names = { username: `asker-${people}`, email: `asker-${people}@example.com` };
      const person = await signUp(service, { ...names, password });
      if (role === 'superuser') await db.execute(sql`update users set is_superuser = true where id = ${person.id}`);
      kept[role] = person;
      return person;
    },
    honest({ path, type, values }) {
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
    },
    ask(by, operation, give, target) {
      const named = ['username', 'email', 'phone'];
      const chosen = operation.leaves.find(({ path }) => path.at(-1) === 'identifier');
      const byName = named.includes(target?.path.at(-1) ?? '');
      const excluded = (leaf: Leaf) =>
        chosen !== undefined && leaf !== target && (byName ? leaf === chosen : named.includes(leaf.path.at(-1)!));
      return by.ask(
        operation.document,
        variablesOf(operation, (leaf) => (excluded(leaf) ? undefined : give(leaf))),
      );
    },
    async victimInFull() {
      const { rows } = (await db.execute(
        sql`select id, username, email, phone, password_hash, is_active, is_staff, is_superuser from users where id in (${victim.id}, ${root.id}) order by id`,
      )) as unknown as { rows: unknown[] };
      const tokens = (await db.execute(
        sql`select * from security_tokens where user_id = ${victim.id} order by id`,
      )) as unknown as { rows: unknown[] };
      return { rows, tokens: tokens.rows, sessions: (await victim.sessions()).length };
    },
  };
}

function assertAnswered({ status, data, errors }: Answer, about: string): void {
  // Without IDs and tokens, which contain arbitrary letters.
  const text = JSON.stringify({ data, errors }).replace(/[\w.-]{30,}/g, '');
  assert.ok(status < 500, `${about}: ${status} ${text}`);
  assert.doesNotMatch(
    text,
    /INTERNAL_SERVER_ERROR|SERVICE_UNAVAILABLE|syntax error|pg_|relation|drizzle|node_modules|\$2b\$|bcrypt/i,
    about,
  );
}

/**
 * A superuser sends every text to every argument. A stranger and an ordinary user send half each.
 */
export function testInjections({ asker, ask, honest, victim, victimInFull }: HostileInputs): void {
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
  describe('SQL has no effect', () => {
    for (const role of ['nobody', 'ordinary', 'superuser'] as const)
      for (const [index, { operation, leaf, name }] of textArguments.entries())
        test(`in ${name}, sent by ${role === 'nobody' ? 'an anonymous caller' : `a caller with role ${role}`}`, async () => {
          const before = await victimInFull();
          const as = await asker(role, operation);
          const half = role === 'nobody' ? 0 : 1;
          const given = injections.filter((_, nth) => role === 'superuser' || (index + nth) % 2 === half);
          for (const injection of given) {
            const answer = await ask(as, operation, (each) => (each === leaf ? injection : honest(each)), leaf);
            const about = `${name}: ${injection}`;
            assertAnswered(answer, about);
            const found = JSON.stringify(answer.data ?? null);
            if (role === 'nobody') assert.ok(!found.includes(victim.id) && !found.includes('victim'), about);
          }
          assert.deepEqual(await victimInFull(), before);
        });
  });
}

export function testOtherTypes({ asker, ask, honest }: HostileInputs): void {
  const others: Record<string, unknown> = {
    'a number': 12_345_678,
    'a number with a fraction': 1.5,
    true: true,
    false: false,
    'an object': { oneTimePassword: 'BCDF2345' },
    'an object with the properties of a text': { toString: 'BCDF2345', length: 8 },
    'an operator of another database': { $ne: null },
    'a list': ['BCDF2345'],
    'a list of lists': [['BCDF2345']],
    'an empty list': [],
    'an empty object': {},
  };
  describe('a value that is not a text is rejected', () => {
    for (const { operation, leaf, name } of textArguments)
      test(`in ${name}`, async () => {
        const as = await asker('ordinary', operation);
        const wrong = { ...others, ...(leaf.required ? { null: null, nothing: undefined } : {}) };
        for (const [what, value] of Object.entries(wrong)) {
          // GraphQL accepts an integer as an ID.
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
          // The value may be a password in the wrong argument.
          assert.doesNotMatch(JSON.stringify(errors), /BCDF2345|12345678/, what);
        }
      });
  });
}

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
/** Just valid, just too long, and of maximum size. */
const lengths = [150, 256, 257, 50_000];

export const dearTexts = Object.entries(made).flatMap(([what, make]) =>
  lengths.map((length) => ({ what: `${what}, ${length} characters`, text: () => make(length), short: make(8) })),
);

/** A benchmark measures their time. */
export function testDearTexts({ asker, ask, honest }: HostileInputs): void {
  const workOf = watchWork();
  describe('an expensive text causes no more work than an ordinary text and a short text', () => {
    for (const { operation, leaf, name } of textArguments)
      test(`in ${name}`, async () => {
        const as = await asker('superuser', operation);
        const giving = (text: unknown) => () =>
          ask(as, operation, (each) => (each === leaf ? text : honest(each)), leaf);
        const { work: usual } = await workOf(giving(honest(leaf)));
        const workOfShort: Record<string, Work> = {};
        for (const { what, text, short } of dearTexts) {
          workOfShort[short] ??= (await workOf(giving(short))).work;
          const least = workOfShort[short];
          const { answer, work } = await workOf(giving(text()));
          assertAnswered(answer, what);
          for (const kind of ['statements', 'hashes', 'scores'] as const)
            assert.ok(
              work[kind].length <= Math.max(usual[kind].length, least[kind].length),
              `${what}: ${kind} ${work[kind].join(', ')}`,
            );
        }
      });
  });
}
