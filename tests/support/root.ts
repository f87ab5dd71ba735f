/** Where the project and its compiled tests lie. */
import { join } from 'node:path';

/** The project's folder: every command that runs tests or benchmarks starts there. */
export const root = process.cwd();

/** Mirrors the project, so that relative imports hold. */
export const compiledFolder = join(root, '.test-build');

/** The compiled form of a source or a test, which is named relative to the project. */
export const compiledFile = (file: string): string => join(compiledFolder, file.replace(/\.tsx?$/, '.js'));
