/** Checks the layers of `src/` and their imports. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './support/root.js';
import { folderOf, type Import, imports, type Layer, layerOf, modules } from './support/source-imports.js';

/**
 * `type app` permits type imports, `graphql/server` only that folder. Layers may import themselves
 * and packages.
 */
const mayImport: Record<Layer, readonly (Layer | 'type delivery' | 'type app' | 'graphql/server')[]> = {
  main: ['http', 'app', 'config', 'domain', 'database', 'graphql/server'],
  cli: ['main', 'http', 'app', 'config', 'domain', 'database', 'graphql/server'],
  http: ['graphql', 'domain', 'app', 'config', 'observability'],
  graphql: ['domain', 'type app'],
  domain: ['database', 'security', 'type delivery', 'type app'],
  app: ['config', 'database', 'delivery', 'security', 'observability'],
  config: [],
  database: [],
  delivery: [],
  security: [],
  observability: [],
  'startup-error': [],
};

/** Every layer may throw startup errors, whose module imports nothing. */
const openToAll: readonly Layer[] = ['startup-error'];

test('every module belongs to a layer', () => {
  assert.ok(modules.length > 40, `only ${modules.length} modules found`);
  assert.deepEqual(
    modules.filter((module) => layerOf(module) === undefined),
    [],
  );
});

test('no layer has an import that the table forbids', () => {
  assert.ok(imports.length > 100, `only ${imports.length} imports found`);
  const trespasses = imports.filter((each) => !isAllowed(each));
  assert.deepEqual(
    trespasses.map(({ from, to, typeOnly }) => `${from} → ${typeOnly ? 'type ' : ''}${to}`),
    [],
  );
});

test('no module imports itself indirectly', () => {
  assert.deepEqual(cycles(imports), []);
});

test('no folder of the domain imports itself indirectly', () => {
  const inDomain = imports.filter(({ from, to }) => layerOf(from) === 'domain' && layerOf(to) === 'domain');
  const arrows = inDomain.flatMap(({ from, to }) => {
    const [here, there] = [folderOf(from), folderOf(to)];
    return here === there ? [] : [{ from: here ?? from, to: there ?? to }];
  });
  assert.ok(arrows.length > 20, `only ${arrows.length} arrows found`);
  assert.deepEqual(cycles(arrows), []);
});

test('no SQL statement contains a duration as text', () => {
  const stating = modules.filter(
    (module) =>
      layerOf(module) === 'database' && /\binterval\s*'/i.test(readFileSync(join(root, 'src', module), 'utf8')),
  );
  assert.deepEqual(stating, []);
});

test('every local import names an existing module', () => {
  assert.deepEqual(
    imports.filter(({ to }) => !modules.includes(to)),
    [],
  );
});

test('completeSignIn is the only caller of openSession', () => {
  const naming = modules.filter((module) => /\bopenSession\b/.test(readFileSync(join(root, 'src', module), 'utf8')));
  assert.deepEqual(naming, ['domain/authentication/complete-sign-in.ts', 'domain/sessions/sessions.ts']);
  const { length: calls } =
    readFileSync(join(root, 'src/domain/sessions/sessions.ts'), 'utf8').match(/\bopenSession\(/g) ?? [];
  assert.equal(calls, 1, 'sessions.ts declares it and does not call it');
});

/**
 * Modules that read roles for other purposes than authorization, with the number of reads and the
 * reason.
 */
const otherReadsOfRoles: Record<string, [reads: number, reason: string]> = {
  'domain/sessions/sessions.ts': [2, 'the claim `roles` of access tokens'],
  'domain/accounts/profile.ts': [2, 'the last active superuser stays one, and the events of changed roles'],
  'domain/accounts/superusers.ts': [1, 'the last active superuser stays one'],
  'domain/import/run.ts': [2, 'the filters of an import'],
  'domain/import/imported-user.ts': [5, 'the columns and the digest of an imported user'],
  'domain/import/updates.ts': [1, 'the columns of an imported user'],
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

/** Counts how often a module reads a role: as a property, as text, or by destructuring. */
function readsOfRoles(module: string): number {
  const text = readFileSync(join(root, 'src', module), 'utf8');
  const role = String.raw`\bis(?:Staff|Superuser)\b`;
  const reads = [String.raw`\.\s*${role}`, String.raw`\[\s*['"]${role}`, String.raw`\{[^{}]*${role}[^{}]*\}\s*(?:=|:)`];
  return reads.reduce((count, read) => count + [...text.matchAll(new RegExp(read, 'g'))].length, 0);
}

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const [here, there] = [layerOf(from)!, layerOf(to)!];
  const open: readonly string[] = mayImport[here];
  return (
    here === there ||
    openToAll.includes(there) ||
    open.includes(there) ||
    (typeOnly && open.includes(`type ${there}`)) ||
    open.includes(`${there}/${folderOf(to)}`)
  );
}

/**
 * Finds import cycles. Type imports count, because modules that need each other's types belong
 * together.
 */
function cycles(arrows: { from: string; to: string }[]): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  function visit(here: string, path: string[]): void {
    const start = path.indexOf(here);
    if (start >= 0) found.push([...path.slice(start), here].join(' → '));
    if (start >= 0 || done.has(here)) return;
    for (const { to } of arrows.filter(({ from }) => from === here)) visit(to, [...path, here]);
    done.add(here);
  }
  for (const { from } of arrows) visit(from, []);
  return found;
}
