/** Who holds an address after an import: accounts here, and users of the source. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { importUsers } from '../../src/domain/import/import.js';
import type { ImportProblem } from '../../src/domain/import/imported-user.js';
import { readLine } from '../../src/domain/import/lines.js';
import { hmac } from '../../src/security/hmac.js';
import { idOfAddress, insertPerson, type PersonRow } from '../support/people.js';
import { clear, rows, startService } from '../support/service.js';

const service = await startService();
const { app } = service;

beforeEach(() => clear(service));

type Row = Record<string, unknown>;

async function* readAll(users: Row[]) {
  for (const [index, user] of users.entries()) yield readLine(JSON.stringify(user), index + 1);
}

async function importOnce(users: Row[], source: string, dryRun: boolean) {
  const problems: ImportProblem[] = [];
  const summary = await importUsers(app, readAll(users), {
    source,
    dryRun,
    onProblem: (problem) => void problems.push(problem),
    onNormalised: () => {},
    onBatch: async () => {},
  });
  return { summary, problems };
}

/** Imports users. Asserts that a dry run before it reports the same, and writes nothing. */
async function importRows(users: Row[], source = 'test') {
  const before = await everything();
  const dry = await importOnce(users, source, true);
  assert.equal(await everything(), before, 'a dry run writes nothing');
  const real = await importOnce(users, source, false);
  assert.deepEqual(dry, real, 'the dry run predicts the import');
  const { created, updated, unchanged, notTaken } = real.summary;
  return { problems: real.problems, counts: [created, updated, unchanged, notTaken] };
}

async function everything(): Promise<string> {
  const tables = ['users', 'security_tokens', 'pending_addresses', 'one_time_passwords', 'audit_events'];
  return JSON.stringify(
    await Promise.all(
      tables.map((table) => rows(service, sql.raw(`select xmin, ctid, t.* from ${table} t order by ctid`))),
    ),
  );
}

const describeProblems = (problems: ImportProblem[]) =>
  problems.map(({ id, field, code, holder }) => `${id} ${field} ${code} ${holder}`);

interface Account {
  username: string | null;
  email: string | null;
  phone: string | null;
  /** kind, state and address of each, in this order */
  addresses: string[];
}

/** Returns an account by its id, or by its source and source id. */
async function accountOf(id: string): Promise<Account & { id: string; isOwned: boolean }> {
  const [found] = await rows<Account & { id: string; isOwned: boolean }>(
    service,
    sql`select id, username, email, phone, first_verified_at is not null as "isOwned", array(
        select kind || case when verified_at is null then ' reserved ' else ' verified ' end || address
          from security_tokens t where t.user_id = users.id
        union all select kind || ' pending ' || address from pending_addresses p where p.user_id = users.id
        order by 1) as addresses
      from users where id::text = ${id} or imported_id = ${id}`,
  );
  assert.ok(found, `${id} exists`);
  return found;
}

const addressesOf = async (id: string) => (await accountOf(id)).addresses;

/** The subjects of events of a kind. */
const audited = async (kind: string) =>
  (
    await rows<{ subject_id: string; security_token_id: string }>(
      service,
      sql`select subject_id, security_token_id from audit_events where kind = ${kind} order by id`,
    )
  ).map((event) => [event.subject_id, event.security_token_id]);

const email = 'ada@example.com';
const phone = '+12025550123';
const insert = (row: PersonRow) => insertPerson(service, row);

/** Gives an account a pending email. */
async function addPending(userId: string, address = email): Promise<void> {
  await rows(
    service,
    sql`insert into pending_addresses (user_id, kind, token_id, address)
      values (${userId}, 'email', ${idOfAddress(service, address)}, ${address})`,
  );
}

