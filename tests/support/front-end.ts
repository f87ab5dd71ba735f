/** The project of somebody who follows docs/clients.md: generated as it says, and compiled as strictly as a new project of Vite. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from '@graphql-codegen/cli';
import example from '../examples/codegen.js';
import { root } from './root.js';

/** Writes what the documented `codegen.ts` makes of the package to `src/graphql` of the folder. */
export async function generateAsDocumented(folder: string): Promise<void> {
  const installed = (path: unknown) => join(root, String(path).replace('node_modules/flex-identity/', ''));
  const outputs = Object.entries(example.generates).map(([output, options]) => [`${folder}/${output}`, options]);
  const config = { schema: installed(example.schema), documents: installed(example.documents), silent: true };
  await generate({ ...config, generates: Object.fromEntries(outputs) }, true);
}

/** Compiles `src` of the folder for a browser. @returns what the compiler complains about */
export function compileForBrowsers(folder: string): string {
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2023', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    // None of Node: a browser has no `process`.
    types: [],
    strict: true,
    verbatimModuleSyntax: true,
    erasableSyntaxOnly: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout;
}
