/** What is generated from the schema and the documents: types, and typed documents for Apollo Client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CodegenConfig } from '@graphql-codegen/cli';
import { buildSchema, isAbstractType } from 'graphql';

const root = join(import.meta.dirname, '..');

/** What implements each interface and belongs to each union. Apollo Client cannot see it in a document. */
function possibleTypes(): Record<string, string[]> {
  const schema = buildSchema(readFileSync(join(root, 'schema.graphql'), 'utf8'));
  return Object.fromEntries(
    Object.values(schema.getTypeMap())
      .filter((type) => isAbstractType(type) && !type.name.startsWith('__'))
      .map((type) => [type.name, schema.getPossibleTypes(type as never).map(({ name }) => name)]),
  );
}

const config: CodegenConfig = {
  schema: join(root, 'schema.graphql'),
  documents: join(root, 'documents.graphql'),
  generates: {
    [`${join(import.meta.dirname, 'src/generated')}/`]: {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        scalars: { DateTime: 'string' },
        enumsAsTypes: true,
        useTypeImports: true,
      },
    },
    [join(import.meta.dirname, 'src/generated/possible-types.ts')]: {
      plugins: [{ add: { content: `export const possibleTypes = ${JSON.stringify(possibleTypes(), null, 2)};` } }],
    },
  },
  silent: true,
  errorsOnly: true,
};
export default config;
