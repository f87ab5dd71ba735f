/** The modules of `src/` and their imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './root.js';

/** A folder of `src`, or a module beside the folders. */
export type Layer =
  | 'main'
  | 'cli'
  | 'http'
  | 'graphql'
  | 'domain'
  | 'app'
  | 'config'
  | 'database'
  | 'delivery'
  | 'security'
  | 'observability'
  | 'startup-error';

const layers: readonly string[] = [
  'main',
  'cli',
  'http',
  'graphql',
  'domain',
  'app',
  'config',
  'database',
  'delivery',
  'security',
  'observability',
  'startup-error',
] satisfies Layer[];

export interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

const src = join(root, 'src');

export const modules = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort();

export const imports: Import[] = modules.flatMap(importsOf);

export function layerOf(module: string): Layer | undefined {
  const name = module.split('/')[0]?.replace(/\.ts$/, '');
  // Invariant: `layers` contains only names of `Layer`.
  return name !== undefined && layers.includes(name) ? (name as Layer) : undefined;
}

/**
 * Returns `accounts` for `domain/accounts/profile.ts`; undefined for a module outside such a
 * folder.
 */
export function folderOf(module: string): string | undefined {
  const [, folder, ...file] = module.split('/');
  return file.length > 0 ? folder : undefined;
}

function importsOf(from: string): Import[] {
  const text = readFileSync(join(src, from), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s+(?:(type)\s+)?(?:([^'";]*?)\s+from\s+)?'(\.{1,2}\/[^']+)'/gm);
  const dynamic = text.matchAll(/\bimport\('(\.{1,2}\/[^']+)'\)/g);
  return [
    ...[...statements].map(([, type, names, path]) => ({
      typeOnly: type !== undefined || (names !== undefined && namesTypesOnly(names)),
      path: path!,
    })),
    ...[...dynamic].map(([, path]) => ({ typeOnly: false, path: path! })),
  ].map(({ typeOnly, path }) => ({
    from,
    to: relative(src, join(src, dirname(from), path.replace(/\.js$/, '.ts'))),
    typeOnly,
  }));
}

/** `{ type A, type B }` is a type import, too. */
function namesTypesOnly(names: string): boolean {
  const list = /^\{([^}]*)\}$/.exec(names.trim())?.[1]?.split(',') ?? [];
  const given = list.map((name) => name.trim()).filter(Boolean);
  return given.length > 0 && given.every((name) => name.startsWith('type '));
}
