/** Bundles the service, the command line and the worker threads, which halves the load time. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';

const entryPoints = ['main.ts', 'cli/cli.ts', 'security/password.worker.ts', 'security/password-strength.worker.ts'];

/**
 * The packages outside the bundle. Large packages load at first use. Some packages locate files
 * relative to themselves. `rejectLostExports` names the others.
 */
const external = [
  '@electric-sql/pglite',
  '@fastify/cookie',
  '@node-rs/bcrypt',
  '@opentelemetry/*',
  '@sendgrid/*',
  '@vonage/*',
  'class-validator',
  'hash-wasm',
  'pg-native',
  'pino',
  'piscina',
];

export async function bundleService(root: string, folder: string): Promise<void> {
  if (existsSync(folder))
    for (const name of readdirSync(folder)) if (/\.js(\.map)?$/.test(name)) rmSync(join(folder, name));
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entryPoints.map((file) => `src/${file}`),
    outdir: folder,
    // One folder, because a chunk locates the worker files beside it.
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    // TypeGraphQL reads class names.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
    // CommonJS packages call `require` for modules of Node.
    banner: {
      js: "import { createRequire as $createRequire } from 'node:module';const require = $createRequire(import.meta.url);",
    },
  });
  rejectLostExports(metafile);
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), collectNotices(root, metafile));
}

/** Apollo checks for a function of a later graphql version, and works without it. */
const withoutNames = ['node_modules/graphql/index.js'];

/**
 * Rejects CommonJS packages with a dynamic import, because a bundle keeps only their default
 * export.
 * @throws {Error} with the packages that must stay outside the bundle
 */
function rejectLostExports({ outputs }: Metafile): void {
  const lost = Object.values(outputs).flatMap(({ entryPoint = '', exports }) =>
    entryPoint.includes('node_modules/') && exports.join() === 'default' ? [entryPoint] : [],
  );
  const named = lost.filter((path) => !withoutNames.includes(path));
  if (named.length > 0) throw new Error(`The bundle loses the named exports of ${named.join(', ')}`);
}

/** Collects the licences of bundled packages, because most licences require it. */
function collectNotices(root: string, { inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  );
  return [...packages]
    .sort()
    .map((path) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
      const file = readdirSync(join(root, path)).find((each) => /^licen[cs]e/i.test(each));
      const text = file === undefined ? '' : readFileSync(join(root, path, file), 'utf8').trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
