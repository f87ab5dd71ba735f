/** The keys of access tokens: made, published, replaced by age, and taken away; and a verifier that is not ours. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWKSCacheInput,
  jwksCache,
  jwtVerify,
} from 'jose';
import { freePort } from './support/postgres.js';
import { advance, createDatabase, type Service, sharedSecrets, startService } from './support/service.js';
import {
  databaseSeconds,
  decodeJwt,
  encodeJwt,
  refreshed,
  resigned,
  signerOf,
  signUp,
  whoIs,
} from './support/sessions.js';

const issuer = 'http://localhost:4000';
const hour = 3600;
const day = 24 * hour;

interface Metadata {
  issuer: string;
  jwks_uri: string;
  id_token_signing_alg_values_supported: string[];
  claims_supported: string[];
}

describe('the published keys', () => {
  test('are one after the first start, also of two processes at once, and hold nothing private', async () => {
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

  test('are sealed where they are private', async () => {
    const service = await startService();
    const { rows } = (await service.app.db.execute('select * from keys')) as unknown as {
      rows: { purpose: string; sealed_key: Buffer }[];
    };
    assert.deepEqual(rows.map(({ purpose }) => purpose).sort(), ['access-token', 'root']);
    for (const row of rows) {
      assert.doesNotMatch(Buffer.from(row.sealed_key).toString('latin1'), /PRIVATE KEY/);
      assert.doesNotMatch(JSON.stringify(row), /"d":/);
    }
  });

  test('may be kept by caches, for less time than a key is published before it signs', async () => {
    const service = await startService();
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
      // A process learns of a key that another has made up to a minute later.
      const longest = seconds('max-age') + seconds('stale-if-error');
      assert.ok(longest <= hour - 60, `a copy may be ${longest} s old, and a key signs after ${hour} s`);
    }
  });

  test('are found by the metadata, and verify a token for a library that knows the issuer alone', async () => {
    const port = await freePort();
    const service = await startService({ PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}` });
    const alice = await signUp(service, { username: 'alice' });
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
      assert.equal(payload.sub, alice.user.id);
      assert.deepEqual(Object.keys(payload).sort(), [...metadata.claims_supported].sort());
    }
  });
});

describe('a key', () => {
  test('outlives a replacement of SECRET_KEY, and so do the tokens', async () => {
    const { SECRET_KEY: before, ...secrets } = sharedSecrets();
    const shared = { ...secrets, DATABASE_URL: await createDatabase() };
    const after = randomBytes(32).toString('base64');
    const first = await startService({ ...shared, SECRET_KEY: before! });
    const alice = await signUp(first, { username: 'alice' });
    const keys = await jwksOf(first);
    await first.stop();
    const second = await startService({ ...shared, SECRET_KEY: `${after},${before}` });
    await second.stop();
    const third = await startService({ ...shared, SECRET_KEY: after });
    assert.deepEqual(await jwksOf(third), keys);
    assert.equal(await whoIs(third, alice.tokens.accessToken), alice.user.id);
    await refreshed(third, alice.tokens.refreshToken);
  });

  test('that is old when the service comes back signs on until its successor has been published for an hour', async () => {
    const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
    const before = await startService(shared);
    const alice = await signUp(before, { username: 'alice' });
    const [old] = await jwksOf(before);
    await before.stop();
    const service = await startService(shared);
    await advance(service, 7 * day);
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
      await advance(service, seconds);
      await service.app.keys.refresh();
      tokens = await refreshed(service, tokens.refreshToken);
      assert.equal(kidOf(tokens.accessToken), kid);
    }
  });

  test('is made once when it is due on two processes at once', async () => {
    const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase() };
    const replicas = await Promise.all([startService(shared), startService(shared)]);
    await advance(replicas[0]!, day);
    await Promise.all([...replicas, ...replicas].map(({ app }) => app.keys.refresh()));
    const [left, right] = await Promise.all(replicas.map(jwksOf));
    assert.equal(left!.length, 2);
    assert.deepEqual(left, right);
  });
});

test('in a week of rotations no token is refused before it expires, no key signs that is not known, and none is taken that is gone', async () => {
  const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), ACCESS_TOKEN_TTL_SECONDS: '300' };
  const [a, b] = [await startService(shared), await startService(shared)];
  const sessions = new Map<Service, string>();
  const alice = await signUp(a, { username: 'alice' });
  sessions.set(a, alice.tokens.refreshToken);
  sessions.set(b, (await signUp(b, { username: 'bob' })).tokens.refreshToken);

  const started = Date.now();
  let shifted = 0;
  const clock = () => shifted + (Date.now() - started) / 1000;
  const verifiers = [
    // As a cache does that goes by the published max-age, at either replica.
    createVerifier(a, 300),
    createVerifier(b, 300),
    // As one that asks once an hour, less the minute in which replicas may differ.
    createVerifier(b, hour - 60),
  ];
  const pass = async (seconds: number) => {
    await advance(a, seconds);
    shifted += seconds;
    for (const verifier of verifiers) verifier.age(seconds);
  };

  /** When a key was first seen among those published by either. */
  const publishedAt = new Map<string, number>();
  const signers = new Map<string, Parameters<typeof encodeJwt>[1]>();
  const firstKid = kidOf(alice.tokens.accessToken);
  const gone = new Set<string>();
  let live: { issuedBy: Service; issuedAt: number; accessToken: string }[] = [];

  while (clock() < 7 * day) {
    // They take turns at being the one that comes first and so makes and removes keys; the other is a minute behind.
    const [ahead, behind] = Math.floor(clock() / day) % 2 === 0 ? ([a, b] as const) : ([b, a] as const);
    const step = await nextStep(a);
    if (step > 60) {
      await pass(step - 60);
      await behind.app.keys.refresh();
      await pass(60);
    } else await pass(step);
    await ahead.app.keys.refresh();

    const published = new Map<Service, string[]>();
    for (const replica of [a, b]) {
      const kids = (await jwksOf(replica)).map(({ kid }) => kid!);
      published.set(replica, kids);
      assert.ok(kids.length >= 1 && kids.length <= 2, `${kids.length} keys are published`);
      for (const kid of kids) if (!publishedAt.has(kid)) publishedAt.set(kid, clock());
      const { signing } = replica.app.keys.accessTokens();
      signers.set(signing.id, signerOf(signing.privateKey));
    }
    for (const replica of [a, b]) {
      const tokens = await refreshed(replica, sessions.get(replica)!);
      sessions.set(replica, tokens.refreshToken);
      live.push({ issuedBy: replica, issuedAt: clock(), accessToken: tokens.accessToken });
      const kid = kidOf(tokens.accessToken);
      for (const kids of published.values()) assert.ok(kids.includes(kid), 'a key signs that a replica does not know');
      const age = clock() - publishedAt.get(kid)!;
      assert.ok(kid === firstKid || age > hour - 1, `a key signs that has been published for ${age} s`);
    }

    // The newest and the oldest of each: those between have been the one and will be the other.
    live = live.filter(({ issuedAt }) => clock() < issuedAt + 300);
    const ends = new Set([...live.slice(0, 2), ...live.slice(-2)]);
    for (const { accessToken } of ends) for (const { verify } of verifiers) await verify(accessToken);
    for (const { accessToken, issuedBy } of ends)
      for (const replica of [a, b]) {
        const who = await whoIs(replica, accessToken);
        assert.match(who, /^[0-9a-f-]{36}$/, `${issuedBy === replica ? 'its own' : 'another'} token was refused`);
      }
    if (step > 60) {
      const exp = (await databaseSeconds(a)) - 1;
      for (const replica of [a, b]) {
        const expired = await resigned(replica, live.at(-1)!.accessToken, { payload: { exp } });
        assert.equal(await whoIs(replica, expired), 'UNAUTHENTICATED');
      }
    }

    await behind.app.keys.refresh();
    const known = new Set([a, b].flatMap(({ app }) => app.keys.accessTokens().verification.map(({ id }) => id)));
    for (const [kid, sign] of signers) {
      if (known.has(kid) || gone.has(kid)) continue;
      gone.add(kid);
      // Whoever has found the private key of one that is gone.
      const { header, payload } = decodeJwt(live.at(-1)!.accessToken);
      const late = await encodeJwt(
        { header: { ...header, kid }, payload: { ...payload, exp: (await databaseSeconds(a)) + 300 } },
        sign,
      );
      for (const replica of [a, b]) assert.equal(await whoIs(replica, late), 'UNAUTHENTICATED');
      await pass(301);
      await assert.rejects(verifiers[0]!.verify(late), errors.JWKSNoMatchingKey);
    }
  }
  assert.equal(publishedAt.size, 8, 'one at the start, and one a day');
  assert.ok(signers.size >= 7);
  assert.equal(gone.size, 6, 'all that have signed but the one that does');
});

