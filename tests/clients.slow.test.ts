/** The examples of docs/clients.md, compiled for a browser and run in one. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'vite';
import { openBrowser, skipWithoutBrowser } from './support/browser.js';
import { compileForBrowsers, documentedClients, makeDocumentedProject } from './support/front-end.js';
import { password, signUp } from './support/people.js';
import { freePort } from './support/postgres.js';
import { startService } from './support/service.js';

const port = await freePort();
const frontEnd = `http://localhost:${port}`;
const service = await startService({ CORS_ORIGINS: frontEnd });
const project = await makeDocumentedProject(service, 'as documented');

test('the examples of docs/clients.md compile for a browser', () => {
  assert.equal(compileForBrowsers(project), '');
});

test('all four clients sign in from a page that Vite serves on another origin', {
  skip: skipWithoutBrowser,
}, async () => {
  await signUp(service, { username: 'ada', password });
  const names = Object.values(documentedClients);
  const main = names.map((file, n) => `import { signIn as signIn${n} } from './src/${file}.js';`).join('\n');
  const signIns = names.map((_, n) => `signIn${n}`);
  writeFileSync(join(project, 'main.ts'), `${main}\nObject.assign(window, { signIns: [${signIns}] });\n`);
  writeFileSync(join(project, 'index.html'), '<!doctype html><script type="module" src="/main.ts"></script>');
  // Use the development server: a build replaces `process.env` with an empty object.
  const server = await createServer({
    root: project,
    cacheDir: join(project, '.vite'),
    configFile: false,
    logLevel: 'warn',
    server: { host: 'localhost', port, strictPort: true, hmr: false, ws: false, watch: null },
  });
  await server.listen();
  const { context, page, offences } = await openBrowser(frontEnd);
  try {
    await page.goto('/');
    assert.deepEqual(offences, []);
    const outcomes = await page.evaluate(async (password) => {
      const { signIns } = globalThis as unknown as { signIns: typeof import('./examples/fetch.js').signIn[] };
      const outcomes: string[] = [];
      for (const signIn of signIns) outcomes.push((await signIn('ada', password)).__typename);
      return outcomes;
    }, password);
    assert.deepEqual(outcomes, Array(names.length).fill('AuthenticateSuccess'));
  } finally {
    await context.close();
    await server.close();
  }
});
