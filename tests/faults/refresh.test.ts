/** A lost response of a refresh, by a kill after the rotation or by a lost connection. */
import assert from 'node:assert/strict';
import { connect, createServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { assertGoesOn } from '../support/lost-answers.js';
import { password, signUp } from '../support/people.js';
import {
  advance,
  createDatabase,
  type ServiceProcess,
  sharedSecrets,
  spawnService,
  startService,
} from '../support/service.js';
import { assertRefreshRefused, refreshed, whoIs } from '../support/sessions.js';

const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
const survivor = await startService(shared);

test('a kill between the commit of a rotation and its response does not revoke the session', async () => {
  const alice = await signUp(survivor, { username: 'killed-between', password });
  let victim: ServiceProcess | undefined;
  // The database commits before it reports the updated rows. The report never arrives.
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
  await assertGoesOn(survivor, alice);
});

test('a lost response does not revoke the session, even if it is lost repeatedly', async () => {
  const alice = await signUp(survivor, { username: 'cut-off', password });
  const line = await startProxy(new URL(survivor.url).port, { onAnswer: () => false });
  for (const _ of Array(3))
    await assert.rejects(refreshed({ url: `http://127.0.0.1:${line.port}` }, alice.tokens.refreshToken));
  await assertGoesOn(survivor, alice);
});

test('a retry more than ten seconds after a lost response revokes the session, like reuse', async () => {
  const alice = await signUp(survivor, { username: 'cut-off-for-long', password });
  const line = await startProxy(new URL(survivor.url).port, { onAnswer: () => false });
  await assert.rejects(refreshed({ url: `http://127.0.0.1:${line.port}` }, alice.tokens.refreshToken));
  await advance(survivor, 11);
  await assertRefreshRefused(survivor, alice.tokens.refreshToken);
  assert.equal(await whoIs(survivor, alice.tokens.accessToken), 'UNAUTHENTICATED');
});

interface Connection {
  watched: boolean;
}

interface Line {
  onRequest?: (bytes: Buffer, connection: Connection) => void;
  /** @returns false to cut the connection instead of forwarding */
  onAnswer: (bytes: Buffer, connection: Connection) => boolean;
}

/** Forwards a local port until the tests of this file end. */
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