/**
 * Minutes around what happens to keys, by the age of the newest: it begins to sign after an hour, the one before goes when its last token is dead,
 * and the next is made after a day. Else an hour.
 */
async function nextStep({ app: { db } }: Service): Promise<number> {
  const { rows } = (await db.execute(
    "select extract(epoch from statement_timestamp() - max(created_at))::float8 as age from keys where purpose = 'access-token'",
  )) as unknown as { rows: { age: number }[] };
  const { age } = rows[0]!;
  const eventful = [
    [0, 120],
    [hour - 180, hour + 1000],
    [day - 180, day + 120],
  ] as const;
  if (eventful.some(([begin, end]) => age >= begin && age < end)) return 60;
  const next = eventful.find(([begin]) => begin > age)![0] - age;
  return Math.max(60, Math.min(hour, next));
}

/** jose's remote key set with a cache of that age, whose clock can be set on. It does not ask again for a key that it does not know. */
function createVerifier({ url }: Service, maxAgeSeconds: number) {
  const cache: { uat?: number; jwks?: JSONWebKeySet } = {};
  return {
    age(seconds: number) {
      if (cache.uat !== undefined) cache.uat -= seconds * 1000;
    },
    verify(token: string) {
      const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`), {
        cacheMaxAge: maxAgeSeconds * 1000,
        cooldownDuration: Number.POSITIVE_INFINITY,
        [jwksCache]: cache as JWKSCacheInput,
      });
      return jwtVerify(token, keys, { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'] });
    },
  };
}

async function jwksOf({ url }: { url: string }): Promise<JWK[]> {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: JWK[] };
  return keys;
}

function kidOf(token: string): string {
  return decodeJwt(token).header.kid as string;
}
