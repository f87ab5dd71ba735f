/** Tests how the environment becomes the configuration. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Config, readConfig } from '../../src/config/load.js';
import { variableNames } from '../../src/config/variables.js';
import { ConfigError } from '../../src/startup-error.js';
import { compiledFile } from '../support/root.js';
import { runToExit, sharedSecrets, temporaryFolder } from '../support/service.js';

const folder = temporaryFolder();
const secret = () => randomBytes(32).toString('base64');
const newFolder = () => mkdtempSync(join(folder, 'data-'));
const production = () => ({ NODE_ENV: 'production', ...sharedSecrets() });

/** Reads a configuration of these variables only. A new folder receives generated secrets. */
function read(environment: Record<string, string> = {}) {
  return readConfig({ DATA_DIR: newFolder(), ...environment });
}

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.faults;
  }
  return [];
}

describe('the configuration', () => {
  test('has a default for everything', () => {
    const { secretKeys, passwordPeppers, dataDir, ...config } = read();
    assert.deepEqual(config, {
      production: false,
      host: '127.0.0.1',
      port: 4000,
      publicUrl: 'http://localhost:4000',
      appUrl: 'http://localhost:4000',
      databaseUrl: undefined,
      databasePoolSize: 10,
      databaseTransactionPooler: false,
      bootstrapSecret: undefined,
      corsOrigins: ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'],
      trustProxy: [],
      introspection: true,
      webPages: true,
      studio: undefined,
      bcryptCost: 12,
      passwordHashThreads: availableParallelism(),
      passwordMinLength: 8,
      passwordMaxLength: 256,
      passwordMinScore: 2,
      oneTimePassword: {
        ttlSeconds: 600,
        maxRetryDelaySeconds: 3600,
        maxFailures: 100,
        email: { length: 8, alphabet: 'BCDFGHJKLMNPQRSTVWXZ23456789' },
        phone: { length: 6, alphabet: '0123456789' },
        sendIntervalSeconds: 30,
        sendsPerHour: 5,
        sendsPerDay: 10,
      },
      sendGrid: undefined,
      vonage: undefined,
      sendsPerHour: 60,
      smsPrefixSendsPerHour: 20,
      smsCallingCodes: undefined,
      signUpsPerHour: 20,
      lookUpsPerMinute: 30,
      failedAttemptsPerHour: 180,
      shutdownDrainSeconds: 0,
      auditRetentionDays: 365,
      accessTokenTtlSeconds: 300,
      sessionIdleTtlSeconds: 14 * 24 * 60 * 60,
      sessionTtlSeconds: 30 * 24 * 60 * 60,
      defaultRegion: 'US',
      outboxAllowed: true,
      tracing: undefined,
      logLevel: 'info',
      renamedVariables: [],
    });
  });

  test('is immutable', () => {
    assert.ok(Object.isFrozen(read()));
  });

  test('treats an empty variable as absent', () => {
    const DATA_DIR = newFolder();
    const empty = Object.fromEntries(variableNames.map((name) => [name, '']));
    assert.deepEqual(readConfig({ ...empty, DATA_DIR }), readConfig({ DATA_DIR }));
  });

  test('contains the given value of every variable', () => {
    const [first, second] = ['https://app.example.com', 'https://www.example.com:8443'];
    for (const [environment, expected] of [
      [{ PORT: '8080' }, { port: 8080, publicUrl: 'http://localhost:8080' }],
      [{ PUBLIC_URL: 'https://id.test/' }, { publicUrl: 'https://id.test', appUrl: 'https://id.test' }],
      [{ APP_URL: 'https://app.example.com/' }, { appUrl: 'https://app.example.com' }],
      [{ DATABASE_URL: 'postgres://localhost/flex' }, { databaseUrl: 'postgres://localhost/flex' }],
      [{ CORS_ORIGINS: `${first}, ${second}` }, { corsOrigins: [first, second] }],
      [{ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8, fd00::/8' }, { trustProxy: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'] }],
      [{ TRUST_PROXY: 'false' }, { trustProxy: [] }],
      [{ GRAPHQL_INTROSPECTION: 'false' }, { introspection: false }],
      [{ SMS_CALLING_CODES: '1,44, 49' }, { smsCallingCodes: ['1', '44', '49'] }],
      [{ DEFAULT_REGION: 'DE' }, { defaultRegion: 'DE' }],
      [{ DELIVERY_OUTBOX: 'false' }, { outboxAllowed: false }],
      [{ SIGN_UPS_PER_HOUR: '0' }, { signUpsPerHour: 0 }],
    ] as [Record<string, string>, Partial<Config>][]) {
      const config = read(environment);
      assert.deepEqual(config, { ...config, ...expected });
    }
    const { email } = read({ EMAIL_OTP_LENGTH: '10', EMAIL_OTP_ALPHABET: 'abcdefgh' }).oneTimePassword;
    assert.deepEqual(email, { length: 10, alphabet: 'ABCDEFGH' });
  });

  const faulty: Record<string, string[]> = {
    NODE_ENV: ['staging', 'Production'],
    PORT: ['http', '-1', '65536', '1.5', '1e3'],
    PUBLIC_URL: ['localhost:4000', 'ftp://example.com', 'example'],
    APP_URL: ['javascript:alert(1)'],
    DATABASE_URL: ['mysql://localhost/flex', 'memory', 'postgres://'],
    DATABASE_POOL_SIZE: ['0'],
    DATABASE_TRANSACTION_POOLER: ['transaction'],
    SECRET_KEY: ['too short', `${secret()},short`, randomBytes(31).toString('base64')],
    PASSWORD_PEPPER: ['too short'],
    BOOTSTRAP_SECRET: ['x'.repeat(31)],
    CORS_ORIGINS: ['*', 'https://app.example.com/path', 'app.example.com'],
    TRUST_PROXY: ['true', 'proxy.internal', 'cafe', '999.0.0.1', '10.0.0.0/33', '::1/129'],
    GRAPHQL_INTROSPECTION: ['yes'],
    WEB_PAGES: ['1'],
    APOLLO_REPORTING_URL: ['usage-reporting'],
    BCRYPT_COST: ['3', '16'],
    PASSWORD_HASH_THREADS: ['0'],
    PASSWORD_MIN_LENGTH: ['0'],
    PASSWORD_MIN_SCORE: ['5'],
    OTP_TTL_SECONDS: ['0'],
    OTP_MAX_RETRY_DELAY_SECONDS: ['0'],
    OTP_MAX_FAILURES: ['0'],
    EMAIL_OTP_LENGTH: ['5'],
    EMAIL_OTP_ALPHABET: ['ABC', 'ABCDEFGHa', 'ABCDEFG-', 'ABCDEFG H', 'ÄBCDEFGH'],
    PHONE_OTP_LENGTH: ['5'],
    PHONE_OTP_ALPHABET: ['01234566'],
    SMS_CALLING_CODES: ['+1', '1234', 'US'],
    ACCESS_TOKEN_TTL_SECONDS: ['3601'],
    DEFAULT_REGION: ['us', 'XX', 'USA'],
    DELIVERY_OUTBOX: ['1'],
    OTEL_EXPORTER_OTLP_ENDPOINT: ['collector:4318'],
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ['collector'],
    OTEL_EXPORTER_OTLP_PROTOCOL: ['grpc', 'http/json'],
    OTEL_TRACES_EXPORTER: ['zipkin'],
    OTEL_SDK_DISABLED: ['yes'],
    LOG_LEVEL: ['verbose'],
  };
  test('rejects invalid values of variables', () => {
    for (const [name, values] of Object.entries(faulty))
      for (const value of values) {
        const faults = faultsOf({ [name]: value });
        assert.equal(faults.length, 1, `${name}=${value}: ${faults}`);
        assert.ok(faults[0]!.startsWith(`${name} must `), faults[0]);
      }
  });

  test('reports every fault at once, before it writes a file', () => {
    const DATA_DIR = join(newFolder(), 'new');
    const firstOfEach = Object.fromEntries(Object.entries(faulty).map(([name, values]) => [name, values[0]!]));
    const faults = faultsOf({ ...firstOfEach, DATA_DIR });
    assert.deepEqual(faults.map((fault) => fault.split(' ')[0]).sort(), Object.keys(faulty).sort());
    assert.equal(existsSync(DATA_DIR), false);
  });

  test('rejects a graph without a key, and a key without a graph', () => {
    assert.deepEqual(faultsOf({ APOLLO_KEY: 'service:identity:x' }), ['APOLLO_GRAPH_REF is required with APOLLO_KEY']);
    assert.deepEqual(faultsOf({ APOLLO_GRAPH_REF: 'identity@current' }), [
      'APOLLO_KEY is required with APOLLO_GRAPH_REF',
    ]);
    for (const APOLLO_GRAPH_REF of ['identity', 'identity@'])
      assert.deepEqual(faultsOf({ APOLLO_KEY: 'service:identity:x', APOLLO_GRAPH_REF }), [
        'APOLLO_GRAPH_REF must be a graph and its variant, like identity@current',
      ]);
  });

  test('enables traces if a collector is configured and traces are not disabled', () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' };
    const tracing = { url: 'http://collector:4318/v1/traces', serviceName: 'flex-identity' };
    assert.deepEqual(read(endpoint).tracing, tracing);
    const exact = 'http://collector:4318/some/where/';
    assert.deepEqual(read({ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: exact }).tracing, {
      ...tracing,
      url: exact,
    });
    assert.equal(read({ OTEL_SERVICE_NAME: 'accounts' }).tracing, undefined);
    assert.equal(read({ ...endpoint, OTEL_SDK_DISABLED: 'true' }).tracing, undefined);
    assert.equal(read({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }).tracing, undefined);
  });

  const renamed: [former: string, current: string, value: string, setting: keyof Config][] = [
    ['GUESSES_PER_HOUR', 'FAILED_ATTEMPTS_PER_HOUR', '7', 'failedAttemptsPerHour'],
    ['AUDIT_DAYS', 'AUDIT_RETENTION_DAYS', '7', 'auditRetentionDays'],
    ['WEB', 'WEB_PAGES', 'false', 'webPages'],
    ['DRAIN_SECONDS', 'SHUTDOWN_DRAIN_SECONDS', '7', 'shutdownDrainSeconds'],
    ['PASSWORD_THREADS', 'PASSWORD_HASH_THREADS', '7', 'passwordHashThreads'],
    ['SMS_DIAL_CODES', 'SMS_CALLING_CODES', '49', 'smsCallingCodes'],
    ['DATABASE_POOLER', 'DATABASE_TRANSACTION_POOLER', 'true', 'databaseTransactionPooler'],
    ['OTP_MAX_TIMEOUT_SECONDS', 'OTP_MAX_RETRY_DELAY_SECONDS', '7', 'oneTimePassword'],
  ];
  for (const [former, current, value, setting] of renamed) {
    test(`accepts ${former} for ${current} and reports the rename`, () => {
      const config = read({ [former]: value });
      assert.deepEqual(config[setting], read({ [current]: value })[setting]);
      assert.notDeepEqual(config[setting], read()[setting]);
      assert.deepEqual(config.renamedVariables, [{ former, current }]);
      assert.deepEqual(read({ [current]: value, [former]: '' }).renamedVariables, []);
    });

    test(`rejects ${former} together with ${current}`, () => {
      assert.deepEqual(faultsOf({ [former]: value, [current]: value }), [
        `${former} is the former name of ${current}: set only ${current}`,
      ]);
    });

    test(`names ${current} when ${former} has an invalid value`, () => {
      const [fault] = faultsOf({ [former]: '!' });
      assert.ok(fault?.startsWith(`${current} must `), fault);
    });
  }

  test('rejects an idle lifetime of sessions above their total lifetime', () => {
    assert.deepEqual(faultsOf({ SESSION_IDLE_TTL_SECONDS: '7200', SESSION_TTL_SECONDS: '3600' }), [
      'SESSION_IDLE_TTL_SECONDS must not be more than SESSION_TTL_SECONDS',
    ]);
  });

  test('does not print secrets in faults', () => {
    const [key, pepper] = [randomBytes(20).toString('base64'), randomBytes(20).toString('base64')];
    const faults = faultsOf({ SECRET_KEY: key, PASSWORD_PEPPER: pepper, BOOTSTRAP_SECRET: 'sesame', PORT: 'x' });
    assert.equal(faults.length, 4);
    for (const given of [key, pepper, 'sesame']) assert.ok(!faults.join().includes(given));
  });
});