describe('a new user', () => {
  test('gets verified addresses as verified, and the account an owner', async () => {
    await importRows([{ id: 1, email, emailVerified: true, phone, phoneVerified: true }]);
    const account = await accountOf('test:1');
    assert.deepEqual(account.addresses, [`email verified ${email}`, `phone verified ${phone}`]);
    assert.deepEqual([account.email, account.phone, account.isOwned], [email, phone, true]);
  });

  const cases: [title: string, row: Row, state: string][] = [
    ['reserved', {}, 'reserved'],
    ['pending beside a verified one', { phone, phoneVerified: true }, 'pending'],
    ['pending for an inactive account', { isActive: false }, 'pending'],
    ['pending for staff', { isStaff: true }, 'pending'],
    ['pending for a superuser', { isSuperuser: true }, 'pending'],
  ];
  for (const [title, row, state] of cases)
    test(`gets an unverified address as ${title}`, async () => {
      assert.deepEqual((await importRows([{ id: 1, email, ...row }])).counts, [1, 0, 0, 0]);
      const account = await accountOf('test:1');
      assert.equal(account.addresses[0], `email ${state} ${email}`);
      assert.equal(account.email, state === 'pending' ? null : email);
      assert.equal(account.isOwned, row.phoneVerified === true);
    });

  test('reserves the other address if the verified one is taken', async () => {
    await insert({ email, verified: true });
    const { problems } = await importRows([{ id: 1, email, emailVerified: true, phone }]);
    assert.deepEqual(describeProblems(problems), ['1 email TAKEN null']);
    assert.deepEqual(await addressesOf('test:1'), [`phone reserved ${phone}`]);
  });

  test('gets the failures of a pending address for this account only', async () => {
    await importRows([{ id: 1, email, isStaff: true, emailThrottle: { failureCount: 3 } }]);
    const { id } = await accountOf('test:1');
    assert.deepEqual(await rows(service, sql`select distinct token_id, failure_count from one_time_passwords`), [
      { token_id: `${idOfAddress(service, email)} ${id}`, failure_count: 3 },
    ]);
  });
});

describe('an unverified address', () => {
  for (const verified of [false, true])
    for (const isStaff of [false, true])
      test(`is taken if an account has it ${verified ? 'verified' : 'reserved'}${isStaff ? ', for staff too' : ''}`, async () => {
        const holder = await insert({ email, verified });
        const { problems, counts } = await importRows([{ id: 1, username: 'ada', email, isStaff }]);
        assert.deepEqual(describeProblems(problems), ['1 email TAKEN null']);
        assert.deepEqual(counts, [1, 0, 0, 0]);
        assert.deepEqual([await addressesOf('test:1'), (await accountOf(holder.id)).email], [[], email]);
      });

  test('is not taken by a pending claim', async () => {
    const holder = await insert({ username: 'early' });
    await addPending(holder.id);
    assert.deepEqual((await importRows([{ id: 1, email }])).problems, []);
    assert.deepEqual(await addressesOf('test:1'), [`email reserved ${email}`]);
    assert.deepEqual(await addressesOf(holder.id), [`email pending ${email}`]);
  });

  test('is taken by an earlier row, verified or reserved, but not by a pending one', async () => {
    const users = [
      { id: 1, email: 'a@example.com', emailVerified: true },
      { id: 2, username: 'two', email: 'A@example.com', isStaff: true },
      { id: 3, email: 'b@example.com' },
      { id: 4, username: 'four', email: 'B@example.com', isStaff: true },
      { id: 5, email: 'c@example.com', isStaff: true },
      { id: 6, email: 'C@example.com' },
    ];
    const { problems } = await importRows(users);
    assert.deepEqual(describeProblems(problems), ['2 email TAKEN 1', '4 email TAKEN 3']);
    assert.deepEqual(await addressesOf('test:5'), ['email pending c@example.com']);
    assert.deepEqual(await addressesOf('test:6'), ['email reserved C@example.com']);
    assert.deepEqual((await importRows(users)).counts, [0, 0, 6, 0]);
  });

  test('stays with the first row, even if that row has another conflict', async () => {
    await insert({ username: 'taken' });
    const { problems } = await importRows([
      { id: 1, username: 'taken', email },
      { id: 2, username: 'two', email },
    ]);
    assert.deepEqual(describeProblems(problems), ['1 username TAKEN null', '2 email TAKEN 1']);
    assert.deepEqual(await addressesOf('test:1'), [`email reserved ${email}`]);
  });
});

