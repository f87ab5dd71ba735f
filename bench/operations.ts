/** The measured operations with their data, their requests and their theoretical limits. */
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { App } from '../src/app/app.js';
import type { Database } from '../src/database/database.js';
import { listUsersByDateJoined } from '../src/database/directory.queries.js';
import { reserveAttempt } from '../src/database/one-time-passwords.queries.js';
import { findLiveSession, rotateRefreshToken } from '../src/database/sessions.queries.js';
import { waitSchedule } from '../src/domain/authentication/throttling.js';
import { computeTokenId } from '../src/domain/authenticators/registry.js';
import { hmac } from '../src/security/hmac.js';
import { expectMember, operations } from '../tests/support/client.js';
import { password } from '../tests/support/people.js';
import type { RawStatement } from './limits.js';

export interface Operation {
  name: string;
  /** The theoretical limit: a statement, `bcrypt`, or `nothing` for an empty route. */
  limit: string;
  /** a comparable operation without a session */
  anonymous?: Operation;
  /** concurrent load by four other connections */
  beside?: Operation;
  /** the member of an expected response */
  expects: string;
  /** Runs before every round. */
  prepare?(): Promise<unknown>;
  request(): { query: string; variables?: object; token?: string };
  onAnswer?(data: unknown): void;
}

export interface Bench {
  operations: Operation[];
  statements: RawStatement[];
  close(): Promise<void>;
}

const people = 2_000;
const codes = 60_000;

export async function createBench(app: App, service: { url: string }, databaseUrl: string): Promise<Bench> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  // Ignore the stopped database, so an earlier error stays visible.
  pool.on('error', () => {});
  const anonymous = operations(service);
  const seed = (await anonymous.createUser({ username: 'seed', password })).user;
  await pool.query(
    `insert into users (username, username_key, email, email_key, password_hash)
     select 'bench' || n, 'bench' || n, 'bench' || n || '@example.com', 'bench' || n || '@example.com', (select password_hash from users where id = $1)
     from generate_series(1, ${people}) n`,
    [seed!.id],
  );
  const idOf = (n: number) => computeTokenId(app, { kind: 'email', key: `bench${n}@example.com` });
  await pool.query(
    `insert into security_tokens (id, user_id, kind, address, given_at_sign_up, verified_at)
     select t.id, u.id, 'email', u.email, true, now() from unnest($1::text[], $2::text[]) as t(id, email) join users u on u.email_key = t.email`,
    [numbers(people).map(idOf), numbers(people).map((n) => `bench${n}@example.com`)],
  );
  await pool.query('update users set first_verified_at = now()');
  await pool.query('vacuum analyze');

  const tokens: string[] = [];
  const refreshTokens: string[] = [];
  for (let n = 1; n <= 64; n += 1) {
    const { tokens: opened } = expectMember(
      await anonymous.authenticate({ username: `bench${n}`, password }),
      'AuthenticateSuccess',
    );
    tokens.push(opened.accessToken);
    refreshTokens.push(opened.refreshToken!);
  }
  await pool.query(`update users set is_superuser = true, is_staff = true where username = 'bench1'`);

  const code = 'BCDF2345';
  /** Gives every token a valid one-time password, or rate-limits all tokens for an hour. */
  const open = (closed: boolean) =>
    pool.query(
      `insert into one_time_passwords (token_id, purpose, user_id, code_digest, expires_at, failure_count, retry_at)
       select t.id, 'AUTHENTICATION', (select user_id from security_tokens s where s.id = t.id), t.digest, now() + interval '1 hour', $3::int, now() + $4::interval
       from unnest($1::text[], $2::text[]) as x(id, hex) cross join lateral (select x.id, decode(x.hex, 'hex') as digest) t
       on conflict (token_id, purpose) do update set code_digest = excluded.code_digest, expires_at = excluded.expires_at, user_id = excluded.user_id,
         failure_count = excluded.failure_count, retry_at = excluded.retry_at`,
      [tokenIds, digests, closed ? 5 : 0, closed ? '1 hour' : '-1 hour'],
    );
  // More addresses than users: the speed does not depend on the existence of an account.
  const tokenIds = numbers(codes).map(idOf);
  const digests = tokenIds.map((id) => hmac(app.keys.oneTimePasswords, id, 'AUTHENTICATION', code).toString('hex'));
  const inTurn = (length: number) => {
    let next = 0;
    return () => next++ % length;
  };
  const [nextToken, nextOwned, nextViewer, nextPerson] = [codes, people, 64, people].map(inTurn) as [
    () => number,
    () => number,
    () => number,
    () => number,
  ];
  let signedUp = 0;
  const smallQuery: Operation = {
    name: 'a small query',
    limit: 'nothing',
    expects: '"passwordMinLength"',
    request: () => ({ query: '{ policy { passwordMinLength defaultRegion } }' }),
  };
  const authenticate: Operation = {
    name: 'authenticate',
    limit: 'bcrypt',
    expects: 'AuthenticateSuccess',
    request: () => ({
      query:
        'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename ... on AuthenticateSuccess { user { id } tokens { accessToken refreshToken } } ... on IdentityError { code } } }',
      variables: { input: { username: `bench${nextPerson() + 1}`, password } },
    }),
  };
  const me: Operation = {
    name: 'me',
    limit: 'me',
    anonymous: smallQuery,
    expects: '"username":"bench',
    request: () => ({ query: '{ me { id username email emailVerified } }', token: tokens[nextViewer()]! }),
  };
  const check = (oneTimePassword: string, next: () => number) => () => ({
    query:
      'mutation ($id: ID!, $code: String!) { checkOneTimePassword(tokenId: $id, oneTimePassword: $code) { __typename ... on CheckOneTimePasswordSuccess { tokens { accessToken } } ... on IdentityError { code } } }',
    variables: { id: tokenIds[next()], code: oneTimePassword },
  });

  return {
    operations: [
      smallQuery,
      {
        name: 'a mutation with an immediate error',
        limit: 'nothing',
        expects: 'ValidationError',
        request: () => ({
          query:
            'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename ... on CreateUserSuccess { tokens { accessToken } } ... on IdentityError { code } } }',
          variables: { input: { username: '' } },
        }),
      },
      {
        name: 'createUser',
        limit: 'bcrypt',
        expects: 'CreateUserSuccess',
        request: () => ({
          query:
            'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename ... on CreateUserSuccess { user { id } tokens { accessToken refreshToken } } ... on IdentityError { code } } }',
          variables: { input: { email: `new${Date.now()}x${signedUp++}@example.com`, password } },
        }),
      },
      authenticate,
      {
        name: 'sendOneTimePassword',
        limit: 'select',
        expects: 'SendOneTimePasswordSuccess',
        request: () => ({
          query:
            'mutation ($id: ID!) { sendOneTimePassword(tokenId: $id) { __typename ... on SendOneTimePasswordSuccess { expiresAt } ... on IdentityError { code } } }',
          variables: { id: tokenIds[nextOwned()] },
        }),
      },
      {
        name: 'check, wrong',
        limit: 'check',
        expects: 'InvalidOneTimePasswordError',
        prepare: () => open(false),
        request: check('WRONG234', nextToken),
      },
      {
        name: 'check, right',
        limit: 'check',
        expects: 'CheckOneTimePasswordSuccess',
        prepare: () => open(false),
        request: check(code, nextOwned),
      },
      {
        name: 'check, rate-limited',
        limit: 'check',
        expects: 'TimeoutError',
        prepare: () => open(true),
        request: check('WRONG234', nextToken),
      },
      me,
      { ...me, name: 'me, while others sign in', beside: authenticate },
      {
        name: 'refreshSession',
        limit: 'refresh',
        expects: 'RefreshSessionSuccess',
        request: () => ({
          query:
            'mutation ($token: String) { refreshSession(refreshToken: $token) { __typename ... on RefreshSessionSuccess { tokens { accessToken refreshToken } } ... on IdentityError { code } } }',
          variables: { token: refreshTokens.shift() },
        }),
        onAnswer(data) {
          const { refreshSession } = data as { refreshSession: { tokens: { refreshToken: string } } };
          refreshTokens.push(refreshSession.tokens.refreshToken);
        },
        async prepare() {
          refreshTokens.length = 0;
          for (let n = 100; n < 132; n += 1) {
            const { tokens: opened } = expectMember(
              await anonymous.authenticate({ username: `bench${n}`, password }),
              'AuthenticateSuccess',
            );
            refreshTokens.push(opened.refreshToken!);
          }
        },
      },
      {
        name: 'users, a page of 20',
        limit: 'users',
        expects: '"nodes":[{',
        request: () => ({ query: '{ users { nodes { id username email dateJoined } } }', token: tokens[0]! }),
      },
    ],
    statements: await rawStatements(pool, tokens, tokenIds),
    close: () => pool.end(),
  };
}

