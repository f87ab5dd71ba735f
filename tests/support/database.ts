/** A separate connection of the tests to the database of a service. */
import { setFlagsFromString } from 'node:v8';
import type { OpenDatabase } from '../../src/database/database.js';
import { openDatabase } from '../../src/database/open-database.js';
import { root } from './root.js';

export function openTestDatabase(options: {
  url: string | undefined;
  poolSize?: number;
  dataDir?: string;
  packageFolder?: string;
}): Promise<OpenDatabase> {
  const open = () => openDatabase({ poolSize: 1, dataDir: '', packageFolder: root, onIdleError: () => {}, ...options });
  return options.url?.startsWith('postgres') ? open() : compiledOnce(open);
}

/** Compiles the WebAssembly of the embedded database quickly, which suffices for short tests. */
export async function compiledOnce<T>(open: () => Promise<T>): Promise<T> {
  const tierUp = ['wasm-tier-up', 'wasm-dynamic-tiering'];
  for (const flag of tierUp) setFlagsFromString(`--no-${flag}`);
  try {
    return await open();
  } finally {
    // Argon2 is WebAssembly, too, and needs the optimising compiler.
    for (const flag of tierUp) setFlagsFromString(`--${flag}`);
  }
}
