/**
 * Checks the image and compose.yaml without a container engine: their files, commands and
 * variables.
 * The slow file runs the steps of the Dockerfile.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { variableNames } from '../src/config/variables.js';
import { build, command, environmentOfImage, final, stages, textOf } from './support/dockerfile.js';
import { freePort } from './support/postgres.js';
import { root } from './support/root.js';
import { createDatabase, sharedSecrets, spawnService } from './support/service.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const healthcheck = JSON.parse(/ CMD (\[.*\])$/.exec(textOf(final, 'HEALTHCHECK')[0]!)![1]!) as string[];

test('the image runs as an unprivileged user in production, on a tested Node version', () => {
  assert.equal(stages.length, 2);
  assert.deepEqual(textOf(final, 'USER'), ['node']);
  assert.ok(!textOf(final, 'COPY').some((text) => text.includes('--chown')));
  assert.ok(final.findIndex(({ name }) => name === 'USER') > final.findLastIndex(({ name }) => name === 'COPY'));
  assert.equal(environmentOfImage.NODE_ENV, 'production');
  const [, version] = /^node:(\d+)-slim$/.exec(textOf(final, 'FROM')[0]!)!;
  assert.equal(textOf(build, 'FROM')[0], `node:${version}-slim AS build`);
  assert.match(read('.github/workflows/ci.yml'), new RegExp(`node: \\[.*\\b${version}\\b.*\\]`));
});

test('the build context contains all sources of the image, and neither secrets nor data', () => {
  const sent = read('.dockerignore')
    .split('\n')
    .flatMap((line) => /^!(.+)$/.exec(line)?.[1] ?? []);
  const copied = stages.flat().filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from'));
  const sources = copied.flatMap(({ text }) => text.split(' ').slice(0, -1));
  assert.ok(sources.length >= 8);
  for (const source of sources) {
    assert.ok(existsSync(join(root, source)), source);
    assert.ok(sent.includes(source), `${source} is excluded by .dockerignore`);
  }
  assert.deepEqual(
    sent.filter((path) => !sources.includes(path)),
    [],
  );
  assert.match(read('.dockerignore'), /^\*$/m);
});

test('the service imports only packages of the image', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const dist = join(root, 'dist');
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^(?!web\/).*\.js$/.test(file),
  );
  const imported = files.flatMap((file) =>
    [
      ...readFileSync(join(dist, file), 'utf8').matchAll(
        /^(?:import .*|\} )from "([^".][^"]*)"|^import "([^".][^"]*)"|\bimport\("([^".][^"]*)"\)/gm,
      ),
    ].map(([, from, alone, dynamic]) => (from ?? alone ?? dynamic)!),
  );
  const packages = new Set(
    imported.map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    ),
  );
  assert.ok(packages.size > 5, `only ${packages.size} found`);
  // type-graphql would load it to validate inputs. The service validates inputs itself.
  packages.delete('class-validator');
  for (const name of packages)
    assert.ok(name.startsWith('node:') || builtinModules.includes(name) || name in dependencies, name);
});

test('the image runs the output of the build, and its health check detects a service that does not answer', async () => {
  assert.equal(command.join(' '), JSON.parse(read('package.json')).scripts.start);
  assert.ok(existsSync(join(root, command.at(-1)!)), command.at(-1));
  const service = await spawnService({ ...sharedSecrets(), DATABASE_URL: await createDatabase() });
  const check = (port: string | number) =>
    promisify(execFile)(process.execPath, healthcheck.slice(1), { env: { PORT: String(port) } });
  await check(new URL(service.url).port);
  await assert.rejects(check(await freePort()), { code: 1 });
});

test('compose.yaml passes every variable to the service and requires its secrets', () => {
  const [, given] = /^x-service:.*?\n {2}environment:\n(.*?)^ {2}\w/ms.exec(read('compose.yaml'))!;
  const names = [...given!.matchAll(/^ {4}(\w+):/gm)].map(([, name]) => name!);
  // Variables that the image sets, and the folder of the embedded database.
  const settled = ['NODE_ENV', 'HOST', 'PORT', 'DATA_DIR'];
  for (const name of settled.slice(0, 3)) assert.ok(name in environmentOfImage, name);
  assert.deepEqual([...names, ...settled].sort(), [...variableNames].sort());
  for (const name of ['SECRET_KEY', 'PASSWORD_PEPPER', 'PUBLIC_URL'])
    assert.ok(given!.includes(`\n    ${name}: \${${name}:?}\n`), name);
  const proxy = read('docs/examples/haproxy.cfg');
  for (const [, name] of proxy.matchAll(/"\$\{(\w+)\}"/g))
    assert.match(read('compose.yaml'), new RegExp(`^ {6}${name}: `, 'm'));
});

const compose = [['docker', 'compose'], ['docker-compose']].find(
  ([program, ...args]) => spawnSync(program!, [...args, 'version']).status === 0,
);
test('compose.yaml is valid for Docker Compose', {
  skip: compose === undefined && 'not on this machine: docker compose',
}, () => {
  const [program, ...args] = compose!;
  const config = (environment: Record<string, string>) =>
    spawnSync(program!, [...args, '-f', join(root, 'compose.yaml'), 'config'], {
      env: { PATH: process.env.PATH, ...environment },
      encoding: 'utf8',
    });
  const secrets = {
    SECRET_KEY: 'a',
    PASSWORD_PEPPER: 'b',
    POSTGRES_PASSWORD: 'c',
    PUBLIC_URL: 'https://id.example.com',
  };
  const complete = config(secrets);
  assert.equal(complete.status, 0, complete.stderr);
  assert.match(complete.stdout, /postgres:\/\/identity:c@database:5432\/identity/);
  for (const name of Object.keys(secrets)) assert.notEqual(config({ ...secrets, [name]: '' }).status, 0, name);
});
