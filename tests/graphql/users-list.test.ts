/** The list of users, its search, and a user by ID. */
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { expectError, expectMember } from '../support/client.js';
import { insertPeople, insertPerson, type Person } from '../support/people.js';
import { clear, startService } from '../support/service.js';

const service = await startService();

type Page = Awaited<ReturnType<Person['users']>>;

let root: Person;

async function start(): Promise<void> {
  await clear(service);
  root = await insertPerson(service, { username: 'root', role: 'superuser' });
}

/** Inserts users with numbered names and ascending join times. */
async function insertMany(count: number, name: string): Promise<Person[]> {
  const rows = Array.from({ length: count }, (_, index) => ({
    username: `${name}${index}`,
    // A search matches two identifiers of every second user.
    ...(index % 2 === 0 && { email: `${name}${count - index}@a.test` }),
  }));
  const people = await insertPeople(service, rows);
  const ids = sql.join(
    people.map(({ id }) => sql`${id}::uuid`),
    sql`, `,
  );
  await service.app.db.execute(sql`update users set date_joined = statement_timestamp() + nth * interval '1 ms'
    from unnest(array[${ids}]) with ordinality as joined (user_id, nth) where id = user_id`);
  return people;
}

/** Reads all pages in order, and runs a function between them. */
async function walk(
  args: { first: number; search?: string },
  between: (seen: string[]) => Promise<unknown> = async () => {},
): Promise<Page[]> {
  const pages: Page[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page = await root.users({ ...args, after });
    pages.push(page);
    if (!page.pageInfo.hasNextPage) return pages;
    after = page.pageInfo.endCursor;
    await between(pages.flatMap(idsOf));
  }
}

const idsOf = ({ nodes }: Page) => nodes.map(({ id }) => id);

