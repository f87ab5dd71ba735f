/**
 * Whether a stranger can tell by the time of the answers which addresses somebody has: `npm run bench:enumeration`. Prints the medians of
 * 300 interleaved pairs (`PAIRS`), their difference, and the statistic of Mann and Whitney; fails where the medians lie further apart than 5 ms and 5 %. No part of the test run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { createApp } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import { subscribers } from '../../src/domain/subscribers.js';
import { createServer } from '../../src/server.js';
import { caller } from '../support/people.js';
import { startPostgres } from '../support/postgres.js';
import type { Service } from '../support/service.js';
import { type Address, forgive, makePair, questions, withoutSendLimits } from '../support/strangers-view.js';
import { compare } from '../support/timing.js';

const pairs = Number(process.env.PAIRS ?? 300);
const [limitMilliseconds, limitShare] = [5, 0.05];

/** What is asked, about an address in which state; and whether its wait is not over. */
const cases: [question: string, state: string, timedOut?: 'timed out'][] = [
  ['authenticate', 'that is verified'],
  ['authenticate', 'of somebody without a password'],
  ['authenticate', 'of somebody inactive'],
  ['authenticate', 'that is verified', 'timed out'],
  ['securityTokens', 'that is verified'],
  ['securityTokens', 'of somebody inactive'],
  ['sendOneTimePassword for AUTHENTICATION', 'that is verified'],
  ['sendOneTimePassword for AUTHENTICATION', 'of somebody inactive'],
  ['sendOneTimePassword for PASSWORD_RESET', 'of somebody without a password'],
  ['checkOneTimePassword for AUTHENTICATION', 'that is verified'],
  ['checkOneTimePassword for AUTHENTICATION', 'of somebody inactive'],
  ['checkOneTimePassword for AUTHENTICATION', 'that is verified', 'timed out'],
  ['resetPassword', 'that is verified'],
  ['resetPassword', 'of somebody inactive'],
  ['resetPassword', 'that is verified', 'timed out'],
];

const dataDir = mkdtempSync(join(tmpdir(), 'flex-identity-bench-'));
const postgres = await startPostgres();
let apart = 0;
try {
  const service = await start(postgres.url);
  console.log('known ms  unknown ms  difference      z  what');
  for (const [index, [question, state, timedOut]] of cases.entries()) {
    const { known, unknown } = await makePair(service, state, 'email', index);
    const ask = (about: Address) => async () => {
      const { document, variables } = questions[question]!(about);
      await caller(service).ask(document, variables);
    };
    if (timedOut) {
      await ask(known)();
      await ask(unknown)();
      for (const table of ['one_time_passwords', 'sign_in_throttles'])
        await service.app.db.execute(sql.raw(`update ${table} set retry_at = now() + interval '1 day'`));
    }
    const between = () => (timedOut ? Promise.resolve() : forgive(service));
    const { medians, difference, share, z } = await compare(pairs, ask(known), ask(unknown), between);
    const same = Math.abs(difference) <= limitMilliseconds || Math.abs(share) <= limitShare;
    if (!same) apart += 1;
    const figures = [
      medians[0].toFixed(2).padStart(8),
      medians[1].toFixed(2).padStart(11),
      difference.toFixed(2).padStart(11),
      z.toFixed(1).padStart(6),
    ];
    console.log(
      `${figures.join(' ')}  ${question}, ${state}${timedOut ? `, ${timedOut}` : ''}${same ? '' : '  APART'}`,
    );
  }
  await service.stop();
} finally {
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
process.exit(apart === 0 ? 0 : 1);

async function start(databaseUrl: string): Promise<Service> {
  const unlimited = ['SIGN_UPS_PER_HOUR', 'LOOK_UPS_PER_MINUTE', 'SENDS_PER_HOUR', 'GUESSES_PER_HOUR'].map((name) => [
    name,
    '0',
  ]);
  const config = readConfig({
    PORT: '0',
    BCRYPT_COST: '10',
    LOG_LEVEL: 'silent',
    DATA_DIR: dataDir,
    DATABASE_URL: databaseUrl,
    ...withoutSendLimits,
    ...Object.fromEntries(unlimited),
  });
  const app = await createApp(config, subscribers);
  const server = await createServer(app);
  return { url: await server.listen(), app, stop: () => server.close() };
}
