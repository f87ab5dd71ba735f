/** Random histories of the ownership model, replayed on the service. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { importUsers } from '../../src/domain/import/import.js';
import { readLine } from '../../src/domain/import/lines.js';
import { TopLevelError } from '../support/client.js';
import { attacks, counterexamples, rareHistories, readers } from '../support/ownership-examples.js';
import { histories, readerTables } from '../support/ownership-histories.js';
import {
  type Action,
  actorIn,
  chooseAccount,
  chooseCode,
  chooseSession,
  type Do,
  describeAccount,
  findUsername,
  kindOf,
  type Person,
  type Result,
  type State,
  start,
  take,
  usernames,
  type World,
} from '../support/ownership-model.js';
import { type Caller, caller, idOfAddress, makeSuperuser, password, signIn } from '../support/people.js';
import { advance, clear, rows, startService } from '../support/service.js';

const { ROUNDS } = process.env;
/** The usual run is always the same. More rounds search new histories. */
const run = ROUNDS === undefined ? { numRuns: 25, seed: 1 } : { numRuns: Number(ROUNDS) };
const year = String(365 * 86_400);
const service = await startService({
  OTP_SEND_INTERVAL_SECONDS: '0',
  OTP_SENDS_PER_HOUR: '0',
  OTP_SENDS_PER_DAY: '0',
  SMS_PREFIX_SENDS_PER_HOUR: '0',
  PASSWORD_MIN_SCORE: '0',
  SESSION_TTL_SECONDS: year,
  SESSION_IDLE_TTL_SECONDS: year,
});
const { app } = service;
const anonymous = caller(service);

const passwords: Record<Person, string> = {
  alice: 'violin under the stairs',
  bob: 'kettle behind the curtain',
  mallory: 'ladder over the fence',
};
const root = { username: 'root', password };

interface Session {
  id: string;
  as: Caller;
  refreshToken: string;
}

/** What the service answered. */
interface Answer {
  type: string;
  issue?: string | undefined;
  opened?: Session;
}

/** One history on the service, beside the model. */
class Replay {
  private state: State = start;
  /** By IDs of the model. */
  private readonly users = new Map<number, string>();
  private readonly sessions = new Map<number, Session>();
  private readonly codes = new Map<number, string>();
  private messageCount = 0;
  private importCount = 0;
  private hasSuperuser = false;

  constructor(private readonly world: World) {}

  async step(action: Action): Promise<Result> {
    const before = this.state;
    const { state: after, result } = take(this.world, before, action);
    if (result.type !== 'SKIPPED') {
      const { opened, ...answer } = await this.run(before, action);
      const { type, issue } = result;
      assert.deepEqual({ issue: undefined, ...answer }, { type, issue });
      assert.equal(opened !== undefined, result.opened !== undefined, 'a session is opened');
      if (opened && result.opened !== undefined) this.sessions.set(result.opened, opened);
    }
    this.state = after;
    await this.compareCodes(before, after);
    await this.compareAccounts(after);
    return result;
  }

  private async run(state: State, action: Action): Promise<Answer> {
    const session = 'session' in action && action.session !== null ? this.sessionOf(state, action) : undefined;
    const as = session?.as ?? anonymous;
    const by = this.personOf(state, action);
    const proof = 'currentPassword' in action && action.currentPassword && by ? { currentPassword: passwords[by] } : {};
    switch (action.do) {
      case 'sign up':
        return read(anonymous.createUser(this.toNewUser(action)));
      case 'set address':
        return read(as.updateUser({ [kindOf(action.address)]: action.address }, proof));
      case 'remove address':
        return read(as.updateUser({ [action.kind]: null }, proof));
      case 'set username':
        return read(
          as.updateUser({ username: action.username === null || !by ? null : usernames(by)[action.username] }, proof),
        );
      case 'send':
        return read(as.sendOneTimePassword(idOfAddress(service, action.address), action.purpose));
      case 'enter':
        return this.enter(state, action, as);
      case 'change password':
        return read(as.changePassword({ ...proof, newPassword: passwords[this.need(by)] }));
      case 'reauthenticate':
        return read(as.reauthenticate(passwords[this.need(by)]));
      case 'sign in':
        return read(
          anonymous.authenticate({
            identifier: action.identifier === 'username' ? findUsername(state, action.by) : action.identifier,
            password: passwords[action.by],
          }),
        );
      case 'sign out':
        await anonymous.signOut(this.need(session).refreshToken);
        return { type: 'SignOutSuccess' };
      case 'revoke other sessions':
        return read(as.revokeOtherSessions());
      case 'delete account':
        return read(as.deleteUser(proof));
      case 'import':
        return this.import(action);
      case 'set active':
        return this.setActive(state, action);
      case 'steal':
        return { type: 'DONE' };
      case 'wait':
        await advance(service, action.seconds);
        return { type: 'DONE' };
    }
  }

