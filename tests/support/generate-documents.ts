/**
 * Generates the typed documents of the tests from the schema, `documents.graphql` and
 * `operations.graphql`.
 */
import { join } from 'node:path';
import { whenStale } from '../../scripts/when-stale.js';
import { root } from './root.js';

const documents = ['documents.graphql', 'tests/support/operations.graphql'];
const generated = 'tests/support/generated';

/** Generates only after a change of the sources. */
export async function generateDocuments(): Promise<void> {
  await whenStale(
    {
      root,
      stamp: join(root, generated, '.made-of'),
      inputs: ['schema.graphql', ...documents, 'tests/support/generate-documents.ts', 'package-lock.json'],
    },
    async () => {
      const { generate } = await import('@graphql-codegen/cli');
      await generate(
        {
          schema: join(root, 'schema.graphql'),
          documents: documents.map((file) => join(root, file)),
          generates: {
            [`${join(root, generated)}/`]: {
              preset: 'client',
              presetConfig: { fragmentMasking: false },
              config: {
                documentMode: 'string',
                scalars: { DateTime: 'string' },
                enumsAsTypes: true,
                useTypeImports: true,
                // A selected field is always present, possibly null.
                avoidOptionals: { field: true },
                inputMaybeValue: 'T | null | undefined',
                skipTypename: true,
              },
            },
          },
          importExtension: '.js',
          silent: true,
          errorsOnly: true,
        },
        true,
      );
    },
  );
}
