/** The rooms of `src/`, and who may call whom. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './support/root.js';
import { type Import, imports, modules, type Room, roomOf } from './support/source-imports.js';

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
  startup: [],
};

/** The errors of the start are thrown by every layer. They import nothing. */
const openToAll: readonly Room[] = ['startup'];

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

test('no statement states a duration as text: the policy passes it in', () => {
  const stating = modules.filter(
    (module) =>
      roomOf(module) === 'database' && /\binterval\s*'/i.test(readFileSync(join(root, 'src', module), 'utf8')),
  );
  assert.deepEqual(stating, []);
});

test('every local import names a module that is there', () => {
  assert.deepEqual(
    imports.filter(({ to }) => !modules.includes(to)),
    [],
  );
});

test('completeSignIn is the only caller of openSession', () => {
  const naming = modules.filter((module) => /\bopenSession\b/.test(readFileSync(join(root, 'src', module), 'utf8')));
  assert.deepEqual(naming, ['domain/complete-sign-in.ts', 'domain/sessions.ts']);
  const { length: calls } = readFileSync(join(root, 'src/domain/sessions.ts'), 'utf8').match(/\bopenSession\(/g) ?? [];
  assert.equal(calls, 1, 'sessions.ts declares it and does not call it');
});

/** Modules that read roles for something else than who may do what. Each has the number of its reads and their reason. */
const otherReadsOfRoles: Record<string, [reads: number, reason: string]> = {
  'domain/sessions.ts': [2, 'the claim `roles` of access tokens'],
  'domain/user-changes.ts': [3, 'the last active superuser stays one, and the events of changed roles'],
  'domain/import-run.ts': [2, 'the filters of an import'],
  'domain/imported-user.ts': [5, 'the columns and the digest of an imported user'],
  'domain/import-updates.ts': [1, 'the columns of an imported user'],
};

test('only permissions.ts decides by a role', () => {
  const others = modules.filter(
    (module) => /^(domain|graphql)\//.test(module) && !module.endsWith('/permissions.ts') && readsOfRoles(module) > 0,
  );
  assert.deepEqual(
    Object.fromEntries(others.map((module) => [module, readsOfRoles(module)])),
    Object.fromEntries(Object.entries(otherReadsOfRoles).map(([module, [reads]]) => [module, reads])),
  );
});

/** How often a module reads a role of a user: as a property, by its name as text, or by destructuring. */
function readsOfRoles(module: string): number {
  const text = readFileSync(join(root, 'src', module), 'utf8');
  const role = String.raw`\bis(?:Staff|Superuser)\b`;
  const reads = [String.raw`\.\s*${role}`, String.raw`\[\s*['"]${role}`, String.raw`\{[^{}]*${role}[^{}]*\}\s*(?:=|:)`];
  return reads.reduce((count, read) => count + [...text.matchAll(new RegExp(read, 'g'))].length, 0);
}

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const [here, there] = [roomOf(from)!, roomOf(to)!];
  const open: readonly string[] = mayImport[here];
  return (
    here === there ||
    openToAll.includes(there) ||
    open.includes(there) ||
    (typeOnly && open.includes(`type ${there}`)) ||
    open.includes(to.replace(/\.ts$/, ''))
  );
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
