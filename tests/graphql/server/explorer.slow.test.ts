/** The explorer page in a real browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleOperations } from '../../../src/graphql/server/explorer.js';
import { openBrowser, skipWithoutBrowser } from '../../support/browser.js';
import { startService } from '../../support/service.js';

const service = await startService();

test('the explorer page runs the Sandbox with this API and these operations, and reports a failed load', {
  skip: skipWithoutBrowser,
}, async () => {
  const { page, context, offences } = await openBrowser(service.url);
  // Replaces the script from the internet, and records its options.
  await context.route(/apollographql\.com|fonts\./, (route) =>
    route.request().url().includes('embeddable-sandbox')
      ? route.fulfill({
          contentType: 'text/javascript',
          body: 'window.EmbeddedSandbox = class { constructor(options) { window.asked = options; } };',
        })
      : route.abort(),
  );
  await page.goto('/graphql');
  const asked = (await page.evaluate('window.asked')) as {
    initialEndpoint: string;
    runTelemetry: boolean;
    initialState: { document: string };
  };
  assert.equal(asked.initialEndpoint, `${service.url}/graphql`);
  assert.equal(asked.runTelemetry, false);
  assert.equal(asked.initialState.document, exampleOperations);
  assert.deepEqual(offences, []);

  await context.unrouteAll();
  await context.route(/apollographql\.com|fonts\./, (route) => route.abort());
  await page.goto('/graphql');
  await page.getByText('Apollo Sandbox cannot be loaded').waitFor();
  await context.close();
});
