/** The test runner: it names a failing, crashing or hanging file, and runs the others. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { compiledFile, root } from './support/root.js';
import { temporaryFolder } from './support/service.js';

const planted = {
  'passes.mjs': "test('passes', () => {});",
  'fails.mjs': "test('fails', () => { throw new Error('on purpose'); });",
  'fails-in-a-source.mjs': `import { filesIn } from ${JSON.stringify(compiledFile('scripts/when-stale.ts'))}; test('finds no folder', () => filesIn('/no/such/folder'));`,
  'fails-in-a-hook.mjs': "after(() => { throw new Error('in a hook'); }); test('ends well', () => {});",
  'fails-while-loading.mjs': "setInterval(() => {}, 1000); throw new Error('while loading');",
  'fails-late.mjs':
    "test('ends early', () => { setTimeout(() => { throw new Error('too late'); }, 50); }); test('waits', () => new Promise((resolve) => setTimeout(resolve, 200)));",
  'crashes.mjs': "test('crashes', () => { process.kill(process.pid, 'SIGSEGV'); });",
  'exits.mjs': "test('exits', () => { process.exit(0); });",
  'blocks.mjs': "test('blocks', () => { for (;;); });",
  'waits-for-ever.mjs': "test('waits for ever', () => new Promise(() => setInterval(() => {}, 1000)));",
};
type Planted = keyof typeof planted;

let output = '';
let code: number | null = null;

before(async () => {
  const folder = temporaryFolder();
  for (const [name, body] of Object.entries(planted))
    writeFileSync(join(folder, name), `import { after, test } from 'node:test';\n${body}\n`);
  // Twice, because a worker continues with the next file.
  const files = [...Object.keys(planted), 'passes.mjs'].map((name) => join(folder, name));
  const program = `
    import { runFiles } from ${JSON.stringify(pathToFileURL(compiledFile('tests/support/workers.ts')).href)};
    const passed = await runFiles(${JSON.stringify(files)}, process.env, { oneAtATime: true, seed: 1, silenceSeconds: 2 });
    process.exit(passed ? 0 : 1);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    // Without the variable, because a test reports to an outer test runner.
    env: { PATH: process.env.PATH, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  output = (await Promise.all([text(child.stdout), text(child.stderr)])).join('\n');
  code = await exited;
});

/** Returns the first line of the failure of a file. */
function failureOf(name: Planted): string | undefined {
  return new RegExp(`^✖ \\S*/${name.replace('.', '\\.')}: (.*)$`, 'm').exec(output)?.[1];
}

test('fails the run', () => assert.equal(code, 1, output));

test('names a failing test, and prints its error', () => {
  assert.equal(failureOf('fails.mjs'), 'fails');
  assert.match(output, /on purpose/);
});

test('prints the stack of an error with the lines of the sources', () => {
  assert.match(output, /at filesIn \(\S+\/scripts\/when-stale\.ts:\d+:\d+\)/);
});

test('names a file that fails outside of its tests', () => {
  assert.match(failureOf('fails-in-a-hook.mjs') ?? '', /fails-in-a-hook/);
  assert.match(failureOf('fails-while-loading.mjs') ?? '', /fails-while-loading/);
  assert.match(output, /while loading/);
  assert.notEqual(failureOf('fails-late.mjs'), undefined);
});

test('names a file that stops its process, and the running test', () => {
  assert.equal(failureOf('crashes.mjs'), 'ended its process with SIGSEGV during "crashes"');
  assert.equal(failureOf('exits.mjs'), 'ended its process with 0 during "exits"');
});

test('names a file that hangs, and the running test', () => {
  for (const [name, during] of [
    ['blocks.mjs', 'blocks'],
    ['waits-for-ever.mjs', 'waits for ever'],
  ] as const)
    assert.equal(failureOf(name), `reported nothing for 2 s during "${during}"`);
});

test('runs the other files', () => {
  assert.equal(output.match(/ CPU {2}\S*\/passes\.mjs$/gm)?.length, 4, 'two runs, each also among the slowest');
  assert.equal(failureOf('passes.mjs'), undefined);
});