describe('a verified address', () => {
  const vouching = { id: 1, username: 'customer', email, emailVerified: true };

  test('wins over a reservation here, with a line in the report and an event', async () => {
    const thief = await insert({ email });
    const { problems, counts } = await importRows([vouching]);
    assert.deepEqual(counts, [1, 0, 0, 0]);
    assert.deepEqual(problems, [
      {
        id: '1',
        field: 'email',
        code: 'CLAIM_ENDED',
        value: email,
        holder: null,
        message: `This email is verified in the source. Account ${thief.id} of this service held it unverified and lost it.`,
      },
    ]);
    assert.deepEqual(await addressesOf('test:1'), [`email verified ${email}`]);
    assert.deepEqual(await audited('ADDRESS_LOST'), [[thief.id, idOfAddress(service, email)]]);
    assert.deepEqual((await importRows([vouching])).counts, [0, 0, 1, 0]);
  });

  test('leaves the loser another identifier, or a username', async () => {
    const [bare, named] = [await insert({ email }), await insert({ username: 'other', phone })];
    await importRows([vouching, { id: 2, phone, phoneVerified: true }]);
    const { username, email: left, addresses } = await accountOf(bare.id);
    assert.match(username ?? '', /^user-[a-z0-9]{10}$/);
    assert.deepEqual([left, addresses], [null, []]);
    const other = await accountOf(named.id);
    assert.deepEqual([other.username, other.phone, other.addresses], ['other', null, []]);
  });

  test('wins over every pending claim here', async () => {
    const claimants = [await insert({ username: 'one' }), await insert({ phone, verified: true })];
    for (const { id } of claimants) await addPending(id);
    const { problems } = await importRows([vouching, { id: 2, username: 'two' }]);
    assert.deepEqual(describeProblems(problems), ['1 email CLAIM_ENDED null', '1 email CLAIM_ENDED null']);
    for (const { id } of claimants) assert.doesNotMatch((await addressesOf(id)).join(), /email/);
    const tokenId = idOfAddress(service, email);
    assert.deepEqual((await audited('ADDRESS_LOST')).sort(), claimants.map(({ id }) => [id, tokenId]).sort());
    const notices = await rows(service, sql`select user_id, address_kind from delayed_notices`);
    assert.deepEqual(notices, [{ user_id: claimants[1]?.id, address_kind: 'email' }]);
  });

  test('does not win over a verified one', async () => {
    const owner = await insert({ email, verified: true });
    const { problems } = await importRows([vouching]);
    assert.deepEqual(describeProblems(problems), ['1 email TAKEN null']);
    assert.deepEqual([await addressesOf('test:1'), await addressesOf(owner.id)], [[], [`email verified ${email}`]]);
    assert.deepEqual(await audited('ADDRESS_LOST'), []);
  });

  // The claim of staff is pending, that of others reserved.
  for (const isStaff of [false, true])
    for (const batches of [1, 2])
      test(`wins over an earlier row that holds it ${isStaff ? 'pending' : 'reserved'}, in ${batches} batch${batches > 1 ? 'es' : ''}`, async () => {
        const fill = Array.from({ length: batches === 1 ? 0 : 500 }, (_, n) => ({ id: `fill${n}`, username: `f${n}` }));
        const { problems, counts } = await importRows([
          { id: 7, email: 'ADA@example.com', isStaff },
          ...fill,
          vouching,
        ]);
        assert.deepEqual(describeProblems(problems), ['1 email CLAIM_ENDED 7']);
        assert.match(problems[0]?.message ?? '', /User 7 of the source held it unverified/);
        assert.equal(counts[0], 2 + fill.length);
        assert.deepEqual(await addressesOf('test:1'), [`email verified ${email}`]);
        const loser = await accountOf('test:7');
        assert.match(loser.username ?? '', /^user-/);
        assert.deepEqual(loser.addresses, []);
        assert.deepEqual(await audited('ADDRESS_LOST'), [[loser.id, idOfAddress(service, email)]]);
      });

  test('wins over a user of another source', async () => {
    await importRows([{ id: 9, email }], 'other');
    const { problems } = await importRows([vouching]);
    const { id } = await accountOf('other:9');
    assert.deepEqual(describeProblems(problems), ['1 email CLAIM_ENDED null']);
    assert.match(problems[0]?.message ?? '', new RegExp(id));
  });

  test('ends the claim only once, although another identifier is taken', async () => {
    const holder = await insert({ email });
    await insert({ username: 'customer' });
    const { problems } = await importRows([vouching]);
    assert.deepEqual(describeProblems(problems), ['1 username TAKEN null', '1 email CLAIM_ENDED null']);
    assert.equal((await audited('ADDRESS_LOST')).length, 1);
    assert.deepEqual(await addressesOf(holder.id), []);
  });
});

