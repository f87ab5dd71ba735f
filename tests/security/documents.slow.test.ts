/** Hundreds of expensive documents in production. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { assertRefused, documents, post } from '../support/hostile-documents.js';
import { sharedSecrets, startService } from '../support/service.js';

const service = await startService();
const production = await startService({ NODE_ENV: 'production', BCRYPT_COST: '10', ...sharedSecrets() });

describe('in production, rejects a document with at most five errors if it contains', () => {
  for (const [what, query] of Object.entries(documents))
    test(what, async () => assertRefused(await post(production.url, JSON.stringify({ query })), what));
});

describe('distinct documents do not stay in memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heapMegabytes = () => {
    collect();
    return process.memoryUsage().heapUsed / 1024 ** 2;
  };
  const fields = Array.from({ length: 90 }, (_, index) => `a${index}: passwordMinLength`).join(' ');
  const varied: Record<string, { document: (number: number) => string; count: number }> = {
    'with many fields': { document: (number) => `query q${number} { policy { ${fields} } }`, count: 800 },
    'with 20 000 comments': { document: (number) => `{ __typename } #${number}\n${'#\n'.repeat(20_000)}`, count: 60 },
    'with one great comment': { document: (number) => `{ __typename } #${number} ${'ж'.repeat(30_000)}`, count: 600 },
  };
  for (const [what, { document, count }] of Object.entries(varied))
    test(what, async () => {
      const ask = async (from: number, to: number) => {
        for (let number = from; number < to; number += 1) {
          const { status } = await post(service.url, JSON.stringify({ query: document(number) }));
          assert.equal(status, 200);
        }
      };
      await ask(0, count / 4);
      const before = heapMegabytes();
      await ask(count / 4, count + count / 4);
      const grown = heapMegabytes() - before;
      assert.ok(grown < 15, `${grown} MB more`);
    });
});
