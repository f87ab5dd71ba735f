/** Random operations of several users, and invariants after each step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { outboxMessages } from '../../src/database/schema.js';
import type { SessionAndTokensFragment } from '../support/generated/graphql.js';
import { type Caller, caller, idOfAddress, makeSuperuser, password as rootPassword } from '../support/people.js';
import { advance, clear, startService } from '../support/service.js';
import { decodeJwt } from '../support/sessions.js';

const service = await startService({
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
  PASSWORD_MIN_SCORE: '0',
});
const anonymous = caller(service);

const purposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
type Purpose = (typeof purposes)[number];

/**
 * A user with a fixed address, so its counters can be followed. The account may be deleted and
 * recreated.
 */
const names = ['root', 'alice', 'bob', 'carol'] as const;
type Name = (typeof names)[number];
const emailOf = (name: Name) => `${name}@example.com`;
const tokenIds = Object.fromEntries(names.map((name) => [name, idOfAddress(service, emailOf(name))])) as Record<
  Name,
  string
>;

type Step =
  | { do: 'sign up'; who: Name; withPassword: boolean }
  | { do: 'sign in'; who: Name; password: 'right' | 'old' | 'wrong' }
  | { do: 'sign out' | 'refresh'; who: Name }
  | { do: 'send' | 'generate'; by: Name | null; who: Name; purpose: Purpose }
  | { do: 'check'; by: Name | null; who: Name; purpose: Purpose; which: Which }
  | { do: 'reset'; who: Name; which: Which }
  | { do: 'change password'; who: Name; current: 'right' | 'old' | 'wrong' | 'absent' }
  | { do: 'set password' | 'delete' | 'unlock'; by: Name; who: Name }
  | { do: 'change'; by: Name; who: Name; change: Record<string, string | boolean | null> }
  | { do: 'wait'; seconds: number };
/**
 * Which one-time password of the address: latest of the purpose, earlier, other purpose or address,
 * or invented.
 */
type Which = 'right' | 'earlier' | 'of another purpose' | 'of another address' | 'wrong';

const who = fc.constantFrom(...names);
const by = fc.option(who);
const purpose = fc.constantFrom(...purposes);
const which = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Which>('right') },
  { weight: 3, arbitrary: fc.constantFrom<Which>('earlier', 'of another purpose', 'of another address', 'wrong') },
);
const changes = fc.constantFrom<Record<string, string | boolean | null>>(
  { username: null },
  { email: null },
  { username: 'renamed' },
  { username: null, email: null },
  { phone: '+12025550123' },
  { email: 'new@example.com' },
  { isActive: false },
  { isActive: true },
  { isSuperuser: true },
  { isSuperuser: false },
  { isStaff: true },
  { isStaff: false },
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sign up' as const), who, withPassword: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('sign in' as const),
      who,
      password: fc.constantFrom('right' as const, 'right' as const, 'old' as const, 'wrong' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('sign out' as const, 'refresh' as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), by, who, purpose }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('generate' as const), by, who, purpose }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('check' as const), by, who, purpose, which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reset' as const), who, which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('change password' as const),
      who,
      current: fc.constantFrom('right' as const, 'old' as const, 'wrong' as const, 'absent' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('set password' as const, 'delete' as const, 'unlock' as const),
      by: who,
      who,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('change' as const), by: who, who, change: changes }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 2, 5, 60, 700, 4_000) }),
  },
);

/** Related steps that rarely meet by chance: two requests and checks of a one-time password. */
const proofs: fc.Arbitrary<Step[]> = fc
  .record({ who, purpose, which, waited: fc.boolean(), again: fc.boolean(), signedIn: fc.boolean() })
  .map(({ who, purpose, which, waited, again, signedIn }) => {
    const by = purpose === 'VERIFICATION' || signedIn ? who : null;
    const send: Step = { do: 'send', by, who, purpose };
    const use: Step =
      purpose === 'PASSWORD_RESET' ? { do: 'reset', who, which } : { do: 'check', by, who, purpose, which };
    return [...(waited ? [{ do: 'wait', seconds: 4_000 } as const] : []), send, ...(again ? [send] : []), use, use];
  });

