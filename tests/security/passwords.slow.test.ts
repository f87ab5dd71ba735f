/** The optional native hashing package instead of the bundled package. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { operations } from '../support/client.js';
import { connect } from '../support/replicas.js';
import { root } from '../support/root.js';
import { createDatabase, sharedSecrets, spawnService, temporaryFolder } from '../support/service.js';

const password = 'correct horse battery';

test('the native package hashes if it is installed, the log names it, and the hashes are compatible', async () => {
  const folder = temporaryFolder();
  for (const name of ['dist', 'package.json']) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'drizzle'), join(folder, 'drizzle'));
  mkdirSync(join(folder, 'node_modules/@node-rs'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@node-rs') symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  // It is installed under another name, so other tests use the bundled package.
  symlinkSync(join(root, 'node_modules/bcrypt-native'), join(folder, 'node_modules/@node-rs/bcrypt'));
  const environment = { ...sharedSecrets(), DATABASE_URL: await createDatabase(), LOG_LEVEL: 'info' };
  const { advance } = await connect(environment.DATABASE_URL);
  const ours = await spawnService(environment);
  const native = await spawnService(environment, { program: join(folder, 'dist/main.js') });
  assert.match(ours.output(), /"passwordHashing":"bcryptjs"/);
  assert.match(native.output(), /"passwordHashing":"@node-rs\/bcrypt"/);
  for (const [maker, verifier, username] of [
    [ours, native, 'alice'],
    [native, ours, 'bob'],
  ] as const) {
    await operations(maker).createUser({ username, password });
    const signIn = (typed: string) => operations(verifier).authenticate({ username, password: typed });
    assert.equal((await signIn('wrong')).__typename, 'InvalidCredentialsError');
    await advance(3600);
    assert.equal((await signIn(password)).__typename, 'AuthenticateSuccess');
    assert.equal(
      (await operations(verifier).authenticate({ username: 'nobody', password })).__typename,
      'InvalidCredentialsError',
    );
  }
});
