/** A refresh whose answer is lost: the process killed between the rotation and the answer, at any other moment, or the line cut. */
import assert from 'node:assert/strict';
import { connect, createServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { operations } from '../support/client.js';
import {
  advance,
  createDatabase,
  type ServiceProcess,
  sharedSecrets,
  spawnService,
  startService,
} from '../support/service.js';
import { assertRefreshRefused, type Holder, refreshed, signUp, whoIs } from '../support/sessions.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const survivor = await startService(shared);

test('a process killed when the rotation is committed and before it answers costs nobody the session', async () => {
  const alice = await signUp(survivor, { username: 'killed-between' });
  let victim: ServiceProcess | undefined;
  // The database has committed when it says how many rows it has updated; that word never arrives.
  const database = await startProxy(new URL(shared.DATABASE_URL).port, {
    onRequest: (bytes, connection) => {
      if (bytes.includes('rotate_refresh_token')) connection.watched = true;
    },
    onAnswer: (bytes, connection) => {
      if (!connection.watched || !bytes.includes('UPDATE 1\0')) return true;
      victim!.process.kill('SIGKILL');
      return false;
    },
  });
  const url = new URL(shared.DATABASE_URL);
  url.port = database.port;
  victim = await spawnService({ ...shared, DATABASE_URL: url.href });

  await assert.rejects(refreshed(victim, alice.tokens.refreshToken));
  assert.equal(await victim.exited, null, 'ended by the signal');
  const { rows } = (await survivor.app.db.execute(
    `select refreshed_at is not null as rotated from sessions where id = '${alice.tokens.session.id}'`,
  )) as unknown as { rows: { rotated: boolean }[] };
  assert.deepEqual(rows, [{ rotated: true }]);
  await assertGoesOn(alice);
});

test('a process killed at any moment of a refresh costs nobody the session', async () => {
  const outcomes = new Set<string>();
  for (const wait of [0, 2, 5, 10, 20]) {
    const people = await Promise.all(
      Array.from({ length: 8 }, (_, n) => signUp(survivor, { username: `killed-at-${wait}-${n}` })),
    );
    const ours = await connections();
    const victim = await spawnService(shared);
    const answers = Promise.allSettled(
      people.map(({ tokens }) => operations(victim).refreshSession(tokens.refreshToken)),
    );
    await delay(wait);
    await victim.kill('SIGKILL');
    // What it had asked of the database is still done, as far as it has arrived there.
    while ((await connections()).some((pid) => !ours.includes(pid))) await delay(10);
    for (const { status } of await answers) outcomes.add(status);
    for (const person of people) await assertGoesOn(person);
  }
  assert.ok(outcomes.has('rejected'), 'no answer was lost');
});

test('an answer lost on the way costs nobody the session, be it lost again and again', async () => {
  const alice = await signUp(survivor, { username: 'cut-off' });
  const line = await startProxy(new URL(survivor.url).port, { onAnswer: () => false });
  for (const _ of Array(3))
    await assert.rejects(refreshed({ url: `http://127.0.0.1:${line.port}` }, alice.tokens.refreshToken));
  await assertGoesOn(alice);
});

test('an answer lost for longer than ten seconds ends the session: it cannot be told from a copy', async () => {
  const alice = await signUp(survivor, { username: 'cut-off-for-long' });
  const line = await startProxy(new URL(survivor.url).port, { onAnswer: () => false });
  await assert.rejects(refreshed({ url: `http://127.0.0.1:${line.port}` }, alice.tokens.refreshToken));
  await advance(survivor, 11);
  await assertRefreshRefused(survivor, alice.tokens.refreshToken);
  assert.equal(await whoIs(survivor, alice.tokens.accessToken), 'UNAUTHENTICATED');
});

/** By the token that nobody has had an answer to, asked on another replica; and only once. */
async function assertGoesOn({ user, tokens }: Holder): Promise<void> {
  const next = await refreshed(survivor, tokens.refreshToken);
  assert.equal(await whoIs(survivor, next.accessToken), user.id);
  await refreshed(survivor, next.refreshToken);
  await assertRefreshRefused(survivor, tokens.refreshToken);
  await assertRefreshRefused(survivor, next.refreshToken);
  assert.equal(await whoIs(survivor, next.accessToken), 'UNAUTHENTICATED');
}

/** The processes of the database that serve somebody. */
async function connections(): Promise<number[]> {
  const { rows } = (await survivor.app.db.execute(
    'select pid from pg_stat_activity where datname = current_database()',
  )) as unknown as { rows: { pid: number }[] };
  return rows.map(({ pid }) => pid);
}

interface Connection {
  watched: boolean;
}

interface Line {
  onRequest?: (bytes: Buffer, connection: Connection) => void;
  /** @returns false to cut the line in place of passing it on */
  onAnswer: (bytes: Buffer, connection: Connection) => boolean;
}

/** A line to a port of this machine, until the tests of this file are over. */
async function startProxy(to: string, { onRequest = () => {}, onAnswer }: Line): Promise<{ port: string }> {
  const server: Server = createServer((client) => {
    const connection: Connection = { watched: false };
    const upstream = connect(Number(to), '127.0.0.1');
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut);
    client.on('data', (bytes) => {
      onRequest(bytes, connection);
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => (onAnswer(bytes, connection) ? client.write(bytes) : cut()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return { port: String((server.address() as { port: number }).port) };
}