/** A user sets a password after a sign-in. */
const choices: fc.Arbitrary<Step[]> = fc
  .record({ who, waited: fc.boolean() })
  .map(({ who, waited }) => [
    ...(waited ? [{ do: 'wait', seconds: 4_000 } as const] : []),
    { do: 'sign in', who, password: 'right' },
    { do: 'change password', who, current: 'right' },
    { do: 'sign in', who, password: 'old' },
  ]);

/** Superusers are created, and deactivate each other until one remains. */
const falls: fc.Arbitrary<Step[]> = fc
  .record({
    who: fc.constantFrom('alice' as const, 'bob' as const),
    last: fc.constantFrom<Step>(
      { do: 'delete', by: 'root', who: 'root' },
      { do: 'change', by: 'root', who: 'root', change: { isSuperuser: false } },
      { do: 'change', by: 'root', who: 'root', change: { isActive: false } },
    ),
    fall: fc.constantFrom('delete' as const, 'isSuperuser' as const, 'isActive' as const, 'themselves' as const),
  })
  .map(({ who, last, fall }) => [
    { do: 'wait', seconds: 4_000 },
    { do: 'sign in', who: 'root', password: 'right' },
    // Roles are for accounts with a verified address.
    { do: 'sign in', who, password: 'right' },
    { do: 'send', by: who, who, purpose: 'VERIFICATION' },
    { do: 'check', by: who, who, purpose: 'VERIFICATION', which: 'right' },
    { do: 'change', by: 'root', who, change: { isSuperuser: true } },
    { do: 'sign in', who, password: 'right' },
    ...(fall === 'delete' ? [{ do: 'delete', by: who, who: 'root' } as const] : []),
    ...(fall === 'themselves' ? [{ do: 'delete', by: who, who } as const] : []),
    ...(fall.startsWith('is') ? [{ do: 'change', by: 'root', who, change: { [fall]: false } } as const] : []),
    last,
    { do: 'delete', by: who, who },
  ]);

const histories = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: steps.map((step) => [step]) },
      { weight: 2, arbitrary: proofs },
      { weight: 1, arbitrary: choices },
      { weight: 1, arbitrary: falls },
    ),
    {
      minLength: 15,
      maxLength: 40,
      size: 'max',
    },
  )
  .map((all) => all.flat());

interface Made {
  text: string;
  name: Name;
  purpose: Purpose;
  /** the user who asked for it in a session; users who hold an address pending have their own */
  of: string | undefined;
  at: number;
  spent: boolean;
}

interface Session {
  token: string;
  refreshToken: string;
  as: Caller;
  /** when the session was opened, if by a sign-up */
  signedUpAt: number | null;
  /** when a one-time password was accepted in the session */
  provedAt: number | null;
  /** when the current password was sent in the session */
  passwordSentAt: number | null;
}

/** The knowledge of the users. The tables contain that of the service. */
class World {
  readonly passwords: Partial<Record<Name, string>> = {};
  readonly oldPasswords: Partial<Record<Name, string>> = {};
  readonly sessions: Partial<Record<Name, Session>> = {};
  readonly made: Made[] = [];
  seconds = 0;
  private passwordCount = 0;

  newPassword(): string {
    this.passwordCount += 1;
    return `violin under the stairs ${this.passwordCount}`;
  }

  openSession(
    name: Name,
    tokens: Pick<SessionAndTokensFragment, 'accessToken' | 'refreshToken'>,
    session: Partial<Pick<Session, 'signedUpAt' | 'provedAt' | 'passwordSentAt'>> = {},
  ): void {
    const { accessToken: token, refreshToken } = tokens;
    assert.ok(refreshToken);
    const { signedUpAt = null, provedAt = null, passwordSentAt = null } = session;
    const as = caller(service, { token });
    this.sessions[name] = { token, refreshToken, as, signedUpAt, provedAt, passwordSentAt };
  }

  /** Returns the current password, which the named session is about to send. */
  sendPassword(name: Name): string | undefined {
    const session = this.sessions[name];
    if (session !== undefined) session.passwordSentAt = this.seconds;
    return this.passwords[name];
  }

  /** The user of the named session. */
  userOf(name: Name | null): string | undefined {
    const session = name === null ? undefined : this.sessions[name];
    return session && String(decodeJwt(session.token).payload.sub);
  }

