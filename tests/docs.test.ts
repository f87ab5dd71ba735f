/** Compares the documents with the service: requests, programs, variables, paths, errors, versions, links, layers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildSchema, type GraphQLEnumType, parse, validate } from 'graphql';
import { readConfig } from '../src/config/load.js';
import { variableNames } from '../src/config/variables.js';
import { operations } from './support/client.js';
import { asInDevelopment, fencedBlocks, runDocumentedRequests } from './support/documented-requests.js';
import { freePort } from './support/postgres.js';
import { root } from './support/root.js';
import { createDatabase, sharedSecrets, spawnService, startService } from './support/service.js';
import { imports, layerOf } from './support/source-imports.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const readme = read('README.md');
const texts = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
const documents = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...texts.map((file) => `docs/${file}`),
];

test('the documented requests get the documented answers', async () => {
  await runDocumentedRequests({ DATABASE_URL: await createDatabase('template template0') });
});

test('the program of the README signs in and gets a verified response', async () => {
  const program = fencedBlocks(readme).find(({ language }) => language === 'js')!.text;
  assert.ok(program.trim().split('\n').length <= 25, 'the program has more than 25 lines');
  const [, email, password] = /identifier: '(.+?)', password: '(.+?)'/.exec(program)!;
  const service = await spawnService({ ...asInDevelopment, ...sharedSecrets(), DATABASE_URL: await createDatabase() });
  const { user } = await operations(service).createUser({ email: email!, password: password! });
  const port = await freePort();
  assert.ok(user);
  const run = program.replace(/\b4000\b/g, new URL(service.url).port).replace(/\b4001\b/g, String(port));
  // The program serves requests until it is stopped.
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', `${run}\nprocess.exit();`],
    { cwd: root },
  );
  assert.equal(stdout, `{ userId: '${user.id}' }\n`);
});

test('the README has at most 150 lines and shows an image of at most 150 kB', () => {
  assert.ok(readme.trimEnd().split('\n').length <= 150);
  const [, image] = /^!\[.+\]\((.+\.png)\)$/m.exec(readme)!;
  assert.ok(statSync(join(root, image!)).size <= 150_000);
});

test('the GraphQL of the documents is valid', () => {
  const schema = buildSchema(read('schema.graphql'));
  const found = documents.flatMap((file) => fencedBlocks(read(file))).filter(({ language }) => language === 'graphql');
  assert.ok(found.length > 0);
  for (const { text } of found) assert.deepEqual(validate(schema, parse(text)), []);
});

test('docs/configuration.md lists every variable that is read, and no other', () => {
  assert.deepEqual([...documentedDefaults().keys()].sort(), [...variableNames].sort());
});

test('.env.example lists exactly the variables that the service reads, commented out', () => {
  assert.deepEqual([...exampleDefaults().keys()].sort(), [...variableNames].sort());
  for (const line of read('.env.example').split('\n')) assert.match(line, /^(#.*)?$/);
});

test('setting the documented default of a variable changes nothing', () => {
  const byDefault = configuration({});
  for (const [source, defaults] of Object.entries({
    'docs/configuration.md': documentedDefaults(),
    '.env.example': exampleDefaults(),
  })) {
    const literal = [...defaults].filter(([, value]) => value !== null);
    assert.ok(literal.length > 25, `only ${literal.length} defaults found in ${source}`);
    for (const [name, value] of literal)
      assert.deepEqual(configuration({ [name]: value! }), byDefault, `${name} in ${source}`);
  }
});

test('docs/configuration.md and .env.example give the same defaults', () => {
  const example = exampleDefaults();
  for (const [name, value] of documentedDefaults()) assert.equal(example.get(name), value, name);
});

test('a variable without a literal default has the described default', () => {
  const { corsOrigins, introspection, outboxAllowed, smsCallingCodes, databaseUrl } = configuration({});
  assert.equal(corsOrigins.length > 0 && introspection && outboxAllowed, true);
  assert.deepEqual([smsCallingCodes, databaseUrl], [undefined, undefined]);
  const production = configuration({ NODE_ENV: 'production' });
  assert.deepEqual(production.corsOrigins, []);
  assert.deepEqual([production.introspection, production.outboxAllowed], [false, false]);
});

test('docs/errors.md lists every code of an expected error and of an issue, and no other', () => {
  const schema = buildSchema(read('schema.graphql'));
  for (const [heading, name, column] of [
    ['| type | `code` |', 'IdentityErrorCode', 2],
    ['| code | meaning |', 'ValidationIssueCode', 1],
  ] as const) {
    const table = read('docs/errors.md').split(heading)[1]!.split('\n\n')[0]!;
    const listed = table.split('\n').flatMap((row) => row.split('|')[column]?.match(/[A-Z_]{4,}/g) ?? []);
    // Invariant: the schema declares both names as enums.
    const values = (schema.getType(name) as GraphQLEnumType).getValues().map((value) => value.name);
    assert.deepEqual(listed.sort(), values.sort());
  }
});

test('docs/README.md links every document, and its versions of packages are the installed ones', () => {
  const index = read('docs/README.md');
  for (const file of texts) if (file !== 'README.md') assert.ok(index.includes(`](${file})`), file);
  for (const [row, name] of [
    ['PGlite', '@electric-sql/pglite'],
    ['axe-core', 'axe-core'],
    ['Apollo Client', '@apollo/client'],
    ['urql (`@urql/core`)', '@urql/core'],
    ['graphql-request', 'graphql-request'],
    ['Apollo Server', '@apollo/server'],
    ['Fastify', 'fastify'],
    ['GraphQL Code Generator', '@graphql-codegen/cli'],
  ] as const) {
    const documented = index.split(`\n| ${row} | `)[1]!.split(/[ ,]/)[0]!;
    const { version } = JSON.parse(read(`node_modules/${name}/package.json`)) as { version: string };
    assert.ok(`${version}.`.startsWith(`${documented}.`), `${name} is ${version}`);
  }
});

test('docs/configuration.md lists the paths that the service answers', async () => {
  const section = read('docs/configuration.md').split('## Paths')[1]!;
  const paths = [...section.matchAll(/`(?:GET )?(\/[^`\s]*)`/g)].map(([, path]) => path!);
  assert.ok(paths.length > 12);
  const service = await startService({ ...asInDevelopment, ...sharedSecrets(), DATABASE_URL: await createDatabase() });
  for (const path of paths.filter((each) => each !== '/assets/')) {
    const { status } = await fetch(service.url + path, { headers: { accept: 'text/html' } });
    assert.equal(status, 200, path);
  }
});

test('docs/development.md lists every script of package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const development = read('docs/development.md');
  for (const name of Object.keys(scripts).filter((each) => !each.startsWith('pre')))
    assert.match(development, new RegExp(`npm (run )?${name}\\b(?!:)`), name);
});

test('the files, links, headings and scripts that the documents name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const file of documents) {
    const text = read(file);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => join(dirname(file), path!));
    for (const [, path, anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
      const target = path === '' ? file : join(dirname(file), path!);
      assert.ok(anchorsOf(read(target)).includes(anchor!), `${file} links to #${anchor} of ${target}`);
    }
    const paths = [...text.matchAll(/`((?:src|tests|docs|drizzle|\.ci|\.github)\/[^`*<\s]*)`/g)].map(
      ([, path]) => path!,
    );
    for (const path of [...links, ...paths]) assert.ok(existsSync(join(root, path)), `${file} names ${path}`);
    for (const [, script] of text.matchAll(/npm run ([\w:]+)/g))
      assert.ok(script! in scripts, `${file} names ${script}`);
  }
});

test('the tests that docs/security.md names for each attack exist', () => {
  const rows = [...read('docs/security.md').matchAll(/^\| \d+ \|.*\| ([^|]+) \|$/gm)].map(([, names]) => names!);
  assert.ok(rows.length >= 33, `only ${rows.length} attacks found`);
  for (const name of rows.flatMap((names) => names.split(', ')))
    assert.ok(
      [`tests/${name}.test.ts`, `tests/${name}.slow.test.ts`, `${name}.ts`].some((file) =>
        existsSync(join(root, file)),
      ),
      name,
    );
});

test('the diagram of the layers shows every import between layers, and no other', () => {
  const picture = fencedBlocks(read('docs/architecture.md')).find(({ language }) => language === 'mermaid')!.text;
  const drawn = [...picture.matchAll(/^\s*(\w+) (-->|-\.->) (\w+)$/gm)].map(
    ([, from, arrow, to]) => `${from} ${arrow} ${to}`,
  );
  assert.deepEqual(drawn.sort(), arrowsOfSource().sort());
});

/** The anchors that GitHub gives to the headings of a document. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

const secrets = sharedSecrets();

/** Reads a configuration of secrets and these variables. Given secrets are not generated. */
function configuration(environment: Record<string, string>): ReturnType<typeof readConfig> {
  const { SECRET_KEY, PASSWORD_PEPPER } = secrets;
  return readConfig({ SECRET_KEY, PASSWORD_PEPPER, ...environment });
}

