/** Takes the screenshot of the README: the account page of a new user. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const root = join(import.meta.dirname, '..');
const port = process.env.PORT ?? '4000';
const base = `http://localhost:${port}`;

const service = spawn(process.execPath, [join(root, 'dist/main.js')], {
  env: { PATH: process.env.PATH, PORT: port, DATABASE_URL: 'memory:', BCRYPT_COST: '4' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await listening(service);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  const page = await browser.newPage({ baseURL: base, viewport: { width: 900, height: 840 } });
  const response = await page.request.post('/graphql', {
    headers: { 'x-session-transport': 'cookie' },
    data: {
      query: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }',
      variables: {
        input: {
          username: 'ada',
          email: 'ada@example.com',
          phone: '+12025550123',
          password: 'violin under the stairs',
        },
      },
    },
  });
  if (!response.ok()) throw new Error(await response.text());
  await page.goto('/account');
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForLoadState('networkidle');
  await page.screenshot({ path: join(root, 'docs/account-page.png') });
  await browser.close();
} finally {
  service.kill();
  await once(service, 'exit');
}

async function listening({ stdout }: ChildProcess): Promise<void> {
  if (stdout === null) throw new Error('standard output of the service is a pipe');
  for await (const line of createInterface({ input: stdout })) if (line.includes('"listening"')) return;
  throw new Error('the service did not start');
}
