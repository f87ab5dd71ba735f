/** Query plans: the cost of frequent statements does not grow with the tables. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database } from '../../src/database/database.js';
import { listUsersByDateJoined } from '../../src/database/directory.queries.js';
import {
  consumeOneTimePassword,
  replaceOneTimePassword,
  reserveAttempt,
} from '../../src/database/one-time-passwords.queries.js';
import { consumeAttempt, consumeRateLimits, refundRateLimits } from '../../src/database/rate-limits.queries.js';
import { findSecurityTokens } from '../../src/database/security-tokens.queries.js';
import {
  findLiveSession,
  findSessions,
  isNewDevice,
  rotateRefreshToken,
  touchSession,
} from '../../src/database/sessions.queries.js';
import { clearSignInThrottles, reserveSignInAttempts } from '../../src/database/sign-in-throttles.queries.js';
import { findUser, findUsersByKeys, lockUser } from '../../src/database/users.queries.js';
import { createDatabase } from '../support/service.js';

const count = 2_000;
const pool = new pg.Pool({ connectionString: await createDatabase(), max: 1 });
after(() => pool.end());
const sent: { query: string; params: unknown[] }[] = [];
const logger = { logQuery: (query: string, params: unknown[]) => void sent.push({ query, params }) };
const db = drizzle(pool, { logger }) as unknown as Database;

const hash = Buffer.alloc(32, 7);
const bytes = `decode(lpad(to_hex(n), 64, '0'), 'hex')`;
const numbers = `generate_series(1, ${count}) n`;
for (const statement of [
  `insert into users (username, username_key, email, email_key) select 'user' || n, 'user' || n, n || '@a.test', n || '@a.test' from ${numbers}`,
  `insert into security_tokens (id, user_id, kind, address, given_at_sign_up) select 'e' || email, id, 'email', email, true from users`,
  `insert into one_time_passwords (token_id, purpose, user_id) select 'e' || email, 'AUTHENTICATION', id from users`,
  `insert into sessions (user_id, refresh_token_hash, idle_expires_at, expires_at, authentication_methods, ip_address, user_agent)
   select id, sha256(email::bytea), now() + interval '1 day', now() + interval '1 day', '{PASSWORD}', '192.0.2.1', 'Phone/1' from users`,
  `insert into rate_limit_events (key) select ${bytes} from ${numbers}`,
  `insert into rate_limit_events (key, occurred_at) select '\\x${hash.toString('hex')}', now() - make_interval(hours => n) from ${numbers}`,
  `insert into sign_in_throttles (key, failure_count) select ${bytes}, 1 from ${numbers}`,
])
  await pool.query(statement);
await pool.query(
  `insert into pending_addresses (user_id, kind, token_id, address) select id, 'email', 'e' || email, email from users`,
);
await pool.query('vacuum analyze');
const { rows } = await pool.query(
  `select u.id, 'e' || u.email as "tokenId", s.id as "sessionId", sha256(u.email::bytea) as hash from users u join sessions s on s.user_id = u.id where u.username_key = 'user777'`,
);
const sample = rows[0] as { id: string; tokenId: string; sessionId: string; hash: Buffer };

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

const { tokenId, sessionId, id } = sample;
const schedule = [1, 2, 4];
const day = new Date(Date.now() + 86_400_000);
const month = 2_592_000;
const code = { tokenId, purpose: 'AUTHENTICATION' } as const;
const rotation = { sessionId, hash: sample.hash, successorHash: sample.hash, idleTtlSeconds: 3600, retrySeconds: 10 };
const limit = { key: hash, count: 100, seconds: 3600 };
const windows = [
  { count: 5, seconds: 3600 },
  { count: 10, seconds: 86_400 },
];
const names = [
  { kind: 'username', key: 'user777', tokenId: null },
  { kind: 'email', key: '777@a.test', tokenId },
] as const;
const throttles = [hash, sample.hash].map((key) => ({ key, schedule }));
const attempt = () => ({ ...code, schedule, attemptId: crypto.randomUUID(), limit });
const live = { userId: id, codeDigest: hash, unverifiedAddress: null };
const session = { sessionId, userId: id, expiresAt: day };
const durations = { recentSeconds: 600, newAccountSeconds: 3600, touchIntervalSeconds: 60 };
const device = { network: '192.0.2.9/32', userAgent: 'Phone/2', withinSeconds: month };
/** Frequent operations, their number of statements, and the maximum of rows per plan node. */
const hot: [about: string, statements: number, run: () => Promise<unknown>, rows?: number][] = [
  ['finds a session', 1, () => findLiveSession(db, session, durations)],
  ['touches a session', 1, () => touchSession(db, sessionId, { idleTtlSeconds: 3600, intervalSeconds: 60 })],
  ['rotates a refresh token', 1, () => rotateRefreshToken(db, rotation)],
  ['reserves an attempt at a one-time password', 1, () => reserveAttempt(db, attempt())],
  [
    'consumes a one-time password',
    1,
    () => consumeOneTimePassword(db, { ...code, counterId: tokenId, codeDigest: hash }),
  ],
  ['replaces a one-time password', 1, () => replaceOneTimePassword(db, { ...code, ttlSeconds: 600, live })],
  ['finds a security token', 1, () => findSecurityTokens(db, { id: tokenId })],
  ['finds the security tokens of a user', 1, () => findSecurityTokens(db, { userId: id })],
  ['finds a security token of a user', 1, () => findSecurityTokens(db, { id: tokenId, userId: id })],
  [
    'finds users by identifiers',
    1,
    () => findUsersByKeys(db, [...names], { network: '192.0.2.1/32', withinSeconds: month }),
  ],
  ['finds a user', 1, () => findUser(db, id)],
  ['locks and reads a user', 2, () => lockUser(db, id)],
  ['reserves a sign-in', 2, () => reserveSignInAttempts(db, throttles, crypto.randomUUID())],
  ['clears the throttles of a sign-in', 2, () => clearSignInThrottles(db, [hash, sample.hash])],
  ['consumes a rate limit', 2, () => consumeRateLimits(db, [{ key: hash, windows }]), 12],
  ['counts an attempt of a client', 2, () => consumeAttempt(db, limit)],
  ['refunds a rate limit', 1, () => refundRateLimits(db, [1n])],
  ['looks up a device', 1, () => isNewDevice(db, { id, lastLogin: day }, device)],
  ['lists the sessions of a user', 1, () => findSessions(db, id)],
  ['lists a page of users', 1, () => listUsersByDateJoined(db, 21, null), 21],
];

describe('with two thousand users', () => {
  for (const [about, statements, run, rows = 2] of hot)
    test(`${about} by an index, in ${statements} statement${statements > 1 ? 's' : ''}`, async () => {
      sent.length = 0;
      await run();
      const asked = sent.filter(({ query }) => !/^(begin|commit|rollback)/i.test(query));
      assert.equal(asked.length, statements, asked.map(({ query }) => query).join('\n'));
      for (const { query, params } of asked) {
        await pool.query('begin');
        const explained = await pool.query(`explain (analyze, format json) ${query}`, params as unknown[]);
        await pool.query('rollback');
        for (const node of nodesOf(explained.rows[0]['QUERY PLAN'][0].Plan)) {
          const touched = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
          assert.ok(
            !node['Node Type'].includes('Seq Scan'),
            `reads ${node['Relation Name']} from end to end:\n${query}`,
          );
          assert.ok(touched <= rows, `${node['Node Type']} touches ${touched} rows:\n${query}`);
        }
      }
    });
});
