/** Building the front end: only if the content of its sources has changed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whenStale } from '../../scripts/when-stale.js';
import { root } from '../support/root.js';

// The folder is within the project, so that Node finds the packages.
const folder = mkdtempSync(join(root, 'dist/build-'));
after(() => rmSync(folder, { recursive: true }));

test('the front end is built if the stamp names other content, and not again if no content has changed', () => {
  for (const name of ['web', 'scripts', 'schema.graphql', 'documents.graphql', 'package-lock.json', 'tsconfig.json'])
    cpSync(join(root, name), join(folder, name), {
      recursive: true,
      filter: (source) => !source.includes('generated'),
    });
  const stamp = join(folder, 'dist/web/.made-of');
  const build = () => {
    execFileSync(process.execPath, ['--import', 'tsx', 'web/build.ts'], { cwd: folder });
    return statSync(stamp).mtimeMs;
  };
  const style = join(folder, 'web/src/style.css');
  writeFileSync(style, `${readFileSync(style, 'utf8')}\n.marked { color: red }\n`);
  mkdirSync(join(folder, 'dist/web'), { recursive: true });
  writeFileSync(stamp, 'other content');
  const first = build();
  assert.deepEqual(readdirSync(join(folder, 'dist/web')).sort(), [
    '.made-of',
    'assets',
    'index.html',
    'index.html.br',
    'index.html.gz',
  ]);
  const sheet = readdirSync(join(folder, 'dist/web/assets')).find((name) => name.endsWith('.css'))!;
  assert.match(readFileSync(join(folder, 'dist/web/assets', sheet), 'utf8'), /\.marked/);
  utimesSync(style, new Date(), new Date());
  assert.equal(build(), first, 'no content has changed');
});

test('a build step runs if its output is missing or if the content of a source has changed', async () => {
  const source = join(folder, 'source');
  let times = 0;
  const step = async () => {
    const made = { root: folder, stamp: join(folder, 'step/.made-of'), inputs: ['source'] };
    await whenStale(made, async () => {
      times += 1;
    });
    return times;
  };
  writeFileSync(source, 'one');
  assert.equal(await step(), 1);
  utimesSync(source, new Date(0), new Date(0));
  assert.equal(await step(), 1);
  writeFileSync(source, 'two');
  assert.equal(await step(), 2);
});
