/**
 * Builds the package: the service, the command line, the pages and the initial embedded database.
 */
import { join } from 'node:path';
import { whenStale } from './when-stale.js';

const root = join(import.meta.dirname, '..');
const inDist = (name: string) => join(root, 'dist', name);

await Promise.all([
  whenStale(
    {
      root,
      stamp: inDist('.service-made-of'),
      inputs: ['src', 'tsconfig.json', 'package-lock.json', 'scripts/bundle-service.ts'],
    },
    async () => (await import('./bundle-service.js')).bundleService(root, inDist('')),
  ),
  whenStale(
    {
      root,
      stamp: inDist('.cluster-made-of'),
      inputs: ['drizzle/migrations', 'src/database', 'package-lock.json', 'scripts/prepare-cluster.ts'],
    },
    async () => (await import('./prepare-cluster.js')).prepareCluster(root),
  ),
  import('../web/build.js'),
]);
