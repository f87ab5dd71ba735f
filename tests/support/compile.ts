/** Compiles sources and tests once for all processes that run them. `tsx` would compile them again in each. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { compiledFolder, root } from './root.js';

export async function compileTests(): Promise<void> {
  rmSync(compiledFolder, { recursive: true, force: true });
  const sources = ['src', 'tests', 'web/src', 'scripts'].flatMap((name) => typeScriptIn(join(root, name)));
  await transform([...sources, join(root, 'web/build.ts')], { outbase: root, outdir: compiledFolder });
}

/** Compiles the files of a folder beside themselves. */
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
