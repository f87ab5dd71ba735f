/** Creation, publication and rotation of access token keys, and an independent verifier. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import { jwksOf, kidOf } from '../support/published-keys.js';
import { advance, createDatabase, sharedSecrets, startService } from '../support/service.js';
import { decodeJwt, refreshed } from '../support/sessions.js';

const hour = 3600;
const day = 24 * hour;

interface Metadata {
  issuer: string;
  jwks_uri: string;
  id_token_signing_alg_values_supported: string[];
  claims_supported: string[];
}

const port = await freePort();
const service = await startService({ PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}` });
/** A sign-up without a password starts no hashing thread. */
const signUpWithoutPassword = (at: { url: string }, username: string) => signUp(at, { username, password: undefined });

describe('the published keys', () => {
  test('contain one key and no private part after the first start, even of two processes', async () => {
    const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
    const replicas = await Promise.all([startService(shared), startService(shared), startService(shared)]);
    const published = await Promise.all(replicas.map(jwksOf));
    for (const keys of published) assert.deepEqual(keys, published[0]);
    const [key, ...others] = published[0]!;
    assert.deepEqual(others, []);
    const { kid, x, y, ...rest } = key!;
    assert.ok(kid && x && y);
    assert.deepEqual(rest, { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
  });

  test('are encrypted where they are private', async () => {
    const { rows } = (await service.app.db.execute('select * from keys')) as unknown as {
      rows: { purpose: string; sealed_key: Buffer }[];
    };
    assert.deepEqual(rows.map(({ purpose }) => purpose).sort(), ['access-token', 'root']);
    for (const row of rows) {
      assert.doesNotMatch(Buffer.from(row.sealed_key).toString('latin1'), /PRIVATE KEY/);
      assert.doesNotMatch(JSON.stringify(row), /"d":/);
    }
  });

  test('may be cached for less time than a key is published before it signs', async () => {
    for (const path of ['jwks.json', 'openid-configuration', 'oauth-authorization-server']) {
      const response = await fetch(`${service.url}/.well-known/${path}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type')!, /^application\/json\b/);
      assert.equal(response.headers.get('set-cookie'), null);
      const directives = response.headers.get('cache-control')!.split(', ');
      assert.ok(directives.includes('public'));
      const seconds = (name: string) =>
        Number(directives.find((directive) => directive.startsWith(`${name}=`))?.split('=')[1]);
      assert.equal(seconds('max-age'), 300);
      // A process sees a new key of another process up to a minute later.
      const longest = seconds('max-age') + seconds('stale-if-error');
      assert.ok(longest <= hour - 60, `a copy may be ${longest} s old, and a key signs after ${hour} s`);
    }
  });

  test('are listed in the metadata, and verify a token for a library that knows only the issuer', async () => {
    const alice = await signUpWithoutPassword(service, 'alice');
    const { iss } = decodeJwt(alice.tokens.accessToken).payload;
    for (const path of ['openid-configuration', 'oauth-authorization-server']) {
      const metadata = (await (await fetch(`${iss}/.well-known/${path}`)).json()) as Metadata;
      assert.equal(metadata.issuer, iss);
      const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
      const { payload } = await jwtVerify(alice.tokens.accessToken, keys, {
        issuer: metadata.issuer,
        audience: metadata.issuer,
        typ: 'at+jwt',
        algorithms: metadata.id_token_signing_alg_values_supported,
      });
      assert.equal(payload.sub, alice.id);
      assert.deepEqual(Object.keys(payload).sort(), [...metadata.claims_supported].sort());
    }
  });
});

describe('a key', () => {
  test('that is old at start signs until its successor has been published for an hour', async () => {
    const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
    const before = await startService(shared);
    const alice = await signUpWithoutPassword(before, 'alice');
    const [old] = await jwksOf(before);
    await before.stop();
    const service = await startService(shared);
    await advance(service, 7 * day, { keys: true });
    await service.app.keys.refresh();
    const [first, second, ...others] = (await jwksOf(service)).map(({ kid }) => kid);
    assert.equal(first, old!.kid);
    assert.ok(second);
    assert.deepEqual(others, []);
    let { tokens } = alice;
    for (const [seconds, kid] of [
      [0, first],
      [hour - 5, first],
      [10, second],
    ] as const) {
      await advance(service, seconds, { keys: true });
      await service.app.keys.refresh();
      tokens = await refreshed(service, tokens.refreshToken);
      assert.equal(kidOf(tokens.accessToken), kid);
    }
  });

  test('is created once when it is due on two processes at once', async () => {
    const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
    const replicas = await Promise.all([startService(shared), startService(shared)]);
    await advance(replicas[0]!, day, { keys: true });
    await Promise.all([...replicas, ...replicas].map(({ app }) => app.keys.refresh()));
    const [left, right] = await Promise.all(replicas.map(jwksOf));
    assert.equal(left!.length, 2);
    assert.deepEqual(left, right);
  });
});
