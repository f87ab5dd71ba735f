/** The check of comments: sentences, columns and words. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkProse } from '../scripts/lint-prose.js';
import { root } from './support/root.js';

const words = (count: number) => `Word${' word'.repeat(count - 1)}.`;

test('the command fails on a planted sentence, names its line, and passes without it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'prose-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'planted.ts');
  const run = (comment: string) => {
    writeFileSync(file, `const answer = 42;\n// ${comment}\n`);
    return spawnSync(process.execPath, ['--import', 'tsx', 'scripts/lint-prose.ts', folder], {
      cwd: root,
      encoding: 'utf8',
    });
  };
  const planted = run('Whoever asks gets it.');
  assert.equal(planted.status, 1, planted.stderr);
  assert.match(planted.stderr, /planted\.ts:2 uses "Whoever"/);
  const plain = run('Returns the answer.');
  assert.equal(plain.status, 0, plain.stderr);
});

test('a sentence of more than 22 words is reported, also when it spans lines', () => {
  const source = `/**\n * Short. ${words(11)}\n */\n\n// Word${' word'.repeat(11)}\n// and ${'word '.repeat(9)}word.\n// \`a b\`${' word'.repeat(21)}.\n`;
  const { sentences, long } = checkProse('a.ts', source);
  assert.equal(sentences, 4);
  assert.deepEqual(
    long.map((finding) => finding.slice(0, 19)),
    ['a.ts:5 has 23 words'],
  );
});

test('a comment line of more than 100 columns is reported, and a link is not', () => {
  const text = 'x'.repeat(97);
  const { wide } = checkProse('a.ts', `// ${text}\n// ${text}x\n// https://${text}\n`);
  assert.deepEqual(wide, ['a.ts:2 has 101 columns']);
});

test('banned words are reported in comments of JSX, and not in strings, templates, regular expressions and code', () => {
  const source = [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the string is source code
    'const a = "// nobody"; const b = `/* nobody */ ${a /* nobody */}`; const c = /\\/\\/ nobody/;',
    'const d = <p title="nobody">{/* The door. */}// nobody</p>;',
    '// Reads `nobody`.',
    '/** Of the user. */',
    '// Who may read it? What is it for?',
    '// What is known is kept.',
  ].join('\n');
  assert.deepEqual(checkProse('a.tsx', source).banned, [
    'a.tsx:1 uses "nobody"',
    'a.tsx:2 uses "door"',
    'a.tsx:4 uses "Of"',
    'a.tsx:6 uses "What is"',
  ]);
});

test('each JSDoc tag and list item is a sentence of its own, and code blocks are none', () => {
  const source = `/**\n * ${words(20)}\n * - ${words(20)}\n * @param name ${words(20)}\n * \`\`\`ts\n * ${words(40)}\n * \`\`\`\n */`;
  const { sentences, long } = checkProse('a.ts', source);
  assert.deepEqual({ sentences, long }, { sentences: 3, long: [] });
});
