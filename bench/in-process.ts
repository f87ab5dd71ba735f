/** Starts a service in the process of a benchmark, on a PostgreSQL of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../src/app/app.js';
import { readConfig } from '../src/config/load.js';
import { subscribers } from '../src/domain/events/subscribers.js';
import { createServer } from '../src/http/server.js';
import { startPostgres } from '../tests/support/postgres.js';
import type { Service } from '../tests/support/service.js';
import { withoutSendLimits } from '../tests/support/strangers-view.js';

/** Disables rate limits to measure the work. */
export async function withService(
  { bcryptCost }: { bcryptCost: number },
  work: (service: Service) => Promise<void>,
): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'flex-identity-bench-'));
  const postgres = await startPostgres();
  try {
    const unlimited = ['SIGN_UPS_PER_HOUR', 'LOOK_UPS_PER_MINUTE', 'SENDS_PER_HOUR', 'FAILED_ATTEMPTS_PER_HOUR'];
    const config = readConfig({
      PORT: '0',
      BCRYPT_COST: String(bcryptCost),
      LOG_LEVEL: 'silent',
      DATA_DIR: dataDir,
      DATABASE_URL: postgres.url,
      ...withoutSendLimits,
      ...Object.fromEntries(unlimited.map((name) => [name, '0'])),
    });
    const app = await createApp(config, subscribers);
    const server = await createServer(app);
    const stop = () => server.close();
    await work({ url: await server.listen(), app, stop });
    await stop();
  } finally {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
