/** How the front end is served: paths, cache headers, security policy, compression and size. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { freePort } from '../support/postgres.js';
import { root } from '../support/root.js';
import { createDatabase, sharedSecrets, startService } from '../support/service.js';

const port = await freePort();
const service = await startService({ PORT: String(port), PUBLIC_URL: `http://localhost:${port}` });

const paths = '/ /sign-in /sign-up /verify /reset-password /account /users /users/some-id /audit'.split(' ');

/** Uses the host of `PUBLIC_URL`. */
const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://localhost:${port}${path}`, { headers, redirect: 'manual' });

/** Returns the scripts that a page loads at the start: those it names and their static imports. */
function scriptsOf(html: string): string[] {
  const names = [...html.matchAll(/(?:src|href)="\/assets\/([^"]+\.js)"/g)].map(([, name]) => name!);
  for (const name of names) {
    const text = readFileSync(join(root, 'dist/web/assets', name), 'utf8');
    for (const [, imported] of text.matchAll(/(?:^|[;}])import(?:[^"'()]*?from)?["']\.\/([^"']+)["']/g))
      if (!names.includes(imported!)) names.push(imported!);
  }
  return names;
}

describe('the front end', () => {
  test('is one page at each of its paths and a 404 elsewhere', async () => {
    const answers = await Promise.all(paths.map((path) => get(path)));
    const pages = await Promise.all(answers.map((answer) => answer.text()));
    for (const [index, { status, headers }] of answers.entries()) {
      assert.equal(status, 200, paths[index]);
      assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
      assert.equal(headers.get('cache-control'), 'no-cache');
    }
    assert.equal(new Set(pages).size, 1);
    const absent = '/nowhere /assets/nothing.js /assets/ /index.html /.made-of /assets/..%2f..%2fmain.js';
    for (const path of absent.split(' ')) assert.equal((await get(path)).status, 404, path);
  });

  test('has a page for every link in messages', () => {
    const messages = readFileSync(join(root, 'src/delivery/templates.ts'), 'utf8');
    const linked = [...messages.matchAll(/path: '([^']+)'/g)].map(([, path]) => `/${path}`);
    assert.deepEqual([...new Set(linked)].sort(), ['/audit', '/reset-password', '/sign-in', '/verify']);
    for (const path of linked) assert.ok(paths.includes(path), path);
  });

  test('has a content security policy that forbids inline scripts and framing', async () => {
    const policy = (await get('/')).headers.get('content-security-policy')!;
    const directives = policy.split('; ').map((directive) => directive.split(' '));
    const sources = Object.fromEntries(directives.map(([name, ...values]) => [name!, values.join(' ')]));
    assert.equal(sources['default-src'], "'none'");
    assert.equal(sources['script-src'], "'self'");
    assert.equal(sources['frame-ancestors'], "'none'");
    assert.equal(sources['require-trusted-types-for'], "'script'");
    assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/);
    assert.doesNotMatch(await (await get('/')).text(), /<script(?![^>]* src=)|<style| style=| on\w+=/);
  });

  test('has immutable assets, compressed if the client accepts it', async () => {
    const html = await (await get('/')).text();
    const assets = [...html.matchAll(/\/assets\/[^"]+/g)].map(([path]) => path);
    assert.ok(assets.length >= 3, html);
    for (const asset of assets) {
      const plain = await get(asset, { 'accept-encoding': 'identity' });
      assert.equal(plain.status, 200);
      assert.equal(plain.headers.get('cache-control'), 'public, max-age=31536000, immutable');
      assert.equal(plain.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(plain.headers.get('content-encoding'), null);
      const bytes = Buffer.from(await plain.arrayBuffer());
      assert.deepEqual(gunzipSync(await raw(asset, 'gzip')), bytes);
      assert.ok((await raw(asset, 'gzip, deflate, br')).length <= (await raw(asset, 'gzip')).length * 1.1);
    }
  });

  test('loads less than 150 kB of scripts, without the password dictionaries', async () => {
    const names = scriptsOf(await (await get('/')).text());
    const bytes = names.map((name) => gzipSync(readFileSync(join(root, 'dist/web/assets', name)), { level: 9 }).length);
    const total = bytes.reduce((sum, each) => sum + each, 0);
    assert.ok(total > 50_000, `${names} is incomplete`);
    assert.ok(total < 150_000, `${total} bytes in ${names}`);
    const lazy = readdirSync(join(root, 'dist/web/assets')).filter(
      (name) => name.endsWith('.js') && !names.includes(name),
    );
    assert.equal(lazy.length, 1, 'one chunk is loaded on demand');
    assert.match(lazy[0]!, /^strength-/);
  });

  test('redirects from other local host names to the one of PUBLIC_URL', async () => {
    const elsewhere = await fetch(`http://127.0.0.1:${port}/verify?x=1`, { redirect: 'manual' });
    assert.equal(elsewhere.status, 307);
    assert.equal(elsewhere.headers.get('location'), `http://localhost:${port}/verify?x=1`);
    assert.equal((await withHost('id.example.com')).status, 200);
    assert.equal((await withHost('evil.test')).location, undefined);
  });

  test('is off in production by default and can be switched on and off', async () => {
    const environment = {
      ...sharedSecrets(),
      DATABASE_URL: await createDatabase(),
      BCRYPT_COST: '10',
      PUBLIC_URL: 'https://id.example.com',
    };
    const getStatus = async (more: Record<string, string>) => {
      const { url, stop } = await startService({ ...environment, ...more });
      const { status } = await fetch(`${url}/sign-in`);
      await stop();
      return status;
    };
    assert.equal(await getStatus({ NODE_ENV: 'production' }), 404);
    assert.equal(await getStatus({ NODE_ENV: 'production', WEB_PAGES: 'true' }), 200);
    assert.equal(await getStatus({ NODE_ENV: 'development', WEB_PAGES: 'false' }), 404);
  });
});

/** Returns the bytes without decompression. */
function raw(path: string, encoding: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    httpRequest(`${service.url}${path}`, { headers: { 'accept-encoding': encoding } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    })
      .on('error', reject)
      .end();
  });
}

function withHost(host: string): Promise<{ status: number | undefined; location: string | undefined }> {
  return new Promise((resolve, reject) => {
    httpRequest(`${service.url}/sign-in`, { headers: { host } }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, location: response.headers.location });
    })
      .on('error', reject)
      .end();
  });
}
