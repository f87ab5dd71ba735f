/** How the front end is built: into files that the strict content security policy of `src/http/web-pages.ts` lets run. */
import { join } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  build: {
    outDir: join(import.meta.dirname, '../dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    // `data:` URLs and inline scripts are not allowed.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The dictionaries of the password meter are large, and loaded when somebody chooses a password.
    chunkSizeWarningLimit: 2000,
  },
});
