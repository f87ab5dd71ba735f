/** The requests of the documents, on the embedded database of a first start. */
import { test } from 'node:test';
import { runDocumentedRequests } from './support/documented-requests.js';

test('the documented requests get the documented answers after a first start', async () => {
  await runDocumentedRequests({});
});