  as(name: Name | null): Caller {
    return (name !== null && this.sessions[name]?.as) || anonymous;
  }

  setPassword(name: Name, text: string): void {
    const old = this.passwords[name];
    if (old !== undefined) this.oldPasswords[name] = old;
    this.passwords[name] = text;
  }
}

interface Row {
  id: string;
  password_hash: string | null;
  is_active: boolean;
  is_staff: boolean;
  is_superuser: boolean;
  identifiers: number;
  verified: boolean | null;
}

interface State {
  users: Map<string, Row>;
  counts: Map<string, number>;
  activeSuperusers: number;
}

async function look(): Promise<State> {
  const rows = async <T>(query: ReturnType<typeof sql>) =>
    ((await service.app.db.execute(query)) as unknown as { rows: T[] }).rows;
  const users = await rows<Row>(
    sql`select users.id, password_hash, is_active, is_staff, is_superuser, num_nonnulls(username, email, phone) + (select count(*) from pending_addresses where user_id = users.id) as identifiers, first_verified_at is not null as verified from users`,
  );
  const counts = await rows<{ key: string; count: number }>(
    sql`select token_id || ' ' || purpose as key, failure_count as count from one_time_passwords`,
  );
  return {
    users: new Map(users.map((row) => [row.id, row])),
    counts: new Map(counts.map(({ key, count }) => [key, Number(count)])),
    activeSuperusers: users.filter((row) => row.is_superuser && row.is_active).length,
  };
}

/** The permitted changes of a step. */
interface Allowed {
  /**
   * users whose password may change, by ID; or a newly verified user, whose password may be removed
   */
  passwordOf?: string | undefined;
  passwordGone?: boolean;
  /** the counter that may fall */
  countOf?: string[];
  roles?: boolean;
}

/** The ID of the user who has verified or reserved the address. */
async function holderOf(name: Name): Promise<string | undefined> {
  const { rows } = (await service.app.db.execute(
    sql`select user_id from security_tokens where id = ${tokenIds[name]}`,
  )) as unknown as { rows: { user_id: string }[] };
  return rows[0]?.user_id;
}

/** The ID of the user who holds the address, pending or not. */
async function ownerOf(name: Name): Promise<string | undefined> {
  const { rows } = (await service.app.db.execute(
    sql`select user_id from pending_addresses where token_id = ${tokenIds[name]} order by created_at, user_id`,
  )) as unknown as { rows: { user_id: string }[] };
  return (await holderOf(name)) ?? rows[0]?.user_id;
}

/** Asserts that a code to an address led to the account that holds it, or to a new one. */
function assertOwner(userId: string, holder: string | undefined, before: State): void {
  if (holder === undefined) assert.ok(!before.users.has(userId), 'another user was authenticated');
  else assert.equal(userId, holder, 'another user was authenticated');
}

/** The counters of an address, of the users who hold it pending too. */
function countersOf(name: Name, purposes: readonly Purpose[], userIds: Iterable<string>): string[] {
  const ids = [tokenIds[name], ...[...userIds].map((userId) => `${tokenIds[name]} ${userId}`)];
  return ids.flatMap((id) => purposes.map((purpose) => `${id} ${purpose}`));
}

function pick(world: World, name: Name, purpose: Purpose, which: Which): Made | undefined {
  const all = world.made.toReversed();
  const same = all.filter((made) => made.name === name && made.purpose === purpose);
  if (which === 'right') return same[0];
  if (which === 'earlier') return same[1];
  if (which === 'of another purpose') return all.find((made) => made.name === name && made.purpose !== purpose);
  if (which === 'of another address') return all.find((made) => made.name !== name && made.purpose === purpose);
  return undefined;
}

/**
 * Asserts that an accepted one-time password was the latest of its address and purpose, unused and
 * not expired.
 */
