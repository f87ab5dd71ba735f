/** Building the front end: only if the content of its sources has changed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../support/root.js';

// The folder is within the project, so that Node finds the packages.
const folder = mkdtempSync(join(root, 'dist/build-'));
after(() => rmSync(folder, { recursive: true }));

test('the front end is built if it is missing or if the content of a source has changed', () => {
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
  const first = build();
  assert.deepEqual(readdirSync(join(folder, 'dist/web')).sort(), [
    '.made-of',
    'assets',
    'index.html',
    'index.html.br',
    'index.html.gz',
  ]);
  const style = join(folder, 'web/src/style.css');
  utimesSync(style, new Date(), new Date());
  assert.equal(build(), first, 'no content has changed');
  writeFileSync(style, `${readFileSync(style, 'utf8')}\n.marked { color: red }\n`);
  assert.notEqual(build(), first, 'the style sheet has changed');
  const sheet = readdirSync(join(folder, 'dist/web/assets')).find((name) => name.endsWith('.css'))!;
  assert.match(readFileSync(join(folder, 'dist/web/assets', sheet), 'utf8'), /\.marked/);
});