  private need<Value>(value: Value | null | undefined): Value {
    assert.ok(value != null);
    return value;
  }

  private sessionOf(state: State, action: Extract<Action, { session: number | null }>): Session | undefined {
    const reader =
      action.do === 'enter' ? this.world.readers[this.need(chooseCode(state, action.code)).address] : undefined;
    const session = chooseSession(state, action.session ?? 0, reader);
    return session && this.need(this.sessions.get(session.id));
  }

  /** The person who acts in a session. */
  private personOf(state: State, action: Action): Person | null {
    if (!('thief' in action)) return null;
    const session = chooseSession(state, action.session);
    return session ? actorIn(session, action) : null;
  }

  private toNewUser({ by, username, email, phone, password: known }: Do<'sign up'>) {
    return {
      username: username ? usernames(by)[0] : null,
      email,
      phone,
      password: known ? passwords[by] : null,
    };
  }

  private enter(state: State, action: Do<'enter'>, as: Caller): Promise<Answer> {
    const code = this.need(chooseCode(state, action.code));
    const tokenId = idOfAddress(service, code.address);
    const oneTimePassword = this.need(this.codes.get(code.id));
    if (code.purpose !== 'PASSWORD_RESET') return read(as.checkOneTimePassword(tokenId, oneTimePassword, code.purpose));
    const newPassword = passwords[this.world.readers[code.address]];
    return read(as.resetPassword({ tokenId, oneTimePassword, newPassword }));
  }

  private async import({ address, password: known }: Do<'import'>): Promise<Answer> {
    this.importCount += 1;
    const kind = kindOf(address);
    const user = {
      id: this.importCount,
      [kind]: address,
      [`${kind}Verified`]: true,
      passwordHash: known && (await app.passwords.hash(passwords[known])),
    };
    const problems: unknown[] = [];
    async function* lines() {
      yield readLine(JSON.stringify(user), 1);
    }
    const { created } = await importUsers(app, lines(), {
      source: 'model',
      dryRun: false,
      onProblem: (problem) => void problems.push(problem),
      onNormalised: () => {},
      onBatch: async () => {},
    });
    assert.equal(created, 1, JSON.stringify(problems));
    return { type: 'DONE' };
  }

  private async setActive(state: State, { account: nth, isActive }: Do<'set active'>): Promise<Answer> {
    const { id } = this.need(chooseAccount(state, nth));
    const superuser = await (this.hasSuperuser ? signIn(service, root) : makeSuperuser(service, root));
    this.hasSuperuser = true;
    return read(superuser.updateUser({ isActive }, { id: this.need(this.users.get(id)) }));
  }

  /** Reads the codes that the model has sent. */
  private async compareCodes(before: State, after: State): Promise<void> {
    // Waits after failures and limits are not part of the model.
    await app.db.execute(
      sql`with a as (delete from sign_in_throttles), b as (delete from rate_limit_events)
        update one_time_passwords set failure_count = 0, retry_at = null where failure_count > 0`,
    );
    const sent = after.codes.filter(({ id }) => id > before.lastId);
    const messages = (await app.outbox()).filter(({ oneTimePassword }) => oneTimePassword);
    const [latest] = messages;
    assert.equal(messages.length - this.messageCount, sent.length, 'the number of codes sent');
    this.messageCount = messages.length;
    for (const { id, address } of sent) {
      assert.equal(latest?.to, address);
      this.codes.set(id, this.need(latest.oneTimePassword));
    }
  }