function assertGood(world: World, name: Name, purpose: Purpose, made: Made | undefined): void {
  assert.ok(made !== undefined, 'an invented one-time password was accepted');
  const isLike = ({ name: of, purpose: its, of: user }: Made) =>
    of === name && its === purpose && (purpose !== 'VERIFICATION' || user === made.of);
  assert.equal(
    made,
    world.made.findLast(isLike),
    'another one than the last made for the address and purpose has worked',
  );
  assert.ok(!made.spent, 'a used one-time password was accepted');
  assert.ok(world.seconds - made.at <= 605, `one of ${world.seconds - made.at} seconds ago has worked`);
  made.spent = true;
}

/** @param before the state before the step */
async function take(world: World, step: Step, before: State): Promise<Allowed> {
  switch (step.do) {
    case 'wait':
      world.seconds += step.seconds;
      await advance(service, step.seconds);
      return {};
    case 'sign up': {
      const text = step.withPassword ? world.newPassword() : undefined;
      const { tokens } = await anonymous.createUser({
        username: step.who,
        email: emailOf(step.who),
        password: text,
      });
      if (!tokens) return {};
      delete world.passwords[step.who];
      delete world.oldPasswords[step.who];
      if (text !== undefined) world.passwords[step.who] = text;
      world.openSession(step.who, tokens, { signedUpAt: world.seconds });
      return {};
    }
    case 'sign in': {
      const texts = { right: world.passwords[step.who], old: world.oldPasswords[step.who], wrong: 'wrong' };
      const text = texts[step.password];
      const answer = await anonymous.authenticate({ email: emailOf(step.who), password: text ?? 'no password' });
      if (answer.__typename !== 'AuthenticateSuccess') return {};
      assert.equal(text, world.passwords[step.who], 'a password other than the current one was accepted');
      assert.ok(answer.user.isActive);
      world.openSession(step.who, answer.tokens);
      return {};
    }
    case 'sign out':
      if (world.sessions[step.who] !== undefined) await anonymous.signOut(world.sessions[step.who]!.refreshToken);
      delete world.sessions[step.who];
      return {};
    case 'refresh': {
      const session = world.sessions[step.who];
      if (session === undefined) return {};
      const { tokens } = await anonymous.refreshSession(session.refreshToken);
      if (tokens) world.openSession(step.who, tokens, session);
      else delete world.sessions[step.who];
      return {};
    }
    case 'send': {
      const kept = await service.app.db.$count(outboxMessages);
      await world
        .as(step.by)
        .ask(
          `mutation { sendOneTimePassword(tokenId: "${tokenIds[step.who]}", purpose: ${step.purpose}) { __typename ... on IdentityError { code } } }`,
        );
      const messages = await service.app.outbox();
      const [message] = messages
        .slice(0, messages.length - kept)
        .filter(({ to, oneTimePassword }) => oneTimePassword !== null && to === emailOf(step.who));
      if (message)
        world.made.push({
          text: message.oneTimePassword!,
          name: step.who,
          purpose: step.purpose,
          of: world.userOf(step.by),
          at: world.seconds,
          spent: false,
        });
      return {};
    }
    case 'generate': {
      const { data } = await world
        .as(step.by)
        .ask(
          `mutation { generateOneTimePassword(tokenId: "${tokenIds[step.who]}", purpose: ${step.purpose}) { ... on GenerateOneTimePasswordSuccess { oneTimePassword } ... on IdentityError { code } } }`,
        );
      const text = data?.generateOneTimePassword?.oneTimePassword;
      const { who: name, purpose } = step;
      // It replaces that of the user who has verified the address.
      if (text) world.made.push({ text, name, purpose, of: await holderOf(name), at: world.seconds, spent: false });
      return {};
    }
    case 'check': {
      const made = pick(world, step.who, step.purpose, step.which);
      const holder = await holderOf(step.who);
      const { data } = await world
        .as(step.by)
        .ask(
          `mutation ($text: String!) { checkOneTimePassword(tokenId: "${tokenIds[step.who]}", oneTimePassword: $text, purpose: ${step.purpose}) { ... on CheckOneTimePasswordSuccess { user { id isActive } tokens { accessToken refreshToken } } ... on IdentityError { code } } }`,
          { text: made?.text ?? 'WRONG222' },
        );
      const { user, tokens } = data?.checkOneTimePassword ?? {};
      if (user === undefined) return {};
      assertGood(world, step.who, step.purpose, made);
      assert.notEqual(
        step.purpose,
        'PASSWORD_RESET',
        'a one-time password for a reset was accepted for another purpose',
      );
      if (step.purpose === 'VERIFICATION') assert.equal(user.id, world.userOf(step.by));
      else assertOwner(user.id, holder, before);
      assert.ok(user.isActive);
      const signedUpAt = before.users.has(user.id) ? null : world.seconds;
      if (tokens) world.openSession(step.who, tokens, { signedUpAt });
      else world.sessions[step.by!]!.provedAt = world.seconds;
      const after = (await look()).users.get(user.id)!;
      if (after.password_hash === null) delete world.passwords[step.who];
      const countOf = countersOf(step.who, [step.purpose], [user.id]);
      return { passwordOf: user.id, passwordGone: true, countOf };
    }
    case 'reset': {
      const made = pick(world, step.who, 'PASSWORD_RESET', step.which);
      const holder = await holderOf(step.who);
      const newPassword = world.newPassword();
      const answer = await anonymous.resetPassword({
        tokenId: tokenIds[step.who],
        oneTimePassword: made?.text ?? 'WRONG222',
        newPassword,
      });
      if (answer.user === undefined) return {};
      assertGood(world, step.who, 'PASSWORD_RESET', made);
      assertOwner(answer.user.id, holder, before);
      world.setPassword(step.who, newPassword);
      const signedUpAt = before.users.has(answer.user.id) ? null : world.seconds;
      world.openSession(step.who, answer.tokens, { signedUpAt });
      return { passwordOf: answer.user.id, countOf: [`${tokenIds[step.who]} PASSWORD_RESET`] };
    }
    case 'change password': {
      const texts = { old: world.oldPasswords[step.who], wrong: 'wrong', absent: undefined };
      const earlier = world.sessions[step.who];
      const proofs = earlier && { ...earlier };
      const currentPassword = step.current === 'right' ? world.sendPassword(step.who) : texts[step.current];
      const newPassword = world.newPassword();
      const { data } = await world
        .as(step.who)
        .ask(
          'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { ... on ChangePasswordSuccess { user { id } } ... on IdentityError { code } } }',
          {
            input: { currentPassword, newPassword },
          },
        );
      const id = data?.changePassword?.user?.id;
      if (id === undefined) return {};
      if (currentPassword === undefined) {
        const { signedUpAt, provedAt, passwordSentAt } = proofs!;
        const isWithin = (at: number | null, seconds: number) => at !== null && world.seconds - at <= seconds + 5;
        const { password_hash, verified } = before.users.get(id)!;
        // A one-time password gives an account its first password, and changes none.
        const isProven = password_hash === null && (!verified || isWithin(provedAt, 600));
        assert.ok(
          isProven || isWithin(signedUpAt, 3_600) || isWithin(passwordSentAt, 600),
          'changed without the current one and without a proof',
        );
      } else
        assert.equal(currentPassword, world.passwords[step.who], 'changed by a password other than the current one');
      world.setPassword(step.who, newPassword);
      return { passwordOf: id };
    }
    case 'set password': {
      const id = await ownerOf(step.who);
      if (id === undefined) return {};
      const newPassword = world.newPassword();
      const { data } = await world
        .as(step.by)
        .ask(
          `mutation ($p: String!) { setUserPassword(id: "${id}", newPassword: $p) { ... on SetUserPasswordSuccess { user { id } } ... on IdentityError { code } } }`,
          { p: newPassword },
        );
      if (data?.setUserPassword?.user === undefined) return {};
      assert.ok(isSuperuser(world, step.by, before), `${step.by} is no superuser`);
      world.setPassword(step.who, newPassword);
      return { passwordOf: id };
    }
    case 'delete': {
      const id = await ownerOf(step.who);
      if (id === undefined) return {};
      const bySuperuser = isSuperuser(world, step.by, before);
      const { data } = await world
        .as(step.by)
        .ask(
          `mutation ($p: String) { deleteUser(id: "${id}", currentPassword: $p) { ... on DeleteUserSuccess { id } ... on IdentityError { code } } }`,
          { p: step.by === step.who ? world.sendPassword(step.by) : null },
        );
      if (data?.deleteUser?.id !== undefined)
        assert.ok(bySuperuser || step.by === step.who, 'another user was deleted');
      return {};
    }
    case 'unlock': {
      const { data } = await world
        .as(step.by)
        .ask(
          `mutation { unlockSecurityToken(tokenId: "${tokenIds[step.who]}") { ... on UnlockSecurityTokenSuccess { securityToken { id } } ... on IdentityError { code } } }`,
        );
      const unlocked = data?.unlockSecurityToken != null;
      return unlocked ? { countOf: countersOf(step.who, purposes, before.users.keys()) } : {};
    }
    case 'change': {
      const id = await ownerOf(step.who);
      if (id === undefined) return {};
      const bySuperuser = isSuperuser(world, step.by, before);
      const { data } = await world
        .as(step.by)
        .ask(
          'mutation ($id: ID!, $input: UpdateUserInput!, $p: String) { updateUser(id: $id, input: $input, currentPassword: $p) { ... on UpdateUserSuccess { user { id } } ... on IdentityError { code } } }',
          { id, input: step.change, p: step.by === step.who ? world.sendPassword(step.by) : null },
        );
      if (data?.updateUser?.user === undefined) return {};
      assert.ok(
        bySuperuser || step.by === step.who || roleOf(world, step.by, before)?.is_staff === true,
        'another user was changed',
      );
      return { roles: bySuperuser };
    }
  }
}

