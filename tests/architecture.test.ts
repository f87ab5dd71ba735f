/** The rooms of `src/`, and who may call whom. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

type Room = 'main' | 'server' | 'app' | 'config' | 'graphql' | 'domain' | 'database' | 'delivery' | 'security';

/** `type` of a room: its types only. A room may always import from itself, and packages. */
const mayImport: Record<Room, readonly (Room | `type ${Room}` | 'graphql/schema')[]> = {
  main: ['server', 'app', 'config', 'domain', 'database', 'graphql/schema'],
  server: ['graphql', 'app', 'config'],
  graphql: ['domain', 'type app'],
  domain: ['database', 'security', 'type delivery', 'type app'],
  app: ['config', 'database', 'delivery', 'security'],
  config: [],
  database: [],
  delivery: [],
  security: [],
};

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
};

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

const src = join(import.meta.dirname, '../src');
const modules = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort();
const imports = modules.flatMap(importsOf);

test('every module belongs to a room', () => {
  assert.ok(modules.length > 40, `only ${modules.length} modules found`);
  assert.deepEqual(
    modules.filter((module) => roomOf(module) === undefined),
    [],
  );
});

test('nobody imports from a room that is not open to theirs', () => {
  assert.ok(imports.length > 100, `only ${imports.length} imports found`);
  const trespasses = imports.filter((each) => !isAllowed(each));
  assert.deepEqual(
    trespasses.map(({ from, to, typeOnly }) => `${from} → ${typeOnly ? 'type ' : ''}${to}`),
    [],
  );
});

test('no module imports itself by way of others', () => {
  assert.deepEqual(cycles(), []);
});

test('every local import names a module that is there', () => {
  assert.deepEqual(
    imports.filter(({ to }) => !modules.includes(to)),
    [],
  );
});

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const [here, there] = [roomOf(from)!, roomOf(to)!];
  const open: readonly string[] = mayImport[here];
  return (
    here === there ||
    open.includes(there) ||
    (typeOnly && open.includes(`type ${there}`)) ||
    open.includes(to.replace(/\.ts$/, ''))
  );
}

function roomOf(module: string): Room | undefined {
  const [folder, file] = module.split('/');
  if (file === undefined) return modulesOfRooms[module];
  return folder !== undefined && folder in mayImport ? (folder as Room) : undefined;
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

/** Each way by which a module comes back to itself, types counted: two modules that need each other's types are one. */
function cycles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  function visit(module: string, path: string[]): void {
    const start = path.indexOf(module);
    if (start >= 0) found.push([...path.slice(start), module].join(' → '));
    if (start >= 0 || done.has(module)) return;
    for (const { to } of imports.filter(({ from }) => from === module)) visit(to, [...path, module]);
    done.add(module);
  }
  for (const module of modules) visit(module, []);
  return found;
}
