import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of this package: that of its `package.json`. The bundle and the sources lie at different depths in it. */
export const packageFolder = findPackageFolder(import.meta.dirname);

function findPackageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findPackageFolder(dirname(folder));
}
