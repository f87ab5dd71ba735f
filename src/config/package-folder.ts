import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The folder with the `package.json` of this package. Bundle and sources have different depths in
 * it.
 */
export const packageFolder = findPackageFolder(import.meta.dirname);

function findPackageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findPackageFolder(dirname(folder));
}
