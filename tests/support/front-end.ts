/** The project of somebody who follows docs/clients.md: generated as it says, and compiled as strictly as a new project of Vite. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after } from 'node:test';
import { generate } from '@graphql-codegen/cli';
import example from '../examples/codegen.js';
import { compileInPlace } from './compile.js';
import { root } from './root.js';
import type { Service } from './service.js';

/** The files whose text docs/clients.md quotes, in its order. */
export const documentedFiles = [
  'tests/examples/codegen.ts',
  'tests/examples/sign-in.ts',
  'tests/examples/api.ts',
  'tests/examples/possible-types.ts',
  'tests/examples/apollo-client.ts',
  'tests/examples/urql.ts',
  'tests/examples/graphql-request.ts',
  'tests/examples/fetch.ts',
  'web/src/refresh-link.ts',
  'tests/examples/tokens.ts',
  'tests/examples/count-down.ts',
];
/** The names of the clients of docs/clients.md, and of their files. */
export const documentedClients = {
  'Apollo Client': 'apollo-client',
  urql: 'urql',
  'graphql-request': 'graphql-request',
  fetch: 'fetch',
};
/** The blocks of TypeScript in docs/clients.md. */
export function documentedBlocks(): string[] {
  const text = readFileSync(join(root, 'docs/clients.md'), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block!);
}

/**
 * Makes the project of a reader, of the blocks as they stand, for that service, and compiles it for Node.
 * @returns its folder, which is gone after the tests of this file
 */
export async function makeDocumentedProject({ url }: Pick<Service, 'url'>): Promise<string> {
  // Within this project, so that the packages are found from there.
  const project = mkdtempSync(join(root, 'dist/clients-'));
  after(() => rmSync(project, { recursive: true }));
  await generateAsDocumented(project);
  const blocks = documentedBlocks();
  for (const [index, file] of documentedFiles.map((file) => basename(file)).entries())
    writeFileSync(join(project, file === 'codegen.ts' ? '.' : 'src', file), blocks[index] ?? '');
  // The one thing that a reader changes: where the API is.
  const api = join(project, 'src/api.ts');
  writeFileSync(api, readFileSync(api, 'utf8').replace('http://localhost:4000', url));
  await compileInPlace(join(project, 'src'));
  return project;
}

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
