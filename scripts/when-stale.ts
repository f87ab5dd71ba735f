/** Repeats a build step only if its inputs changed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * Runs the work unless the digest of the inputs equals the stamp file.
 * @param inputs files and folders, relative to `root`
 * @param ignored input folder that the work writes
 */
export async function whenStale(
  { root, stamp, inputs, ignored }: { root: string; stamp: string; inputs: readonly string[]; ignored?: string },
  work: () => Promise<void>,
): Promise<void> {
  const files = inputs.flatMap((input) => filesIn(join(root, input))).filter((file) => dirname(file) !== ignored);
  const digest = computeDigest(root, files);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  // Failed work may have removed the output, so the stamp must not outlive it.
  rmSync(stamp, { force: true });
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  // Write the stamp last, so interrupted work repeats.
  writeFileSync(stamp, digest);
}

/** Digests the content, because a clone or a copy changes modification times. */
function computeDigest(root: string, files: readonly string[]): string {
  const hash = createHash('sha256').update(process.version);
  for (const file of files)
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  return hash.digest('hex');
}

export function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}
