/** A real Django database, brought along as it is: nobody resets a password. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expected } from '../support/django.js';
import { assertImported, assertKept, assertLetIn, importDjango, schemeOf } from '../support/django-import.js';

// Opened before any test is: what is opened in one ends with it.
const imported = await importDjango();

describe('a database of django-flex-user', () => {
  test('is imported by a role that may only read, and is not changed', () => assertImported(imported));

  test('keeps everything of its users', () => assertKept(imported));

  test('lets a user in by the old password, twice, and by no other', async () => {
    const schemes = ['pbkdf2_sha256'];
    const users = schemes.map(
      (scheme) =>
        expected.find(({ id, is_active, password }) => is_active && password && schemeOf(imported, id) === scheme)!,
    );
    assert.deepEqual(await assertLetIn(imported, users), schemes);
  });
});
