/** The examples of docs/sessions.md: compared with the document and run against the service. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildSchema, parse, validate } from 'graphql';
import { operations } from './support/client.js';
import { password, type SignedIn, signUp } from './support/people.js';
import { freePort } from './support/postgres.js';
import { compiledFile, root } from './support/root.js';
import { advance, type Service, startService } from './support/service.js';
import { databaseSeconds, resigned, whoIs } from './support/sessions.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const document = read('docs/sessions.md');
const blocks = [...document.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
  language,
  text: text!,
}));
const inLanguage = (name: string) => blocks.filter(({ language }) => language === name).map(({ text }) => text);

const port = await freePort();
const service: Service = await startService({
  PORT: String(port),
  PUBLIC_URL: `http://localhost:${port}`,
  HOST: 'localhost',
});

const running: ChildProcess[] = [];
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

test('docs/sessions.md quotes the examples', () => {
  const examples = ['apollo-server', 'fastify'].map((name) => read(`tests/examples/${name}.ts`));
  assert.deepEqual(inLanguage('ts'), examples);
});

test('the GraphQL of docs/sessions.md is valid', () => {
  const schema = buildSchema(read('schema.graphql'));
  const found = inLanguage('graphql');
  assert.ok(found.length >= 3);
  for (const text of found) assert.deepEqual(validate(schema, parse(text)), []);
});

/** For each example: the request for the caller's id, and the status for an anonymous caller. */
const examples = {
  'apollo-server': {
    path: '/?query=%7BwhoAmI%7D',
    // biome-ignore lint/suspicious/noExplicitAny: the body of a response
    readId: (answer: any) => answer.data?.whoAmI ?? null,
    anonymous: 200,
  },
  fastify: {
    path: '/who-am-i',
    // biome-ignore lint/suspicious/noExplicitAny: the body of a response
    readId: (answer: any) => answer.id ?? null,
    anonymous: 401,
  },
};

for (const [name, { path, readId, anonymous }] of Object.entries(examples))
  describe(`the example for ${name}`, () => {
    let url: string;
    let alice: SignedIn;
    let bob: SignedIn;
    const ask = async (authorization?: string) => {
      const response = await fetch(`${url}${path}`, {
        headers: { 'apollo-require-preflight': 'true', ...(authorization !== undefined && { authorization }) },
      });
      return { status: response.status, id: readId(await response.json()) };
    };

    before(async () => {
      bob = await signUp(service, { username: `${name.replace('-', '')}2`, password });
      for (const seconds of [86_400, 3600]) {
        await advance(service, seconds, { keys: true });
        await service.app.keys.refresh();
      }
      alice = await signUp(service, { username: name.replace('-', ''), password });
      url = await startExample(name);
    });

    test('knows a caller by the access token', async () => {
      assert.deepEqual(await ask(`Bearer ${alice.tokens.accessToken}`), { status: 200, id: alice.id });
    });

    test(`responds to an anonymous caller with ${anonymous}`, async () => {
      assert.deepEqual(await ask(), { status: anonymous, id: null });
    });

    test('rejects an invalid token', async () => {
      const { accessToken, refreshToken } = alice.tokens;
      const invalidTokens = {
        'with a wrong signature': `${accessToken.slice(0, -10)}AAAAAAAAAA`,
        'a refresh token': refreshToken,
        expired: await resigned(service, accessToken, { payload: { exp: (await databaseSeconds(service)) - 1 } }),
        'without an exp': await resigned(service, accessToken, { payload: { exp: undefined } }),
        'for another audience': await resigned(service, accessToken, { payload: { aud: 'https://other.example' } }),
        'of another issuer': await resigned(service, accessToken, { payload: { iss: 'https://other.example' } }),
        'of another type': await resigned(service, accessToken, { header: { typ: 'JWT' } }),
        empty: '',
      };
      for (const [about, token] of Object.entries(invalidTokens))
        assert.deepEqual(await ask(`Bearer ${token}`), { status: 401, id: null }, about);
    });

    test('accepts the token of a revoked session until it expires, unlike the API', async () => {
      await operations(service).signOut(alice.tokens.refreshToken);
      assert.equal(await whoIs(service, alice.tokens.accessToken), 'UNAUTHENTICATED');
      assert.deepEqual(await ask(`Bearer ${alice.tokens.accessToken}`), { status: 200, id: alice.id });
    });

    test('accepts tokens of the keys before and after a rotation', async () => {
      const rotated = await resigned(service, bob.tokens.accessToken, {});
      assert.notEqual(rotated.split('.')[0], bob.tokens.accessToken.split('.')[0], 'another kid');
      assert.deepEqual(await ask(`Bearer ${rotated}`), { status: 200, id: bob.id });
      assert.deepEqual(await ask(`Bearer ${bob.tokens.accessToken}`), { status: 200, id: bob.id });
    });
  });

test('the nginx request of docs/sessions.md returns 200 for a valid session and 401 otherwise', async () => {
  const [nginx] = inLanguage('nginx');
  const search = /proxy_pass \S+\/graphql(\?\S+);/.exec(nginx!)![1]!;
  const headers = Object.fromEntries(
    [...nginx!.matchAll(/proxy_set_header (\S+) ([^;"]+);/g)].map(([, name, value]) => [name!, value!]),
  );
  assert.deepEqual(Object.keys(headers), ['Accept', 'Apollo-Require-Preflight']);
  const ask = async (authorization: string) =>
    (await fetch(`${service.url}/graphql${search}`, { headers: { ...headers, authorization } })).status;
  const alice = await signUp(service, { username: 'nginx', password });
  assert.equal(await ask(`Bearer ${alice.tokens.accessToken}`), 200);
  assert.equal(await ask(`Bearer ${alice.tokens.refreshToken}`), 401);
  await operations(service).signOut(alice.tokens.refreshToken);
  assert.equal(await ask(`Bearer ${alice.tokens.accessToken}`), 401);
});

test('the gateway settings of docs/sessions.md match the metadata of the service', async () => {
  const here = (text: string) => text.replaceAll('https://id.example.com', `http://localhost:${port}`);
  const [router, envoy] = inLanguage('yaml').map(here) as [string, string];
  const metadata = (await (await fetch(`${service.url}/.well-known/openid-configuration`)).json()) as {
    issuer: string;
    jwks_uri: string;
    id_token_signing_alg_values_supported: string[];
  };
  assert.equal(/url: (\S+)/.exec(router)![1], metadata.jwks_uri);
  assert.equal(/issuers: \[(.+)\]/.exec(router)![1], metadata.issuer);
  assert.equal(/algorithms: \[(.+)\]/.exec(router)![1], metadata.id_token_signing_alg_values_supported.join());
  assert.equal(/uri: (http[^,\s]+)/.exec(envoy)![1], metadata.jwks_uri);
  assert.equal(/issuer: (\S+)/.exec(envoy)![1], metadata.issuer);
  for (const yaml of [router, envoy]) assert.equal(/audiences: \[(.+)\]/.exec(yaml)![1], metadata.issuer);
});

/** Runs an example in its own process until the tests of this file end. Returns its URL. */
async function startExample(name: string): Promise<string> {
  const child = spawn(process.execPath, [compiledFile(`tests/examples/${name}.ts`)], {
    cwd: root,
    env: { PATH: process.env.PATH, IDENTITY_URL: `http://localhost:${port}`, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  let output = '';
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`the example has ended with ${code}:\n${output}`)));
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const url = /listening at (http:\S+?)\/?\n/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}
