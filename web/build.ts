/**
 * Builds the front end if its sources have changed.
 * Generates `web/src/generated/` from the schema and the documents, then builds `dist/web/`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { filesIn, whenStale } from '../scripts/when-stale.js';
import { generateDocuments, generated } from './generate.js';

const root = join(import.meta.dirname, '..');
const built = join(root, 'dist/web');

await generateDocuments();
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

/** Compresses the file at build time, so that no request has to. */
function compress(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(bytes));
}
