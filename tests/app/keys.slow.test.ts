/** Access token keys of two replicas over several days, and independent verifiers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRemoteJWKSet, errors, type JSONWebKeySet, type JWKSCacheInput, jwksCache, jwtVerify } from 'jose';
import { password, signUp } from '../support/people.js';
import { jwksOf, kidOf } from '../support/published-keys.js';
import { advance, createDatabase, type Service, sharedSecrets, startService } from '../support/service.js';
import { databaseSeconds, decodeJwt, encodeJwt, refreshed, resigned, signerOf, whoIs } from '../support/sessions.js';

const issuer = 'http://localhost:4000';
const hour = 3600;
const day = 24 * hour;
/** Each replica creates and deletes a key at least once. */
const days = 3;

test('over days of rotation, tokens stay valid until they expire and deleted keys sign nothing', async () => {
  const shared = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), ACCESS_TOKEN_TTL_SECONDS: '300' };
  const [a, b] = [await startService(shared), await startService(shared)];
  const sessions = new Map<Service, string>();
  const alice = await signUp(a, { username: 'alice', password });
  sessions.set(a, alice.tokens.refreshToken);
  sessions.set(b, (await signUp(b, { username: 'bob', password })).tokens.refreshToken);

  const started = Date.now();
  let shifted = 0;
  const clock = () => shifted + (Date.now() - started) / 1000;
  const verifiers = [
    // Models a cache that respects the published max-age, at either replica.
    createVerifier(a, 300),
    createVerifier(b, 300),
    // Models a cache that refreshes every hour, less the minute by which replicas may differ.
    createVerifier(b, hour - 60),
  ];
  const pass = async (seconds: number) => {
    await advance(a, seconds, { keys: true });
    shifted += seconds;
    for (const verifier of verifiers) verifier.age(seconds);
  };

  /** The first publication of each key at either replica. */
  const publishedAt = new Map<string, number>();
  const signers = new Map<string, Parameters<typeof encodeJwt>[1]>();
  const firstKid = kidOf(alice.tokens.accessToken);
  const gone = new Set<string>();
  let live: { issuedBy: Service; issuedAt: number; accessToken: string }[] = [];

  while (clock() < days * day) {
    // The replicas alternate: the first creates and deletes keys, and the second is a minute
    // behind.
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

    // The newest and the oldest key of each replica. The others pass through both roles.
    live = live.filter(({ issuedAt }) => clock() < issuedAt + 300);
    const ends = new Set([...live.slice(0, 2), ...live.slice(-2)]);
    for (const { accessToken } of ends) for (const { verify } of verifiers) await verify(accessToken);
    for (const { accessToken, issuedBy } of ends)
      for (const replica of [a, b]) {
        const who = await whoIs(replica, accessToken);
        assert.match(who, /^[0-9a-f-]{36}$/, `${issuedBy === replica ? 'its own' : 'another'} token was rejected`);
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
      // Models an attacker with the private key of a deleted key.
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
  assert.equal(publishedAt.size, days + 1, 'one at the start, and one a day');
  assert.ok(signers.size >= days);
  assert.equal(gone.size, days - 1, 'all that have signed but the one that does');
});

/**
 * Returns the next step: minutes around each event of the keys, else an hour.
 * The newest key signs after an hour. Then the previous key expires. After a day, the next key is
 * created.
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

/**
 * Creates a remote key set of jose with a cache age and an adjustable clock. It does not refetch
 * for unknown keys.
 */
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
