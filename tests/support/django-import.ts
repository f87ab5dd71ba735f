/** An imported Django database, with the state of source and target after the import. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Expected, restoreDjango, withClient } from './django.js';
import { type Importer, readMap, signsIn, startImporter } from './import.js';
import { advance, temporaryFolder } from './service.js';

const ours = /^bcrypt-hmac-sha384\$/;

const identifiersOf = ({ username, email, phone }: Expected) =>
  [username, email, phone].filter((identifier) => identifier != null);
/** The empty password, which Django permits, matches no account here. */
const hasPassword = ({ password }: Pick<Expected, 'password'>) => password !== null && password !== '';
export interface DjangoImport {
  importer: Importer;
  source: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  answer: any;
  /** the output of `--map-file` */
  map: string;
  /** all rows of the source before and after the import */
  before: string;
  after: string;
  /** the users of the source, and those of the service before the first sign-in */
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  there: any[];
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  here: any[];
}

/**
 * Imports a django-flex-user database with a read-only role. Tests must not rely on later changes
 * of the service.
 */
export async function importDjango(): Promise<DjangoImport> {
  const [source, importer] = await Promise.all([restoreDjango(), startImporter()]);
  const everythingThere = () =>
    withClient(source, async (client) => {
      const { rows } = await client.query(
        `select query_to_xml('select xmin, ctid, * from django_flex_user_' || t || ' order by id', true, false, '')::text from unnest(array['flexuser', 'emailtoken', 'phonetoken']) t`,
      );
      return JSON.stringify(rows);
    });
  const before = await everythingThere();
  const role = `reader_${Date.now()}`;
  await withClient(source, async (client) => {
    await client.query(`create role ${role} login password 'reader'`);
    await client.query(
      `grant select on django_flex_user_flexuser, django_flex_user_emailtoken, django_flex_user_phonetoken to ${role}`,
    );
  });
  const url = new URL(source);
  Object.assign(url, { username: role, password: 'reader' });
  const map = join(temporaryFolder(), 'map');
  const answer = await importer.answerOfProcess(['import-django', url.href, '--map-file', map]);
  const after = await everythingThere();
  const there = await withClient(source, async (client) => {
    const { rows } = await client.query(
      `select u.*, u.id::text as id, username::text as username, e.verified as email_verified, e.failure_count as email_failures,
        e.timeout as email_timeout, p.verified as phone_verified
       from django_flex_user_flexuser u left join django_flex_user_emailtoken e on e.user_id = u.id
       left join django_flex_user_phonetoken p on p.user_id = u.id where u.id <> 62 order by u.id`,
    );
    return rows;
  });
  const here = await importer.rows(
    `select u.*, coalesce(u.email, (select address from pending_addresses p where p.user_id = u.id and kind = 'email')) as email,
      coalesce(u.phone, (select address from pending_addresses p where p.user_id = u.id and kind = 'phone')) as phone,
      (select count(*)::int from pending_addresses p where p.user_id = u.id) as pending,
      (select verified_at is not null from security_tokens t where t.user_id = u.id and kind = 'email') as email_verified,
      (select verified_at is not null from security_tokens t where t.user_id = u.id and kind = 'phone') as phone_verified,
      (select json_agg(json_build_object('count', o.failure_count, 'retryAt', o.retry_at) order by purpose) from one_time_passwords o
        join security_tokens t on t.id = o.token_id where t.user_id = u.id and kind = 'email') as email_failures
     from users u order by split_part(imported_id, ':', 2)::int`,
  );
  return { importer, source, answer, map, before, after, there, here };
}

/** Returns the scheme of the imported password of a user. */
export function schemeOf({ here }: DjangoImport, id: number): string | undefined {
  return here.find(({ imported_id }) => imported_id === `django:${id}`)?.password_hash?.split('$')[0] || undefined;
}

/**
 * Asserts that the import created all users except one with a conflicting email, and did not change
 * the source.
 */
export function assertImported({ answer, map, before, after, here }: DjangoImport): void {
  assert.deepEqual([answer.created, answer.notTaken, answer.problemCount], [61, 1, 1]);
  assert.equal(after, before);
  assert.equal(here.length, 61);
  assert.deepEqual(readMap(map), new Map(here.map(({ id, imported_id }) => [imported_id.replace('django:', ''), id])));
}

