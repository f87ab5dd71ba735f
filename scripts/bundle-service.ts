/** Bundles the service, the command line and the worker threads: a thousand files take twice as long to load. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';

const entryPoints = ['main.ts', 'cli/cli.ts', 'security/password.worker.ts', 'security/password-strength.worker.ts'];

/**
 * Large packages that are loaded at first use, packages that find their own files by where they lie,
 * and packages that `refuseLostExports` names.
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
    // All in one folder: a chunk finds the files of the worker threads beside it.
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    // TypeGraphQL reads the names of classes.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
    // CommonJS packages require Node's own modules.
    banner: {
      js: "import { createRequire as $createRequire } from 'node:module';const require = $createRequire(import.meta.url);",
    },
  });
  refuseLostExports(metafile);
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), noticesOf(root, metafile));
}

/** Apollo looks for one function of a later version of it, and does without. */
const withoutNames = ['node_modules/graphql/index.js'];

/**
 * A CommonJS package that is imported at run time keeps only its default export in a bundle, where Node finds its names.
 * @throws {Error} which names the packages that must stay outside
 */
function refuseLostExports({ outputs }: Metafile): void {
  const lost = Object.values(outputs).flatMap(({ entryPoint = '', exports }) =>
    entryPoint.includes('node_modules/') && exports.join() === 'default' ? [entryPoint] : [],
  );
  const named = lost.filter((path) => !withoutNames.includes(path));
  if (named.length > 0) throw new Error(`The bundle loses the named exports of ${named.join(', ')}`);
}

/** The licences of what is bundled, which most of them ask to be given along. */
function noticesOf(root: string, { inputs }: Metafile): string {
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
