/** Import of a real Django database: users keep their passwords. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expected } from '../support/django.js';
import { assertImported, assertKept, assertLetIn, importDjango, schemeOf } from '../support/django-import.js';

// Open before the tests: resources that a test opens are closed with it.
const imported = await importDjango();

describe('import of django-flex-user', () => {
  test('reads with a read-only role and does not change the source', () => assertImported(imported));

  test('keeps all data of the users', () => assertKept(imported));

  test('lets a user sign in with the old password, twice, and with no other', async () => {
    const scheme = 'pbkdf2_sha256';
    const user = expected.find(
      ({ id, is_active, password }) => is_active && password && schemeOf(imported, id) === scheme,
    );
    assert.deepEqual(await assertLetIn(imported, [user!]), [scheme]);
  });
});