/** Reads the table of variables: each name with its default, or null for a default that is described. */
function documentedDefaults(): Map<string, string | null> {
  const section = /^## Variables$(.*?)^## /ms.exec(read('docs/configuration.md'))![1]!;
  const rows = [...section.matchAll(/^\| `([A-Z][A-Z_]+)` \| (.+?) \|/gm)];
  return new Map(
    rows.map(([, name, text]) => {
      const literal = /^`(.+)`$/.exec(text!)?.[1];
      return [name!, literal?.replace('$PUBLIC_URL', 'http://localhost:4000').replace('$PORT', '4000') ?? null];
    }),
  );
}

function exampleDefaults(): Map<string, string | null> {
  return new Map(
    [...read('.env.example').matchAll(/^# ([A-Z][A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value || null]),
  );
}

/** Returns `from --> to` for each import between two layers, and `from -.-> to` if it imports only types. */
function arrowsOfSource(): string[] {
  const byEdge = new Map<string, boolean>();
  for (const { from, to, typeOnly } of imports) {
    const edge = `${layerOf(from)} ${layerOf(to)}`;
    if (layerOf(from) !== layerOf(to) && layerOf(to) !== 'startup-error')
      byEdge.set(edge, typeOnly && (byEdge.get(edge) ?? true));
  }
  return [...byEdge].map(([edge, typeOnly]) => edge.replace(' ', typeOnly ? ' -.-> ' : ' --> '));
}
