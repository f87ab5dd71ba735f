/** What the documents say, held against the service: requests and answers, variables and defaults, files, documents, the picture of the rooms. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildSchema, parse, validate } from 'graphql';
import { readConfig, variableNames } from '../src/config.js';
import { root } from './support/root.js';
import { sharedSecrets, spawnService, temporaryFolder } from './support/service.js';
import { imports, roomOf } from './support/source-imports.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const readme = read('README.md');
const texts = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
const documents = ['README.md', 'CHANGELOG.md', ...texts.map((file) => `docs/${file}`)];

test('the requests of the README get the answers of the README, from a fresh start and as they stand', async () => {
  const blocks = fencedBlocks(readme).filter(({ language, text }) =>
    language === 'sh' ? text.includes('curl') : language === 'json',
  );
  const requests = blocks.flatMap(({ language, text }, index) => {
    if (language !== 'sh') return [];
    const rest = blocks.slice(index + 1);
    const end = rest.findIndex((block) => block.language === 'sh');
    return [{ script: text, answers: rest.slice(0, end < 0 ? rest.length : end).map(({ text }) => JSON.parse(text)) }];
  });
  assert.ok(requests.length >= 7, `only ${requests.length} requests found`);

  const service = await spawnService({
    DATA_DIR: temporaryFolder(),
    ...asInDevelopment,
  });
  const bootstrapSecret = /Bootstrap (\S+)/.exec(await printed(service, 'Bootstrap'))![1]!;
  const script = requests
    .map((request) => request.script)
    .join(`\necho '${separator}'\n`)
    .replaceAll('http://localhost:4000', service.url)
    .replace('what-the-start-has-printed', bootstrapSecret);
  const { stdout } = await promisify(execFile)('bash', ['-c', `${curlByFetch}\nset -eu\n${script}`], {
    env: { ...process.env, CURL_BY_FETCH: curlProgram },
  });

  const outputs = stdout.split(separator);
  assert.equal(outputs.length, requests.length);
  for (const [index, { script, answers }] of requests.entries()) {
    const actual = outputs[index]!.split('\n').filter(Boolean);
    assert.equal(actual.length, answers.length, `${script}\nhas answered:\n${outputs[index]}`);
    for (const [n, expected] of answers.entries()) assertLike(JSON.parse(actual[n]!), expected, script);
  }
  const shown = JSON.stringify(requests.map(({ answers }) => answers));
  for (const member of ['CreateUserSuccess', 'InvalidOneTimePasswordError', 'TimeoutError', 'CreateSuperuserSuccess'])
    assert.ok(shown.includes(`"__typename":"${member}"`), `the README shows no ${member}`);
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

test('the picture of the rooms shows who imports whom, and nothing else', () => {
  const picture = fencedBlocks(read('docs/architecture.md')).find(({ language }) => language === 'mermaid')!.text;
  const drawn = [...picture.matchAll(/^\s*(\w+) (-->|-\.->) (\w+)$/gm)].map(
    ([, from, arrow, to]) => `${from} ${arrow} ${to}`,
  );
  assert.deepEqual(drawn.sort(), arrowsOfSource().sort());
});

/** The limits that a reader meets after the first start, in place of those of the tests. The cost of a hash is no part of an answer. */
const asInDevelopment = {
  NODE_ENV: 'development',
  PUBLIC_URL: '',
  SIGN_UPS_PER_HOUR: '',
  LOOK_UPS_PER_MINUTE: '',
  GUESSES_PER_HOUR: '',
  SENDS_PER_HOUR: '',
};

const separator = '═══ next ═══';

/** Where there is no curl, the same requests go by fetch. */
const curlByFetch = `command -v curl >/dev/null || curl() { node --input-type=module -e "$CURL_BY_FETCH" -- "$@"; }`;
const curlProgram = `
  const request = { headers: {} };
  let url;
  for (let args = process.argv.slice(1); args.length > 0; ) {
    const arg = args.shift();
    if (arg === '-d') Object.assign(request, { method: 'POST', body: args.shift() });
    else if (arg === '-H') {
      const [name, value] = args.shift().split(/: (.*)/);
      request.headers[name] = value;
    } else if (arg.startsWith('http')) url = arg;
    else if (arg !== '-s') throw new Error('no such option here: ' + arg);
  }
  const response = await fetch(url, request);
  process.stdout.write(await response.text());
`;

function fencedBlocks(markdown: string): { language: string; text: string }[] {
  return [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** Waits until the service has printed the word. */
async function printed({ output }: { output(): string }, word: string): Promise<string> {
  while (!output().includes(`${word} `)) await new Promise((resolve) => setTimeout(resolve, 20));
  return output();
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Whether an answer is the one that is shown: `…` stands for what differs every time, an instant for any other. */
function assertLike(actual: unknown, shown: unknown, about: string): void {
  if (typeof shown === 'string' && typeof actual === 'string') {
    if (instant.test(shown)) assert.match(actual, instant, about);
    else if (shown.includes('…')) {
      const [before, behind] = shown.split('…') as [string, string];
      assert.ok(actual.startsWith(before) && actual.endsWith(behind) && actual.length > shown.length, about);
    } else assert.equal(actual, shown, about);
    return;
  }
  if (typeof shown === 'object' && shown !== null && typeof actual === 'object' && actual !== null) {
    assert.deepEqual(Object.keys(actual), Object.keys(shown), about);
    for (const [key, value] of Object.entries(shown))
      assertLike((actual as Record<string, unknown>)[key], value, about);
    return;
  }
  assert.equal(actual, shown, about);
}

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

/** `from --> to` for each two rooms of which one imports from the other, `from -.-> to` where it imports types only. */
function arrowsOfSource(): string[] {
  const byEdge = new Map<string, boolean>();
  for (const { from, to, typeOnly } of imports) {
    const edge = `${roomOf(from)} ${roomOf(to)}`;
    if (roomOf(from) !== roomOf(to)) byEdge.set(edge, typeOnly && (byEdge.get(edge) ?? true));
  }
  return [...byEdge].map(([edge, typeOnly]) => edge.replace(' ', typeOnly ? ' -.-> ' : ' --> '));
}