/** Asserts that each user equals its source. */
export function assertKept({ there, here }: DjangoImport): void {
  assert.equal(here.length, there.length);
  let failed = 0;
  for (const [index, was] of there.entries()) {
    const is = here[index];
    const isOwned = was.email_verified === true || was.phone_verified === true;
    // Only an active account without an owner reserves unverified addresses.
    const reserves = was.is_active && !was.is_staff && !was.is_superuser && !isOwned;
    const unverified = [was.email_verified, was.phone_verified].filter((verified) => verified === false);
    assert.equal(is.pending, reserves ? 0 : unverified.length, `pending addresses of ${was.id}`);
    // A user with pending addresses only has no identifier without a username.
    const hasHeld = was.username != null || is.pending < unverified.length || isOwned;
    if (!hasHeld) assert.match(is.username, /^user-[a-z0-9]{10}$/, `username of ${was.id}`);
    for (const field of [
      ...(hasHeld ? ['username'] : []),
      'email',
      'phone',
      'is_active',
      'is_staff',
      'is_superuser',
      'date_joined',
      'last_login',
    ])
      assert.deepEqual(is[field], was[field], `${field} of ${was.id}`);
    for (const field of ['email_verified', 'phone_verified'])
      assert.equal(is[field] ?? false, was[field] ?? false, `${field} of ${was.id}`);
    assert.equal(is.password_hash, was.password.startsWith('!') ? null : was.password);
    assert.equal(is.first_verified_at !== null, isOwned);
    if (was.email_failures > 0) {
      failed += 1;
      // The source has one counter, the service one per purpose.
      assert.equal(is.email_failures.length, 3);
      for (const { count, retryAt } of is.email_failures)
        assert.deepEqual([count, new Date(retryAt)], [was.email_failures, was.email_timeout]);
    } else assert.equal(is.email_failures, null);
  }
  assert.equal(failed, 3);
}

/**
 * Signs users in twice by their old passwords, and tries a wrong password once per scheme.
 * @returns the schemes
 */
export async function assertLetIn(imported: DjangoImport, users: readonly Expected[]): Promise<string[]> {
  const { importer, here } = imported;
  const { service } = importer;
  // Old hashes take seconds, and all hashes of a scheme reject a wrong password alike.
  const refused = users.filter(({ id }, index) => {
    const scheme = schemeOf(imported, id);
    return scheme === undefined || users.findIndex((other) => schemeOf(imported, other.id) === scheme) === index;
  });
  for (const user of refused)
    for (const identifier of identifiersOf(user).slice(0, 1)) {
      const wrong = `${user.password}${user.password || 'x'}`;
      assert.equal(await signsIn(service, identifier, wrong), 'InvalidCredentialsError', identifier);
    }
  await advance(service, 3_600);
  const hashes = async () =>
    new Map(
      (await importer.rows('select imported_id, password_hash from users')).map(({ imported_id, password_hash }) => [
        imported_id,
        password_hash,
      ]),
    );
  const before = new Map<string, string>(here.map(({ imported_id, password_hash }) => [imported_id, password_hash]));
  const schemes = new Set<string>();
  // The email of the user with a note belongs to another user.
  const taken = users.filter(({ note }) => note === undefined);
  for (const round of ['by the hash that Django made', 'by the hash that took its place'])
    for (const user of taken)
      for (const identifier of identifiersOf(user)) {
        const answer = await signsIn(service, identifier, user.password ?? 'anything');
        const mayEnter = hasPassword(user) && user.is_active;
        assert.equal(answer, mayEnter ? 'AuthenticateSuccess' : 'InvalidCredentialsError', `${identifier} ${round}`);
        if (!mayEnter) await advance(service, 3_600);
        else schemes.add(before.get(`django:${user.id}`)!.split('$')[0]!);
      }
  const after = await hashes();
  for (const { id, password, is_active } of taken) {
    if (hasPassword({ password }) && is_active) assert.match(after.get(`django:${id}`), ours);
    else assert.equal(after.get(`django:${id}`), before.get(`django:${id}`));
  }
  for (const { password } of taken)
    if (hasPassword({ password })) assert.ok(![...after.values()].some((hash) => hash?.includes(password!)));
  return [...schemes].sort();
}