describe('a repeated import', () => {
  const start = { id: 1, username: 'ada', email };

  test('verifies a reserved address that the source vouches for now', async () => {
    await importRows([{ ...start, phone }]);
    const claimant = await insert({ username: 'claimant' });
    await addPending(claimant.id);
    const { problems, counts } = await importRows([{ ...start, phone, emailVerified: true }]);
    assert.deepEqual([describeProblems(problems), counts], [['1 email CLAIM_ENDED null'], [0, 1, 0, 0]]);
    // The account is owned now, so the phone reserves nothing.
    assert.deepEqual(await addressesOf('test:1'), [`email verified ${email}`, `phone pending ${phone}`]);
    assert.deepEqual([(await accountOf('test:1')).isOwned, await addressesOf(claimant.id)], [true, []]);
  });

  test('verifies a pending address that the source vouches for now', async () => {
    await importRows([{ ...start, isStaff: true }]);
    await importRows([{ ...start, isStaff: true, emailVerified: true }]);
    const account = await accountOf('test:1');
    assert.deepEqual([account.addresses, account.email], [[`email verified ${email}`], email]);
  });

  test('reports a pending address that another account has verified meanwhile', async () => {
    await importRows([{ ...start, isStaff: true }]);
    await insert({ email, verified: true });
    const changed = [{ ...start, isStaff: true, emailVerified: true }];
    for (const counts of [
      [0, 1, 0, 0],
      [0, 0, 1, 0],
    ]) {
      const answer = await importRows(changed);
      assert.deepEqual([describeProblems(answer.problems), answer.counts], [['1 email TAKEN null'], counts]);
    }
    assert.deepEqual(await addressesOf('test:1'), [`email pending ${email}`]);
  });

  test('takes over an address although the new username is taken', async () => {
    await importRows([
      { ...start, isStaff: true },
      { id: 2, email },
    ]);
    await insert({ username: 'taken' });
    const changed = { ...start, username: 'taken', isStaff: true, emailVerified: true };
    const { problems } = await importRows([changed, { id: 2, email }]);
    assert.deepEqual(describeProblems(problems), ['1 username TAKEN null', '1 email CLAIM_ENDED 2']);
    assert.deepEqual([await addressesOf('test:1'), await addressesOf('test:2')], [[`email verified ${email}`], []]);
  });

  test('ends the claims of others to a new verified address', async () => {
    await importRows([{ ...start, emailVerified: true }]);
    const holder = await insert({ email: 'new@example.com' });
    const { problems } = await importRows([{ ...start, email: 'new@example.com', emailVerified: true }]);
    assert.deepEqual(describeProblems(problems), ['1 email CLAIM_ENDED null']);
    assert.deepEqual(await addressesOf('test:1'), ['email verified new@example.com']);
    assert.deepEqual(await audited('ADDRESS_LOST'), [[holder.id, idOfAddress(service, 'new@example.com')]]);
  });

  test('reserves a new unverified address of an account without an owner', async () => {
    await importRows([start]);
    await importRows([{ ...start, email: 'new@example.com' }]);
    const account = await accountOf('test:1');
    assert.deepEqual([account.addresses, account.email], [['email reserved new@example.com'], 'new@example.com']);
  });

  test('keeps the verified address in force beside a new unverified one', async () => {
    await importRows([{ ...start, emailVerified: true }]);
    const holder = await insert({ username: 'claimant' });
    await addPending(holder.id, 'new@example.com');
    assert.deepEqual((await importRows([{ ...start, email: 'new@example.com' }])).problems, []);
    assert.deepEqual(await addressesOf('test:1'), ['email pending new@example.com', `email verified ${email}`]);
    assert.equal((await accountOf('test:1')).email, email);
    assert.deepEqual(await addressesOf(holder.id), ['email pending new@example.com']);
  });

  test('reports a new unverified address that an account has reserved', async () => {
    await importRows([{ ...start, emailVerified: true }]);
    await insert({ email: 'new@example.com' });
    const { problems } = await importRows([{ ...start, email: 'new@example.com' }]);
    assert.deepEqual(describeProblems(problems), ['1 email TAKEN null']);
    assert.deepEqual(await addressesOf('test:1'), [`email verified ${email}`]);
  });

  test('removes addresses, but never the last identifier', async () => {
    await importRows([{ id: 1, username: 'ada', email, phone, phoneVerified: true }]);
    assert.deepEqual(await addressesOf('test:1'), [`email pending ${email}`, `phone verified ${phone}`]);
    await importRows([{ id: 1, username: 'ada', email }]);
    assert.deepEqual(await addressesOf('test:1'), [`email pending ${email}`]);
    await importRows([{ id: 1, email }]);
    const left = await accountOf('test:1');
    // A pending address identifies no account, so the username stays.
    assert.deepEqual([left.username, left.addresses], ['ada', [`email pending ${email}`]]);
    await importRows([{ id: 1 }]);
    const last = await accountOf('test:1');
    assert.deepEqual([last.username, last.addresses], ['ada', []]);
  });

  test('does not restore an address that was changed here', async () => {
    await importRows([start]);
    await rows(service, sql`update users set email = null, email_key = null`);
    await rows(service, sql`delete from security_tokens`);
    const holder = await insert({ email });
    assert.deepEqual((await importRows([{ ...start, emailVerified: true }])).problems, []);
    assert.deepEqual([await addressesOf('test:1'), (await accountOf(holder.id)).email], [[], email]);
  });

  for (const [title, flags] of [
    ['a role', { isStaff: true }],
    ['a deactivation', { isActive: false }],
  ] as const)
    test(`makes reserved addresses pending by ${title}`, async () => {
      await importRows([start]);
      assert.deepEqual((await importRows([{ ...start, ...flags }])).problems, []);
      assert.deepEqual(await addressesOf('test:1'), [`email pending ${email}`]);
      const [row] = await rows(service, sql`select is_staff as "isStaff", is_active as "isActive" from users`);
      assert.deepEqual(row, { isStaff: false, isActive: true, ...flags });
    });

  test('dates a changed password, which proves nothing for a day', async () => {
    const passwordHash = (text: string) =>
      `pbkdf2_sha256$1000$salt$${hmac(Buffer.from(text), 'test').toString('base64')}`;
    const changedAt = async () =>
      (
        await rows<{ recent: boolean | null }>(
          service,
          sql`select password_changed_at > now() - interval '1 minute' as recent from users`,
        )
      )[0]?.recent;
    await importRows([{ ...start, passwordHash: passwordHash('old') }]);
    assert.equal(await changedAt(), null);
    await importRows([{ ...start, passwordHash: passwordHash('new') }]);
    assert.equal(await changedAt(), true);
  });
});

