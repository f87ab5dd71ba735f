/** Starts the service. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type App, createApp } from './app/app.js';
import { createLogger } from './app/logger.js';
import { type Config, readConfig } from './config/load.js';
import { describeRenamed } from './config/renamed-variables.js';
import { needsBootstrap } from './domain/accounts/superusers.js';
import { startDelayedNotices } from './domain/events/delayed-notices.js';
import { subscribers } from './domain/events/subscribers.js';
import { createServer } from './http/server.js';
import { StartupError } from './startup-error.js';

await start();

async function start(): Promise<void> {
  if (process.env.NODE_ENV !== 'production' && existsSync('.env')) process.loadEnvFile('.env');
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    exitOnStartupError(error);
    throw error;
  }
  const log = createLogger(config);
  for (const renamed of config.renamedVariables) log.warn(renamed, describeRenamed(renamed));
  let app: App;
  try {
    app = await createApp(config, subscribers, log);
  } catch (error) {
    exitOnStartupError(error);
    log.fatal({ err: error }, 'could not start');
    process.exit(1);
  }
  const stopNotices = startDelayedNotices(app);
  const server = await createServer(app);
  try {
    const address = await server.listen();
    log.info({ address, passwordHashing: app.passwords.implementation }, 'listening');
    if (!config.production) await greet(app, address);
  } catch (error) {
    log.fatal({ err: error }, 'could not listen');
    await server.close();
    process.exit(1);
  }
  const close = async () => {
    stopNotices();
    await server.close();
  };
  stopOnSignals(close, (error) => log.error({ err: error }, 'could not stop cleanly'));
}

/**
 * Prints an error that the operator can correct, without a stack, and exits. Returns for other
 * errors.
 */
function exitOnStartupError(error: unknown): void {
  if (!(error instanceof StartupError)) return;
  console.error(error.message);
  process.exit(error.exitCode);
}

function stopOnSignals(close: () => Promise<void>, onError: (error: unknown) => void): void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const stop = () => {
    // A second signal stops the process immediately.
    for (const signal of signals) process.removeListener(signal, stop);
    close().then(
      () => process.exit(0),
      (error) => {
        onError(error);
        process.exit(1);
      },
    );
  };
  for (const signal of signals) process.on(signal, stop);
}

async function greet(app: App, address: string): Promise<void> {
  const { databaseUrl, dataDir, webPages, port, publicUrl } = app.config;
  const data =
    databaseUrl === undefined
      ? `${join(dataDir, 'database')} (embedded)`
      : databaseUrl === 'memory:'
        ? 'in memory, lost at exit'
        : `PostgreSQL ${new URL(databaseUrl).host}${new URL(databaseUrl).pathname}`;
  const lines = [
    '',
    // Use the host of links in messages, because browsers keep one session per host.
    ...(webPages ? [`  Pages     ${port === 0 ? address : publicUrl}/`] : []),
    `  API       ${address}/graphql`,
    `  Explorer  ${address}/graphql in a browser`,
    `  Outbox    ${address}/dev/outbox`,
    `  Data      ${data}`,
    ...((await needsBootstrap(app))
      ? [
          `  Bootstrap ${app.config.bootstrapSecret === undefined ? app.bootstrapSecret : 'the value of BOOTSTRAP_SECRET'}`,
          '            (header X-Bootstrap-Secret, to create the first superuser)',
        ]
      : []),
    '',
  ];
  console.log(lines.join('\n'));
}