describe('users', () => {
  beforeEach(start);

  test('returns each user once, newest first, for any page size', async () => {
    const people = await insertMany(23, 'person');
    const expected = [...people.map(({ id }) => id).reverse(), root.id];
    for (const first of [1, 2, 7, 23, 24, 100]) {
      const pages = await walk({ first });
      assert.deepEqual(pages.flatMap(idsOf), expected, `first: ${first}`);
      assert.equal(pages.length, Math.ceil(expected.length / first));
      for (const [index, { edges, nodes, pageInfo }] of pages.entries()) {
        assert.deepEqual(
          edges.map(({ node }) => node.id),
          nodes.map(({ id }) => id),
        );
        assert.deepEqual(pageInfo, {
          hasNextPage: index < pages.length - 1,
          hasPreviousPage: index > 0,
          startCursor: edges[0]!.cursor,
          endCursor: edges.at(-1)!.cursor,
        });
      }
    }
  });

  test('returns each user once if many joined at the same time', async () => {
    const people = await insertMany(20, 'person');
    await service.app.db.execute(sql`update users set date_joined = '2020-02-29T12:34:56.789Z' where not is_superuser`);
    const expected = new Set([root.id, ...people.map(({ id }) => id)]);
    for (const first of [1, 3, 20]) {
      const ids = (await walk({ first })).flatMap(idsOf);
      assert.equal(ids.length, expected.size, `first: ${first}`);
      assert.deepEqual(new Set(ids), expected);
      assert.equal(ids[0], root.id);
    }
  });

  test('a search returns each user once, by the first matching identifier', async () => {
    // All emails precede all usernames, so pages of usernames contain only listed users.
    const rows = Array.from({ length: 20 }, (_, index) => ({
      username: `late_${index + 10}`,
      email: `late.${index + 10}@a.test`,
    }));
    const ids = (await insertPeople(service, rows)).map(({ id }) => id);
    const last = await insertPerson(service, { username: 'late_last' });
    for (const first of [1, 3, 20, 21]) {
      const pages = await walk({ first, search: 'late' });
      assert.deepEqual(pages.flatMap(idsOf), [...ids, last.id], `first: ${first}`);
      assert.equal(pages.length, Math.ceil(21 / first));
    }
    assert.deepEqual((await walk({ first: 6, search: 'late_' })).flatMap(idsOf), [...ids, last.id]);
  });

  for (const search of [undefined, 'person'])
    test(`${search ? 'a search' : 'the list'} repeats and omits no user while others are created and deleted`, async () => {
      const people = await insertMany(20, 'person');
      const gone = new Set<string>();
      let round = 0;
      const pages = await walk({ first: 4, ...(search && { search }) }, async (seen) => {
        round += 1;
        await insertPerson(service, { username: `personnew${round}` });
        const unseen = people.map(({ id }) => id).filter((id) => !seen.includes(id) && !gone.has(id));
        // The user at the cursor, one before it, and one after it.
        for (const id of [seen.at(-1)!, seen.at(-3)!, unseen.at(-1)])
          if (id !== undefined && id !== root.id) {
            if (!seen.includes(id)) gone.add(id);
            expectMember(await root.deleteUser({ id }), 'DeleteUserSuccess');
          }
      });
      assert.ok(round >= 3, 'too few pages');
      const ids = pages.flatMap(idsOf);
      assert.equal(new Set(ids).size, ids.length, 'a user is repeated');
      for (const { id } of people) assert.equal(ids.includes(id), !gone.has(id));
    });

  test('an empty page has no cursors', async () => {
    const { edges, nodes, pageInfo } = await root.users({ search: 'nobody' });
    assert.deepEqual([edges, nodes], [[], []]);
    assert.deepEqual(pageInfo, { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null });
  });

  test('a page has 20 users by default, and 1 to 100 on request', async () => {
    await service.app.db.execute(
      sql`insert into users (username, username_key) select 'many' || n, 'many' || n from generate_series(1, 120) n`,
    );
    for (const [args, length] of [
      [{}, 20],
      [{ first: null }, 20],
      [{ first: 1 }, 1],
      [{ first: 100 }, 100],
    ] as const)
      assert.equal((await root.users(args)).nodes.length, length);
    for (const first of [0, -1, 101, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 1.5, '20' as unknown as number])
      await expectError(root.users({ first }), 'BAD_USER_INPUT', `first: ${first}`);
  });

  test('an invalid cursor is rejected', async () => {
    const forge = (text: string) => Buffer.from(text).toString('base64url');
    const id = root.id;
    const cursors = [
      '',
      ' ',
      'no cursor',
      id,
      forge('no cursor'),
      forge(id),
      forge(`2024-01-01T00:00:00.000Z`),
      forge(`2024-01-01T00:00:00.000Z no-id`),
      forge(`yesterday ${id}`),
      forge(`2024-01-01 ${id}`),
      forge(`2024-13-01T00:00:00.000Z ${id}`),
      forge(`2024-02-31T00:00:00.000Z ${id}`),
      forge(`2024-01-01T24:00:00.000Z ${id}`),
      forge(`0000-01-01T00:00:00.000Z ${id}`),
      forge(`-000001-01-01T00:00:00.000Z ${id}`),
      forge(`+275760-09-13T00:00:00.000Z ${id}`),
      forge(`2024-01-01T00:00:00.000Z ${id}\0`),
      forge(`2024-01-01T00:00:00.000Z' or true -- ${id}`),
      'A'.repeat(10_000),
      forge(':'),
      forge(':a\0'),
      forge(`:${'a'.repeat(601)}`),
    ];
    for (const after of cursors)
      for (const search of [null, 'a']) await expectError(root.users({ after, search }), 'BAD_USER_INPUT', after);
  });
});

