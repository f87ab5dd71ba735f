/** Folders of the project and of its compiled tests. */
import { join } from 'node:path';

/** The project folder. All test and benchmark commands start there. */
export const root = process.cwd();

/** Mirrors the project, so relative imports work. */
export const compiledFolder = join(root, '.test-build');

/** Returns the compiled file of a source or test, by its path in the project. */
export const compiledFile = (file: string): string => join(compiledFolder, file.replace(/\.tsx?$/, '.js'));
