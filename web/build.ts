/**
 * Builds the front end where what it is made of has changed since: `web/src/generated/` from the schema and the documents, then `dist/web/`.
 * With `--documents` the first alone, which is all that checking types needs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { filesIn, whenStale } from '../scripts/when-stale.js';

const root = join(import.meta.dirname, '..');
const generated = join(root, 'web/src/generated');
const built = join(root, 'dist/web');

await whenStale(
  {
    root,
    stamp: join(generated, '.made-of'),
    inputs: ['schema.graphql', 'documents.graphql', 'web/codegen.ts', 'web/build.ts', 'package-lock.json'],
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
if (!process.argv.includes('--documents'))
  await whenStale(
    {
      root,
      stamp: join(built, '.made-of'),
      inputs: ['web', 'schema.graphql', 'documents.graphql', 'package-lock.json'],
      ignored: generated,
    },
    async () => {
      const { build } = await import('vite');
      await build({ configFile: join(root, 'web/vite.config.ts'), logLevel: 'warn' });
      for (const file of filesIn(built)) compress(file);
    },
  );

/** What implements each interface and belongs to each union. Apollo Client cannot see it in a document. */
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

/** Once here, and not for each request. */
function compress(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(bytes));
}
