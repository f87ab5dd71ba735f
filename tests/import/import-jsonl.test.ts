/** Import of JSON Lines from any system. */
import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readMap, signsIn, startImporter } from '../support/import.js';
import { temporaryFolder } from '../support/service.js';

const importer = await startImporter();
const jsonl = ['import', '--format', 'jsonl'];
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '');

test('imports every field of a line', async () => {
  const salt = Buffer.from('sea salt');
  const whole = {
    id: 'auth0|5f7c8ec7',
    username: 'Augusta',
    email: 'Ada@Bücher.example',
    phone: '+44 7911 123456',
    emailVerified: true,
    phoneVerified: false,
    emailThrottle: { failureCount: 3, retryAt: '2026-01-01T00:00:00Z' },
    phoneThrottle: null,
    passwordHash: `$scrypt$ln=10,r=8,p=1$${b64(salt)}$${b64(scryptSync('violin', salt, 32, { N: 1024 }))}`,
    isActive: true,
    isStaff: true,
    isSuperuser: false,
    dateJoined: '2020-02-29T12:00:00+02:00',
    lastLogin: '2025-12-31T23:59:59.999Z',
  };
  const map = join(temporaryFolder(), 'map');
  const file = join(temporaryFolder(), 'users.jsonl');
  writeFileSync(file, [whole, { id: 7, username: 'bare' }].map((user) => `${JSON.stringify(user)}\n`).join(''));
  const dry = await importer.answerOfProcess([...jsonl, file, '--dry-run', '--source', 'auth0']);
  const answer = await importer.answerOfProcess([...jsonl, file, '--source', 'auth0', '--map-file', map]);
  assert.deepEqual({ ...dry, dryRun: false }, answer);
  assert.deepEqual([answer.rows, answer.created, answer.problemCount], [2, 2, 0]);
  assert.deepEqual(answer.normalised, [
    { id: whole.id, field: 'email', from: whole.email, to: 'Ada@xn--bcher-kva.example' },
    { id: whole.id, field: 'phone', from: whole.phone, to: '+447911123456' },
  ]);
  const [ada, bare] = await importer.rows(
    `select u.*, (select json_agg(json_build_array(kind, verified_at is not null, given_at_sign_up) order by kind) from security_tokens t where user_id = u.id) as tokens,
        (select json_agg(json_build_array(kind, address)) from pending_addresses p where user_id = u.id) as pending,
        (select json_agg(json_build_array(o.failure_count, o.retry_at)) from one_time_passwords o join security_tokens t on t.id = o.token_id where t.user_id = u.id) as failures
       from users u where imported_id like 'auth0:%' order by username_key`,
  );
  assert.deepEqual(
    [ada.imported_id, ada.username, ada.is_active, ada.is_staff, ada.is_superuser, ada.date_joined, ada.last_login],
    ['auth0:auth0|5f7c8ec7', 'Augusta', true, true, false, new Date(whole.dateJoined), new Date(whole.lastLogin)],
  );
  assert.deepEqual([ada.tokens, ada.pending], [[['email', true, true]], [['phone', '+447911123456']]]);
  assert.deepEqual(ada.failures, Array(3).fill([3, '2026-01-01T00:00:00+00:00']));
  assert.deepEqual([bare.imported_id, bare.password_hash, bare.is_active, bare.tokens], ['auth0:7', null, true, null]);
  assert.deepEqual(Object.fromEntries(readMap(map)), { [whole.id]: ada.id, 7: bare.id });
  for (const identifier of ['ada@bücher.example', '+447911123456'])
    assert.equal(await signsIn(importer.service, identifier, 'violin'), 'AuthenticateSuccess');
});