describe('users by search', () => {
  const people = {
    alice: { username: 'Alice', email: 'Alice@Wonderland.example', phone: '+12025550101' },
    alan: { username: 'alan_turing', email: '1936@bletchley.example', phone: '+442079460123' },
    bob: { username: 'bob', email: 'ALONZO@church.example', phone: '+12025550202' },
    plus: { username: 'élodie', email: '+tagged@example.example' },
    percent: { username: 'ΟΔΟΣΑ', email: '%_@percent.example' },
  };
  const names = new Map<string, string>();

  before(async () => {
    await start();
    const inserted = await insertPeople(service, Object.values(people));
    for (const [index, name] of Object.keys(people).entries()) names.set(inserted[index]!.id, name);
    // No search below should find this user.
    names.set(root.id, 'root');
  });

  async function find(search: string): Promise<string[]> {
    const { nodes } = await root.users({ search, first: 100 });
    return nodes.map(({ id }) => names.get(id)!).sort();
  }

  const searches: [search: string, found: string[]][] = [
    ['a', ['alan', 'alice', 'bob']],
    ['AL', ['alan', 'alice', 'bob']],
    ['alice', ['alice']],
    ['ALICE', ['alice']],
    ['ＡＬＩＣＥ', ['alice']],
    ['alice@w', ['alice']],
    ['Alice@WONDERLAND.example', ['alice']],
    ['alonzo@', ['bob']],
    ['Élodie', ['plus']],
    ['ÉLO', ['plus']],
    ['οδο', ['percent']],
    ['ΟΔΟΣ', ['percent']],
    // Only prefixes.
    ['lice', []],
    ['wonderland', []],
    ['turing', []],
    ['alice ', []],
    [' alice', []],
    // By phone, in any format.
    ['+1202', ['alice', 'bob']],
    ['1202', ['alice', 'bob']],
    ['+1 (202) 555-01', ['alice']],
    ['+44', ['alan']],
    ['+12025550101', ['alice']],
    ['+', ['alan', 'alice', 'bob', 'plus']],
    ['5550101', []],
    // A text that begins like a number may be an email.
    ['1936@', ['alan']],
    ['1', ['alan', 'alice', 'bob']],
    ['1936@bletchley.example', ['alan']],
    ['+tagged', ['plus']],
    ['1x', []],
    ['+1x', []],
    ['(', []],
    ['-', []],
    // No wildcards.
    ['%', ['percent']],
    ['%_', ['percent']],
    ['_', []],
    ['a%', []],
    ['al_ce', []],
    ['\\', []],
    ["'", []],
    ["' or true --", []],
    ['a\0', []],
    ['\0', []],
    ['\ud800', []],
    ['\u{10ffff}', []],
    ['a'.repeat(300), []],
    ['a'.repeat(10_000), []],
  ];

  for (const [search, found] of searches)
    test(`finds ${found.join(', ') || 'no user'} by ${JSON.stringify(search.slice(0, 40))}`, async () => {
      assert.deepEqual(await find(search), found);
    });

  test('finds all users by an empty search', async () => {
    assert.equal((await find('')).length, 6);
  });

  test('finds the longest username, and continues after it', async () => {
    for (const letter of ['𐐀', 'İ']) {
      const longest = letter.repeat(150);
      const { id } = await insertPerson(service, { username: longest });
      names.set(id, letter);
      assert.deepEqual(await find(longest), [letter]);
      await insertPerson(service, { username: `${letter}z` });
      const page = { search: letter, first: 1 };
      const { nodes, pageInfo } = await root.users(page);
      const next = await root.users({ ...page, after: pageInfo.endCursor });
      assert.notEqual(next.nodes[0]!.id, nodes[0]!.id);
      assert.equal(next.nodes.length, 1);
    }
  });

  test('matches current identifiers, and not pending ones', async () => {
    const carol = await insertPerson(service, { username: 'carol', phone: '+12025550303', verified: true });
    names.set(carol.id, 'carol');
    await carol.updateUser({ phone: '+12025550404', username: 'karol' });
    assert.deepEqual(await find('+12025550303'), ['carol']);
    assert.deepEqual(await find('+12025550404'), []);
    assert.deepEqual(await find('carol'), []);
    assert.deepEqual(await find('karol'), ['carol']);
  });
});

describe('user', () => {
  beforeEach(start);

  test('returns a user by ID, with tokens and sessions', async () => {
    const alice = await insertPerson(service, { username: 'alice', email: 'alice@a.test' });
    const found = await root.user(alice.id);
    const { securityTokens, sessions } = found!;
    assert.deepEqual(found, { ...found, id: alice.id, username: 'alice', email: 'alice@a.test' });
    assert.deepEqual(securityTokens, [{ ...securityTokens[0], verified: false, failureCount: 0 }]);
    assert.deepEqual(sessions, [{ ...sessions[0], current: false }]);
  });

  test('is null for an unknown or invalid ID', async () => {
    const alice = await insertPerson(service, { username: 'alice' });
    await root.deleteUser({ id: alice.id });
    const absent = [alice.id, '00000000-0000-0000-0000-000000000000'];
    const malformed = ['', ' ', '0', 'alice', "' or true --", 'a'.repeat(10_000)];
    const almost = [`${root.id}\0`, `{${root.id}}`, root.id.replaceAll('-', '')];
    for (const id of [...absent, ...malformed, ...almost]) assert.equal(await root.user(id), null, id);
  });
});