  /** Compares the visible fields of all accounts, and the live sessions. */
  private async compareAccounts(after: State): Promise<void> {
    const stored = await rows<StoredAccount>(service, storedAccounts);
    const known = new Set(this.users.values());
    const created = stored.filter(({ id }) => !known.has(id));
    for (const account of after.accounts)
      if (!this.users.has(account.id)) this.users.set(account.id, this.need(created.pop()).id);
    const expected = after.accounts.map((account): StoredAccount => {
      const sessions = after.sessions
        .filter(({ live, accountId }) => live && accountId === account.id)
        .map(({ id }) => this.need(this.sessions.get(id)).id);
      return { id: this.need(this.users.get(account.id)), ...describeAccount(account), sessions: sessions.sort() };
    });
    const byId = (one: StoredAccount, other: StoredAccount) => (one.id < other.id ? -1 : 1);
    assert.deepEqual(stored.map(hideGenerated).sort(byId), expected.map(hideGenerated).sort(byId));
  }
}

type StoredAccount = ReturnType<typeof describeAccount> & { id: string; sessions: string[] };

const hideGenerated = (account: StoredAccount): StoredAccount => ({
  ...account,
  username: account.username?.startsWith('user-') ? 'user-…' : account.username,
});

const storedAccounts = sql`select users.id, username, email, phone, is_active as "isActive",
  (select verified_at is not null from security_tokens t where t.user_id = users.id and kind = 'email') as "emailVerified",
  (select verified_at is not null from security_tokens t where t.user_id = users.id and kind = 'phone') as "phoneVerified",
  (select address from pending_addresses p where p.user_id = users.id and kind = 'email') as "pendingEmail",
  (select address from pending_addresses p where p.user_id = users.id and kind = 'phone') as "pendingPhone",
  password_hash is not null as "hasUsablePassword",
  array(select s.id::text from sessions s where s.user_id = users.id and revoked_at is null order by 1) as sessions
  from users where not is_superuser`;

interface Union {
  __typename: string;
  issues?: { code: string }[] | undefined;
  tokens?: { accessToken: string; refreshToken?: string | null; session: { id: string } } | null | undefined;
}

/** Reads the member of a union, or the code of a GraphQL error. */
async function read(answer: Promise<Union>): Promise<Answer> {
  try {
    const { __typename: type, issues, tokens } = await answer;
    const issue = issues?.[0]?.code;
    if (!tokens) return { type, issue };
    const { accessToken: token, refreshToken, session } = tokens;
    return {
      type,
      issue,
      opened: { id: session.id, as: caller(service, { token }), refreshToken: refreshToken ?? '' },
    };
  } catch (error) {
    if (error instanceof TopLevelError) return { type: String(error.code) };
    throw error;
  }
}

async function replay(world: World, history: readonly Action[], onResult: (result: Result) => void = () => {}) {
  await clear(service);
  const replayed = new Replay(world);
  for (const [index, action] of history.entries()) {
    try {
      onResult(await replayed.step(action));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new Error(`step ${index}, ${JSON.stringify(action)}: ${error.message}`, { cause: error });
    }
  }
}

test('the service answers histories as the model predicts', async (t) => {
  const reached: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...readerTables), histories, (readers, history) =>
      replay({ readers }, history, ({ type, firstProofOf }) => {
        for (const each of [type, ...(firstProofOf === undefined ? [] : ['first proof'])])
          reached[each] = (reached[each] ?? 0) + 1;
      }),
    ),
    { ...run, includeErrorInReport: true },
  );
  t.diagnostic(JSON.stringify(reached));
  for (const each of ['CheckOneTimePasswordSuccess', 'StepUpRequiredError', 'first proof'])
    assert.ok(reached[each], `no history reaches ${each}`);
});

const examples = {
  ...rareHistories,
  ...Object.fromEntries(
    Object.entries({ ...attacks, ...counterexamples }).map(([name, { history }]) => [name, history]),
  ),
};
for (const [name, history] of Object.entries(examples)) test(name, () => replay({ readers }, history));