/** Finds the user of the named session, because another user may have taken the address since. */
function roleOf(world: World, name: Name, { users }: State): Row | undefined {
  const session = world.sessions[name];
  return session && users.get(String(decodeJwt(session.token).payload.sub));
}

function isSuperuser(world: World, name: Name, state: State): boolean {
  return roleOf(world, name, state)?.is_superuser === true;
}

function assertInvariants(before: State, after: State, allowed: Allowed): void {
  for (const [id, user] of after.users) {
    assert.ok(Number(user.identifiers) > 0, 'a user has no identifier');
    const earlier = before.users.get(id);
    if (earlier === undefined) continue;
    if (user.password_hash !== earlier.password_hash) {
      assert.equal(allowed.passwordOf, id, 'a password changed without a proof');
      if (allowed.passwordGone) {
        assert.equal(user.password_hash, null, 'a sign-in set a password');
        assert.ok(!earlier.verified, 'a sign-in removed the password of a verified user');
      }
    }
    const { is_staff, is_superuser } = user;
    if (!allowed.roles)
      assert.deepEqual(
        { is_staff, is_superuser },
        { is_staff: earlier.is_staff, is_superuser: earlier.is_superuser },
        'a role changed without a superuser',
      );
  }
  for (const [key, count] of before.counts)
    if (!allowed.countOf?.includes(key))
      assert.ok(
        (after.counts.get(key) ?? 0) >= count,
        `the count of ${key} fell from ${count} to ${after.counts.get(key)}`,
      );
  assert.ok(after.activeSuperusers > 0, 'no active superuser is left');
}

test('after each step of several users in any order, the invariants hold', async (t) => {
  let taken = 0;
  const worked: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      await clear(service);
      const world = new World();
      const root = await makeSuperuser(service, { username: 'root', email: emailOf('root') });
      world.passwords.root = rootPassword;
      world.openSession('root', root.tokens);
      let before = await look();
      for (const name of ['alice', 'bob'] as const)
        await take(world, { do: 'sign up', who: name, withPassword: true }, before);
      before = await look();
      for (const [index, step] of history.entries()) {
        try {
          const allowed = await take(world, step, before);
          const after = await look();
          assertInvariants(before, after, allowed);
          before = after;
          taken += 1;
          if (Object.keys(allowed).length > 0) worked[step.do] = (worked[step.do] ?? 0) + 1;
        } catch (error) {
          throw new Error(`step ${index}, ${JSON.stringify(step)}: ${(error as Error).message}`, { cause: error });
        }
      }
    }),
    { numRuns: 25, includeErrorInReport: true },
  );
  t.diagnostic(`${taken} steps; of those that could change something, did: ${JSON.stringify(worked)}`);
  for (const step of ['check', 'change']) assert.ok((worked[step] ?? 0) > 0, `no ${step} has worked`);
});