describe('in production', () => {
  test('requires the secrets, and reports all faults at once', () => {
    assert.deepEqual(faultsOf({ NODE_ENV: 'production', PORT: 'x' }), [
      'PORT must be a whole number',
      'SECRET_KEY is required in production',
      'PASSWORD_PEPPER is required in production',
    ]);
  });

  test('generates, shows and stores nothing by default', () => {
    const DATA_DIR = newFolder();
    const config = readConfig({ ...production(), BOOTSTRAP_SECRET: '', DATA_DIR });
    const closed = { production: true, introspection: false, webPages: false, outboxAllowed: false };
    assert.deepEqual(config, { ...config, ...closed, bootstrapSecret: undefined, corsOrigins: [] });
    assert.deepEqual(readdirSync(DATA_DIR), []);
  });

  test('enables the outbox, introspection and the pages on request', () => {
    const config = read({ ...production(), DELIVERY_OUTBOX: 'true', GRAPHQL_INTROSPECTION: 'true', WEB_PAGES: 'true' });
    assert.equal(config.webPages, true);
    assert.equal(config.outboxAllowed, true);
    assert.equal(config.introspection, true);
  });

  test('rejects cheap hashes, which are allowed elsewhere', () => {
    for (const BCRYPT_COST of ['4', '9', '09'])
      assert.deepEqual(faultsOf({ ...production(), BCRYPT_COST }), ['BCRYPT_COST must be from 10 to 15 in production']);
    assert.equal(read({ ...production(), BCRYPT_COST: '10' }).bcryptCost, 10);
    assert.equal(read({ BCRYPT_COST: '4' }).bcryptCost, 4);
  });
});

