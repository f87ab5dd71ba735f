/** What the documents say, held against the service: requests and answers, variables and defaults, files, documents, the picture of the layers. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { buildSchema, parse, validate } from 'graphql';
import { readConfig } from '../src/config/load.js';
import { variableNames } from '../src/config/variables.js';
import { converse, fencedBlocks } from './support/readme.js';
import { root } from './support/root.js';
import { createDatabase, sharedSecrets } from './support/service.js';
import { imports, layerOf } from './support/source-imports.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const readme = read('README.md');
const texts = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
const documents = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...texts.map((file) => `docs/${file}`)];

test('the requests of the README get the answers of the README as they stand', async () => {
  await converse({ DATABASE_URL: await createDatabase('template template0') });
});

test('the GraphQL of the documents is valid', () => {
  const schema = buildSchema(read('schema.graphql'));
  const found = documents.flatMap((file) => fencedBlocks(read(file))).filter(({ language }) => language === 'graphql');
  assert.ok(found.length > 0);
  for (const { text } of found) assert.deepEqual(validate(schema, parse(text)), []);
});

test('the README lists every variable that is read, and no other', () => {
  assert.deepEqual([...documentedDefaults().keys()].sort(), [...variableNames].sort());
});

test('.env.example lists every variable that is read, commented out, and no other', () => {
  assert.deepEqual([...exampleDefaults().keys()].sort(), [...variableNames].sort());
  for (const line of read('.env.example').split('\n')) assert.match(line, /^(#.*)?$/);
});

test('setting the documented default of a variable changes nothing', () => {
  const byDefault = configuration({});
  for (const [source, defaults] of Object.entries({
    README: documentedDefaults(),
    '.env.example': exampleDefaults(),
  })) {
    const literal = [...defaults].filter(([, value]) => value !== null);
    assert.ok(literal.length > 25, `only ${literal.length} defaults found in ${source}`);
    for (const [name, value] of literal)
      assert.deepEqual(configuration({ [name]: value! }), byDefault, `${name} in ${source}`);
  }
});

test('the README and .env.example give the same defaults', () => {
  const example = exampleDefaults();
  for (const [name, value] of documentedDefaults()) assert.equal(example.get(name), value, name);
});

test('a variable without a literal default has the one that is described', () => {
  const { corsOrigins, introspection, outboxAllowed, smsDialCodes, databaseUrl } = configuration({});
  assert.equal(corsOrigins.length > 0 && introspection && outboxAllowed, true);
  assert.deepEqual([smsDialCodes, databaseUrl], [undefined, undefined]);
  const production = configuration({ NODE_ENV: 'production' });
  assert.deepEqual(production.corsOrigins, []);
  assert.deepEqual([production.introspection, production.outboxAllowed], [false, false]);
});

test('the files, links and scripts that the documents name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const file of documents) {
    const text = read(file);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => join(dirname(file), path!));
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

test('the picture of the layers shows who imports whom, and nothing else', () => {
  const picture = fencedBlocks(read('docs/architecture.md')).find(({ language }) => language === 'mermaid')!.text;
  const drawn = [...picture.matchAll(/^\s*(\w+) (-->|-\.->) (\w+)$/gm)].map(
    ([, from, arrow, to]) => `${from} ${arrow} ${to}`,
  );
  assert.deepEqual(drawn.sort(), arrowsOfSource().sort());
});

const secrets = sharedSecrets();

/** The configuration with nothing set but secrets, so that none is generated, and these. */
function configuration(environment: Record<string, string>): ReturnType<typeof readConfig> {
  const { SECRET_KEY, PASSWORD_PEPPER } = secrets;
  return readConfig({ SECRET_KEY, PASSWORD_PEPPER, ...environment });
}

/** Each variable in the README's table and its default; null where it is described and not given. */
function documentedDefaults(): Map<string, string | null> {
  const section = /^## Configuration$(.*?)^## /ms.exec(readme)![1]!;
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

/** `from --> to` for each two layers of which one imports from the other, `from -.-> to` where it imports types only. */
function arrowsOfSource(): string[] {
  const byEdge = new Map<string, boolean>();
  for (const { from, to, typeOnly } of imports) {
    const edge = `${layerOf(from)} ${layerOf(to)}`;
    if (layerOf(from) !== layerOf(to) && layerOf(to) !== 'startup-error')
      byEdge.set(edge, typeOnly && (byEdge.get(edge) ?? true));
  }
  return [...byEdge].map(([edge, typeOnly]) => edge.replace(' ', typeOnly ? ' -.-> ' : ' --> '));
}
