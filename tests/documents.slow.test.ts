/** The typed documents: clients compile with them, and stop compiling after a breaking change. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { generate } from '@graphql-codegen/cli';
import { compileForBrowsers, generateAsDocumented } from './support/front-end.js';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const schemaText = read('schema.graphql');

// The folder is within the project, so that Node finds the packages.
const folder = mkdtempSync(join(root, 'dist/documents-'));
after(() => rmSync(folder, { recursive: true }));

test('the codegen.ts of docs/clients.md generates typed documents that compile in a front end', async () => {
  const quoted = [...read('docs/clients.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text);
  assert.ok(quoted.includes(read('tests/examples/codegen.ts')), 'docs/clients.md has another one');
  const project = join(folder, 'as-documented');
  await generateAsDocumented(project);
  assert.match(
    readFileSync(join(project, 'src/graphql/graphql.ts'), 'utf8'),
    /__typename: 'TimeoutError', retryAt: string/,
  );
  assert.equal(compileForBrowsers(project), '');
});

describe('a switch over the results of a sign-in', () => {
  test('compiles with the current schema', async () => {
    assert.equal(await compile(schemaText), '');
  });

  const members =
    'union AuthenticateResult = AuthenticateSuccess | InvalidCredentialsError | ValidationError | TimeoutError';
  const changes: Record<string, [from: string, to: string, complaint: RegExp]> = {
    'if an error is added': [members, `${members} | NotFoundError`, /does not satisfy|not assignable to type 'never'/],
    'if an error is removed': [members, members.replace(' | TimeoutError', ''), /"TimeoutError".*not comparable/],
    'if a field of an error becomes nullable': [
      'retryAfterSeconds: Int!',
      'retryAfterSeconds: Int',
      /possibly (null|undefined|'null' or 'undefined')/,
    ],
    'if a field of an error is renamed': ['retryAfterSeconds: Int!', 'seconds: Int!', /Cannot query field/],
    'if errors are no longer data': [
      '): AuthenticateResult!',
      '): AuthenticateSuccess!',
      /can never be of type|does not exist|not comparable/,
    ],
  };
  for (const [about, [from, to, complaint]] of Object.entries(changes))
    test(`does not compile ${about}`, async () => {
      assert.ok(schemaText.includes(from), `the schema has no ${from}`);
      assert.match(await compile(schemaText.replace(from, to)), complaint);
    });
});

test('the switch of the front end over all errors does not compile if an error is added', async () => {
  const addedError =
    'type WeatherError implements IdentityError { code: IdentityErrorCode! message: String! }\nextend union AuthenticateResult = WeatherError\n';
  const formError = read('web/src/form-error.ts');
  assert.equal(await compile(schemaText, formError), '');
  assert.match(
    await compile(`${schemaText}\n${addedError}`, formError),
    /does not satisfy|not assignable to type 'never'/,
  );
});

/** Generates types from the schema and compiles the module with them. Returns all errors. */
async function compile(text: string, source = read('tests/examples/sign-in.ts')): Promise<string> {
  const path = (name: string) => join(folder, name);
  writeFileSync(path('schema.graphql'), text);
  writeFileSync(path('module.ts'), source.replace(/'[^']*generated\/graphql\.js'/, "'./generated/graphql.js'"));
  const { default: config } = await import('../web/codegen.js');
  const [, options] = Object.entries(config.generates).find(([output]) => output.endsWith('/'))!;
  try {
    await generate(
      {
        ...config,
        schema: path('schema.graphql'),
        documents: join(root, 'documents.graphql'),
        generates: { [`${path('generated')}/`]: options },
      },
      true,
    );
  } catch (error) {
    return [error, ...((error as AggregateError).errors ?? [])].map(String).join('\n');
  }
  writeFileSync(
    path('tsconfig.json'),
    JSON.stringify({
      extends: '../../web/tsconfig.json',
      compilerOptions: { rootDir: '.' },
      include: ['module.ts'],
      exclude: [],
    }),
  );
  try {
    execFileSync(process.execPath, [tsc, '-p', path('tsconfig.json')], { encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
