/**
 * Builds the front end where what it is made of has changed since: `web/src/generated/` from the schema and the documents, then `dist/web/`.
 * With `--documents` the first alone, which is all that checking types needs.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const root = join(import.meta.dirname, '..');
const generated = join(root, 'web/src/generated');
const built = join(root, 'dist/web');

await whereStale(
  generated,
  ['schema.graphql', 'documents.graphql', 'web/codegen.ts', 'web/build.ts', 'package-lock.json'],
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
  await whereStale(built, ['web', 'schema.graphql', 'documents.graphql', 'package-lock.json'], async () => {
    const { build } = await import('vite');
    await build({ configFile: join(root, 'web/vite.config.ts'), logLevel: 'warn' });
    for (const file of filesIn(built)) compress(file);
  });

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

/** Does the work unless the folder holds what the inputs make. */
async function whereStale(output: string, inputs: string[], work: () => Promise<void>): Promise<void> {
  const stamp = join(output, '.made-of');
  const digest = digestOf(inputs);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  await work();
  mkdirSync(output, { recursive: true });
  // Last, so that work which was cut short is done again.
  writeFileSync(stamp, digest);
}

/** By what files hold and not by when they were written, which a clone or a copy changes. */
function digestOf(inputs: string[]): string {
  const hash = createHash('sha256').update(process.version);
  for (const file of inputs.flatMap((input) => filesIn(join(root, input))))
    if (dirname(file) !== generated)
      hash
        .update(`${relative(root, file)}\0`)
        .update(readFileSync(file))
        .update('\0');
  return hash.digest('hex');
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}

/** Once here, and not for each request. */
function compress(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(bytes));
}
