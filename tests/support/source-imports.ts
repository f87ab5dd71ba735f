/** The modules of `src/` and what they import from each other. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './root.js';

export type Room =
  | 'main'
  | 'server'
  | 'app'
  | 'config'
  | 'graphql'
  | 'domain'
  | 'database'
  | 'delivery'
  | 'security'
  | 'startup';

const rooms: readonly string[] = [
  'main',
  'server',
  'app',
  'config',
  'graphql',
  'domain',
  'database',
  'delivery',
  'security',
  'startup',
] satisfies Room[];

/** The modules that stand beside the rooms, and the room that each belongs to. */
const modulesOfRooms: Record<string, Room> = {
  'main.ts': 'main',
  'cli.ts': 'main',
  'import-command.ts': 'main',
  'server.ts': 'server',
  'outbox-page.ts': 'server',
  'web-pages.ts': 'server',
  'app.ts': 'app',
  'keys.ts': 'app',
  'metrics.ts': 'app',
  'tracing.ts': 'app',
  'config.ts': 'config',
  'startup-error.ts': 'startup',
};

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

export function roomOf(module: string): Room | undefined {
  const [folder, file] = module.split('/');
  if (file === undefined) return modulesOfRooms[module];
  return folder !== undefined && rooms.includes(folder) ? (folder as Room) : undefined;
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

/** `{ type A, type B }` is a type import too. */
function namesTypesOnly(names: string): boolean {
  const list = /^\{([^}]*)\}$/.exec(names.trim())?.[1]?.split(',') ?? [];
  const given = list.map((name) => name.trim()).filter(Boolean);
  return given.length > 0 && given.every((name) => name.startsWith('type '));
}
