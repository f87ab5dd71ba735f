/** Generates `web/src/generated/` if the schema or the documents have changed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { whenStale } from '../scripts/when-stale.js';

const root = join(import.meta.dirname, '..');
export const generated = join(root, 'web/src/generated');

export async function generateDocuments(): Promise<void> {
  await whenStale(
    {
      root,
      stamp: join(generated, '.made-of'),
      inputs: ['schema.graphql', 'documents.graphql', 'web/codegen.ts', 'web/generate.ts', 'package-lock.json'],
    },
    async () => {
      const [{ generate }, { default: config }] = await Promise.all([
        import('@graphql-codegen/cli'),
        import('./codegen.js'),
      ]);
      await generate(config, true);
      await writePossibleTypes();
    },
  );
}

/** Writes the types of each interface and union. Apollo Client cannot read them from a document. */
async function writePossibleTypes(): Promise<void> {
  const { buildSchema, isAbstractType } = await import('graphql');
  const schema = buildSchema(readFileSync(join(root, 'schema.graphql'), 'utf8'));
  const types = Object.values(schema.getTypeMap()).filter(isAbstractType);
  const names = types.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]);
  const text = JSON.stringify(Object.fromEntries(names), null, 2);
  writeFileSync(
    join(generated, 'possible-types.ts'),
    `export const possibleTypes: Record<string, string[]> = ${text};\n`,
  );
}