/** The statements of the service. */
async function rawStatements(pool: pg.Pool, tokens: string[], tokenIds: string[]): Promise<RawStatement[]> {
  const sent: { text: string; values: unknown[] }[] = [];
  const logger = { logQuery: (text: string, values: unknown[]) => void sent.push({ text, values }) };
  const db = drizzle(pool, { logger }) as unknown as Database;
  const capture = async (
    name: string,
    run: (index: number) => Promise<unknown>,
    count: number,
  ): Promise<RawStatement> => {
    sent.length = 0;
    for (let index = 0; index < count; index += 1) await run(index);
    return { name, text: sent[0]!.text, values: sent.map(({ values }) => values) };
  };
  const schedule = waitSchedule({ maxRetryDelaySeconds: 3600, maxFailures: 100 });
  const limit = { key: Buffer.alloc(32), count: 0, seconds: 3600 };
  const claims = tokens.map((token) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()));
  const hash = Buffer.alloc(32);
  const { rows } = await pool.query(
    `insert into sessions (user_id, refresh_token_hash, idle_expires_at, expires_at, authentication_methods)
     select id, $1, now() + interval '1 day', now() + interval '1 day', '{PASSWORD}' from users order by id limit 64 returning id`,
    [hash],
  );
  const sessionIds = rows.map(({ id }) => id);
  return [
    { name: 'select', text: 'select 1', values: [[]] },
    await capture(
      'check',
      (index) =>
        reserveAttempt(db, {
          tokenId: tokenIds[index]!,
          purpose: 'AUTHENTICATION',
          schedule,
          attemptId: crypto.randomUUID(),
          limit,
        }),
      2_000,
    ),
    await capture(
      'me',
      (index) =>
        findLiveSession(
          db,
          {
            sessionId: claims[index].sid,
            userId: claims[index].sub,
            expiresAt: new Date(claims[index].exp * 1000),
          },
          { recentSeconds: 600, newAccountSeconds: 3600, touchIntervalSeconds: 60 },
        ),
      claims.length,
    ),
    await capture(
      'refresh',
      // A token that is its own successor stays current.
      (index) =>
        rotateRefreshToken(db, {
          sessionId: sessionIds[index]!,
          hash,
          successorHash: hash,
          idleTtlSeconds: 3600,
          retrySeconds: 10,
        }),
      sessionIds.length,
    ),
    await capture('users', () => listUsersByDateJoined(db, 21, null), 1),
  ];
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
