/** Generates types and typed documents from the schema and the documents. */
import { join } from 'node:path';
import type { CodegenConfig } from '@graphql-codegen/cli';

const root = join(import.meta.dirname, '..');

const config: CodegenConfig = {
  schema: join(root, 'schema.graphql'),
  documents: join(root, 'documents.graphql'),
  generates: {
    [`${join(import.meta.dirname, 'src/generated')}/`]: {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: { scalars: { DateTime: 'string' }, enumsAsTypes: true, useTypeImports: true },
    },
  },
  silent: true,
  errorsOnly: true,
};
export default config;
