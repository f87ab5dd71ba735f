/** Runs the audits of the reference implementation of GraphQL over HTTP, each as a test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { startService } from '../support/service.js';

const service = await startService({ GRAPHQL_INTROSPECTION: 'true' });

const audits = serverAudits({
  url: `${service.url}/graphql`,
  // Some audits use GET without a content type. CSRF prevention rejects this without a header.
  fetchFn: (url: string, init?: RequestInit) => {
    const headers = new Headers(init?.headers);
    headers.set('apollo-require-preflight', 'true');
    return fetch(url, { ...init, headers });
  },
});

test('there are 61 audits', () => {
  assert.equal(audits.length, 61);
});

// An unmet SHOULD is a warning or a notice of the audits, and a failure here.
describe('GraphQL over HTTP', () => {
  for (const { id, name, fn } of audits)
    test(`${id}: ${name}`, async () => {
      const result = await fn();
      assert.equal(result.status, 'ok', 'reason' in result ? result.reason : undefined);
    });
});
