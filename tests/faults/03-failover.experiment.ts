/** Fault 3: the database server fails, and its synchronous standby takes over. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expectMember, operations } from '../support/client.js';
import { answers, databaseUser, programsOfDebian, startDatabaseServer } from '../support/database-server.js';
import { experiment } from '../support/experiment.js';
import { startHaproxy } from '../support/haproxy.js';
import { acknowledgedRows, incompleteUsers, lostRows, overcounted, startLoad } from '../support/load.js';
import { freePort } from '../support/postgres.js';
import { connect } from '../support/replicas.js';
import { type ServiceProcess, sharedSecrets, spawnService } from '../support/service.js';

const known = { username: 'known', password: 'correct horse battery' };
const programs = programsOfDebian() ?? '/usr/lib/postgresql';
const needs = ['haproxy', join(programs, 'postgres'), join(programs, 'pg_basebackup')];

experiment(3, 'failover to a synchronous standby', needs, async (found) => {
  const primary = await startDatabaseServer({ programs });
  const standby = await startDatabaseServer({
    programs,
    makeData: (data) =>
      execFileSync(
        join(programs, 'pg_basebackup'),
        ['-d', `${primary.url}?application_name=standby`, '-D', data, '-R', '-X', 'stream', '-c', 'fast'],
        { ...databaseUser, cwd: '/', stdio: 'ignore' },
      ),
  });
  const atPrimary = await connect(primary.url);
  // Only after the standby has started, because each commit would wait for it.
  await atPrimary.query("alter system set synchronous_standby_names = 'standby'");
  await atPrimary.query('select pg_reload_conf()');
  while ((await atPrimary.query("select from pg_stat_replication where sync_state = 'sync'")).length === 0)
    await delay(50);
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await startHaproxy(`
    defaults
      mode tcp
      timeout connect 1s
      timeout client 1m
      timeout server 1m
    listen postgres
      bind 127.0.0.1:${port}
      default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
      server primary 127.0.0.1:${primary.port}
      server standby 127.0.0.1:${standby.port} backup`);
  while (!(await answers(url))) await delay(20);

  const secrets = sharedSecrets();
  const environment = { ...secrets, DATABASE_URL: url };
  const both = await Promise.all([spawnService(environment), spawnService(environment)]);
  await operations(both[0]).createUser(known);
  const bootstrap = { headers: { 'x-bootstrap-secret': secrets.BOOTSTRAP_SECRET! } };
  const root = { username: 'root', password: known.password };
  await operations(both[0], bootstrap).createSuperuser(root);
  const { tokens } = expectMember(await operations(both[0]).authenticate(root), 'AuthenticateSuccess');

  const load = startLoad(both, { clients: 16, known });
  const spenders = [0, 1].map((number) => startSpending(both, tokens.accessToken, number));
  await delay(10_000);
  await primary.kill();
  // Models the time until an operator decides. Meanwhile the standby is read-only.
  await delay(2_000);
  const { query } = await connect(standby.url);
  await query('select pg_promote()');
  const recovered = await load.nextSignUp();
  await delay(2_000);
  const noted = await load.end();
  const spent = (await Promise.all(spenders.map((spender) => spender.end()))).flat();

  let revived = 0;
  for (const { securityTokenId, oneTimePassword, refreshToken } of spent) {
    const checked = await operations(both[1]).checkOneTimePassword(securityTokenId, oneTimePassword);
    if (checked.__typename === 'CheckOneTimePasswordSuccess') revived += 1;
    const refreshed = await operations(both[1]).refreshSession(refreshToken);
    if (refreshed.__typename === 'RefreshSessionSuccess') revived += 1;
  }
  const lost = await lostRows(noted, query);
  found({
    acknowledged: acknowledgedRows(noted),
    lost,
    wrongYes: noted.wrongYes + revived,
    recoveredAfterMilliseconds: [recovered],
    also: {
      'sign-ups': noted.signUps.length,
      unavailable: noted.unavailable,
      'longest refusal, ms': Math.round(noted.longestRefusalMilliseconds),
      'spent secrets tried again': spent.length * 2,
    },
  });
  assert.deepEqual(noted.unexpected, []);
  assert.equal(lost, 0);
  assert.deepEqual([noted.wrongYes, revived], [0, 0]);
  assert.ok(spent.length > 10, `${spent.length}`);
  assert.equal(await incompleteUsers(query), 0);
  assert.deepEqual(await overcounted(noted, query), []);
  assert.ok(noted.unavailable > 0, 'the fault was felt');
  assert.ok(recovered < 5_000);
});

interface Spent {
  securityTokenId: string;
  oneTimePassword: string;
  refreshToken: string;
}

/**
 * A client that signs up, signs in by one-time password, refreshes its session, and remembers used
 * secrets.
 */
function startSpending(services: readonly ServiceProcess[], superuser: string, number: number) {
  const spent: Spent[] = [];
  let ended = false;
  const spend = async (round: number) => {
    const service = services[round % services.length]!;
    const { user } = expectMember(
      await operations(service).createUser({ email: `spender${number}.${round}@example.com` }),
      'CreateUserSuccess',
    );
    const securityTokenId: string = user.securityTokens[0]!.id;
    const { oneTimePassword } = expectMember(
      await operations(service, { token: superuser }).generateOneTimePassword(securityTokenId),
      'GenerateOneTimePasswordSuccess',
    );
    const checked = await operations(service).checkOneTimePassword(securityTokenId, oneTimePassword);
    const refreshToken = expectMember(checked, 'CheckOneTimePasswordSuccess').tokens!.refreshToken!;
    const second = expectMember(await operations(service).refreshSession(refreshToken), 'RefreshSessionSuccess');
    // For ten seconds, the latest used token returns its successor. Earlier tokens never do.
    await operations(service).refreshSession(second.tokens.refreshToken);
    spent.push({ securityTokenId, oneTimePassword, refreshToken });
  };
  const all = (async () => {
    // Failed requests were not acknowledged. The load asserts other responses.
    for (let round = 0; !ended; round += 1) await spend(round).catch(() => delay(20));
  })();
  return {
    async end() {
      ended = true;
      await all;
      return spent;
    },
  };
}