describe('secrets', () => {
  test('have IDs by content, the current secret first', () => {
    const [first, second] = [secret(), secret()];
    const { secretKeys, passwordPeppers } = read({ SECRET_KEY: `${first}, ${second}`, PASSWORD_PEPPER: second });
    assert.deepEqual(
      secretKeys.map(({ bytes }) => bytes.toString('base64')),
      [first, second],
    );
    assert.equal(passwordPeppers.length, 1);
    assert.equal(passwordPeppers[0].id, secretKeys[1]!.id);
    assert.notEqual(secretKeys[0].id, secretKeys[1]!.id);
    assert.match(secretKeys[0].id, /^[0-9a-f]{8}$/);
  });

  test('that are missing are generated once and readable only by their owner', () => {
    const DATA_DIR = join(newFolder(), 'made', 'here');
    const first = readConfig({ DATA_DIR });
    const second = readConfig({ DATA_DIR });
    assert.deepEqual(second.secretKeys, first.secretKeys);
    assert.deepEqual(second.passwordPeppers, first.passwordPeppers);
    assert.notDeepEqual(first.secretKeys[0].bytes, first.passwordPeppers[0].bytes);
    assert.ok(first.secretKeys[0].bytes.length >= 32);
    assert.deepEqual(readdirSync(DATA_DIR).sort(), ['password-pepper', 'secret-key']);
    for (const file of readdirSync(DATA_DIR)) assert.equal(statSync(join(DATA_DIR, file)).mode & 0o777, 0o600);
    assert.equal(statSync(DATA_DIR).mode & 0o777, 0o700);
    assert.equal(first.dataDir, resolve(DATA_DIR));
  });

  test('that are given are not generated', () => {
    const DATA_DIR = newFolder();
    readConfig({ DATA_DIR, SECRET_KEY: secret(), PASSWORD_PEPPER: secret() });
    assert.deepEqual(readdirSync(DATA_DIR), []);
  });

  test('that were generated and then damaged are a fault', () => {
    const DATA_DIR = newFolder();
    readConfig({ DATA_DIR });
    writeFileSync(join(DATA_DIR, 'secret-key'), 'gone\n');
    assert.throws(
      () => readConfig({ DATA_DIR }),
      (error) => error instanceof ConfigError && error.faults[0]!.includes('secret-key is damaged'),
    );
  });

  test('that cannot be stored are a fault of DATA_DIR', () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    assert.match(String(faultsOf({ DATA_DIR: file })), /^DATA_DIR /);
  });

  test('generated by two simultaneous processes are identical', async () => {
    const dataDir = newFolder();
    const rounds = 25;
    const program = `
      import { readConfig } from '${pathToFileURL(compiledFile('src/config/load.ts')).href}';
      process.stdout.write('ready');
      process.stdin.once('data', (start) => {
        for (let round = 0; round < ${rounds}; round += 1) {
          while (Date.now() < Number(start) + 10 * round);
          const { secretKeys, passwordPeppers } = readConfig({ DATA_DIR: '${dataDir}/' + round });
          process.stdout.write(' ' + secretKeys[0].id + passwordPeppers[0].id);
        }
        process.exit();
      });`;
    const processes = Array.from({ length: 2 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let output = '';
      const ready = new Promise<void>((resolve) =>
        child.stdout.on('data', (data) => {
          output += data;
          resolve();
        }),
      );
      const done = new Promise<string>((resolve) => child.on('close', () => resolve(output)));
      return { child, ready, done };
    });
    await Promise.all(processes.map(({ ready }) => ready));
    const startAt = String(Date.now() + 50);
    for (const { child } of processes) child.stdin.write(startAt);
    const [first, second] = await Promise.all(processes.map(({ done }) => done));
    assert.equal(first, second);
    assert.equal(new Set(first!.split(' ')).size, rounds + 1);
    for (const round of readdirSync(dataDir))
      assert.deepEqual(readdirSync(join(dataDir, round)).sort(), ['password-pepper', 'secret-key']);
  });
});

test('an invalid configuration exits with 78, prints every fault, and starts and writes nothing', async () => {
  const faults = {
    PORT: 'http',
    DATABASE_URL: 'mysql://localhost/identity',
    DATABASE_POOL_SIZE: '0',
    SECRET_KEY: 'short',
    BOOTSTRAP_SECRET: 'short',
    PUBLIC_URL: 'ftp://example.com',
    CORS_ORIGINS: 'https://app.example.com/path',
    LOG_LEVEL: 'loud',
    // Valid alone, but more than the total lifetime.
    SESSION_IDLE_TTL_SECONDS: '3600',
  };
  const DATA_DIR = join(newFolder(), 'new');
  const { code, stdout, stderr } = await runToExit({ ...faults, SESSION_TTL_SECONDS: '60', DATA_DIR });
  assert.equal(code, 78);
  assert.equal(stdout, '');
  for (const name of Object.keys(faults)) assert.match(stderr, new RegExp(`^ +- ${name} must `, 'm'));
  assert.equal(stderr.match(/^ +- /gm)?.length, Object.keys(faults).length);
  assert.doesNotMatch(stderr, /short|mysql:/, 'a value may be a secret');
  assert.equal(existsSync(DATA_DIR), false);
});
