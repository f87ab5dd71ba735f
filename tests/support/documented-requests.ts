/** Runs the requests that the documents show, as a reader would. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './root.js';
import { spawnService, temporaryFolder } from './service.js';

/** The documents with requests, in the order in which a reader sends them. */
const documents = ['docs/getting-started.md', 'docs/errors.md'].map((file) => readFileSync(join(root, file), 'utf8'));

/** Sends the documented requests to an empty service, and compares the answers. */
export async function runDocumentedRequests(environment: Record<string, string>): Promise<void> {
  const blocks = documents
    .flatMap(fencedBlocks)
    .filter(({ language, text }) => (language === 'sh' ? text.includes('curl') : language === 'json'));
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
    ...environment,
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
    assert.ok(shown.includes(`"__typename":"${member}"`), `no document shows ${member}`);
}

/** Restores the default limits, which the tests relax. Hash costs do not change answers. */
export const asInDevelopment = {
  NODE_ENV: 'development',
  PUBLIC_URL: '',
  SIGN_UPS_PER_HOUR: '',
  LOOK_UPS_PER_MINUTE: '',
  FAILED_ATTEMPTS_PER_HOUR: '',
  SENDS_PER_HOUR: '',
};

const separator = '═══ next ═══';

/** Replaces curl with fetch where curl is not installed. */
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
    else if (arg !== '-s') throw new Error('unsupported option: ' + arg);
  }
  const response = await fetch(url, request);
  process.stdout.write(await response.text());
`;

export function fencedBlocks(markdown: string): { language: string; text: string }[] {
  return [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** Returns the output of the service once it contains the word. */
async function printed({ output }: { output(): string }, word: string): Promise<string> {
  while (!output().includes(`${word} `)) await new Promise((resolve) => setTimeout(resolve, 20));
  return output();
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Compares an answer with the documented one. `…` matches any value, and a time any time. */
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
