/** The page of the explorer in a real browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleOperations } from '../../../src/graphql/server/explorer.js';
import { openBrowser, skipWithoutBrowser } from '../../support/browser.js';
import { startService } from '../../support/service.js';

const service = await startService();

test('the page of the explorer lets the Sandbox run, for this API and with these operations, and says so where it cannot be loaded', {
  skip: skipWithoutBrowser,
}, async () => {
  const { page, context, offences } = await openBrowser(service.url);
  // What the page loads from the internet, in its place here: it notes what it is asked for.
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