test('a dry run predicts the import of users who claim the same addresses', async () => {
  const flag = fc.boolean();
  const rarely = fc.nat(5).map((n) => n === 0);
  const emails = fc.option(fc.constantFrom('a@example.com', 'b@example.com', 'c@example.com'), { nil: null });
  const phones = fc.option(fc.constantFrom(phone, '+12025550124'), { nil: null });
  const usernames = fc.option(fc.constantFrom('one', 'two', 'three'), { nil: null });
  const user = fc.record({
    username: usernames,
    email: emails,
    phone: phones,
    emailVerified: flag,
    phoneVerified: flag,
    isActive: rarely.map((inactive) => !inactive),
    isStaff: rarely,
  });
  const here = fc.record({ verified: flag, pending: emails });
  await fc.assert(
    fc.asyncProperty(
      here,
      fc.array(user, { maxLength: 8 }),
      fc.array(flag, { maxLength: 8 }),
      async (local, users, now) => {
        await clear(service);
        const holder = await insert({ email: 'a@example.com', verified: local.verified });
        const claimant = await insert({ username: 'two' });
        if (local.pending !== null) await addPending(claimant.id, local.pending);
        const first = users.map((user, id) => ({ id, ...user }));
        await importRows(first);
        await assertUnique();
        // The source vouches for more addresses.
        await importRows(first.map((user, n) => ({ ...user, emailVerified: user.emailVerified || now[n] === true })));
        await assertUnique();
        if (local.verified) assert.deepEqual(await addressesOf(holder.id), ['email verified a@example.com']);
      },
    ),
    { numRuns: Number(process.env.IMPORT_RUNS ?? 15) },
  );
});

/** Asserts that imported verified addresses have no other claims, and that every account has an identifier. */
async function assertUnique(): Promise<void> {
  const claims = await rows(
    service,
    sql`select from pending_addresses p join security_tokens t on t.id = p.token_id
      join users u on u.id = t.user_id where t.verified_at is not null and u.imported_id is not null`,
  );
  assert.equal(claims.length, 0);
  const bare = await rows(
    service,
    sql`select from users u where num_nonnulls(username, email, phone) = 0
      and not exists (select from pending_addresses p where p.user_id = u.id)`,
  );
  assert.equal(bare.length, 0);
}
