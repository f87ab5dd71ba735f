/**
 * Compiles sources and tests once for all test processes. `tsx` would compile them in each process.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { generateDocuments } from './generate-documents.js';
import { compiledFile, compiledFolder, root } from './root.js';

/** Compiles changed files. */
export async function compileTests(): Promise<void> {
  await generateDocuments();
  const options = Math.max(...['tsconfig.json', 'tests/support/compile.ts'].map((file) => changedAt(join(root, file))));
  const sources = ['src', 'tests', 'web/src', 'scripts'].flatMap((name) => typeScriptIn(join(root, name)));
  const scripts = ['web/build.ts', 'web/codegen.ts', 'web/generate.ts'].map((file) => join(root, file));
  const stale = [...sources, ...scripts].filter(
    (source) => changedAt(compiledFile(relative(root, source))) <= Math.max(options, changedAt(source)),
  );
  if (stale.length > 0) await transform(stale, { outbase: root, outdir: compiledFolder });
}

/** Compares content, because a restored file keeps its modification time. */
function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? 0;
}

/** Compiles the files of a folder. */
export async function compileInPlace(path: string): Promise<void> {
  await transform(typeScriptIn(path), { outdir: path });
}

async function transform(entryPoints: string[], output: { outbase?: string; outdir: string }): Promise<void> {
  await build({
    entryPoints,
    ...output,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    logLevel: 'error',
  });
}

function typeScriptIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(?<!\.d)\.tsx?$/.test(file))
    .map((file) => join(path, file));
}
