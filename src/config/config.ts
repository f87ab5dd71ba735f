/** Environment → one frozen {@link Config}. Everything that the service can be told from outside is read here, once. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import ipaddr from 'ipaddr.js';
import { type CountryCode, isSupportedCountry } from 'libphonenumber-js/max';
import { z } from 'zod';
import { misconfigured, StartupError } from '../startup-error.js';

/** The folder of this package: that of its `package.json`. The bundle and the sources lie at different depths in it. */
export const packageFolder = findPackageFolder(import.meta.dirname);

function findPackageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findPackageFolder(dirname(folder));
}

/** A secret and the short name that stored values remember it by. */
export interface NamedSecret {
  id: string;
  bytes: Buffer;
}

/** The faults of a configuration, all of them at once. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError';
  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
      misconfigured,
      faults,
    );
  }
}

const wholeNumber = (fallback: number, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be from ${min} to ${max}`)
    .default(fallback);

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');

const exactUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must be an http or https URL');

const httpUrl = exactUrl.transform((text) => text.replace(/\/+$/, ''));

const origin = (text: string) => URL.canParse(text) && new URL(text).origin === text;

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);

const alphabet = (fallback: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{8,94}$/, 'must be 8 to 94 printable ASCII characters')
    .refine((text) => !text.includes('-'), 'must not hold a dash, which is ignored on entry')
    .refine(
      (text) => new Set(text.toUpperCase()).size === text.length,
      'must not hold a character twice (case is ignored)',
    )
    .transform((text) => text.toUpperCase())
    .default(fallback);

const secrets = z
  .string()
  .transform((text) => text.split(',').map((item) => Buffer.from(item.trim(), 'base64')))
  .refine(
    (all) => all.every((bytes) => bytes.length >= 32),
    'must be at least 32 random bytes in base64 (openssl rand -base64 32), several separated by commas',
  );

const variables = z.object({
  NODE_ENV: z
    .enum(['development', 'production', 'test'], 'must be development, production or test')
    .default('development'),
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: wholeNumber(4000, 0, 65535),
  PUBLIC_URL: httpUrl.optional(),
  APP_URL: httpUrl.optional(),
  DATABASE_URL: z
    .string()
    .regex(/^(postgres(ql)?:\/\/.+|memory:)$/, 'must begin with postgres:// or be memory:')
    .optional(),
  DATABASE_POOL_SIZE: wholeNumber(10, 1, 1000),
  DATABASE_POOLER: flag.default(false),
  DATA_DIR: z.string().min(1).default('.data'),
  SECRET_KEY: secrets.optional(),
  PASSWORD_PEPPER: secrets.optional(),
  BOOTSTRAP_SECRET: z.string().min(32, 'must be at least 32 characters').optional(),
  CORS_ORIGINS: list
    .refine((all) => all.every(origin), 'must be exact origins, like https://app.example.com')
    .optional(),
  TRUST_PROXY: z
    .string()
    .transform((text) => (text === 'false' ? [] : text.split(',').map((item) => item.trim())))
    .refine(
      (all) => all.every((item) => ipaddr.isValidCIDR(item) || net.isIP(item) > 0),
      'must be false, or addresses or CIDRs of proxies',
    )
    .default([]),
  GRAPHQL_INTROSPECTION: flag.optional(),
  WEB: flag.optional(),
  APOLLO_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be a key of GraphOS Studio, without white space')
    .optional(),
  APOLLO_GRAPH_REF: z
    .string()
    .regex(/^[\w-]+@[\w-]+$/, 'must be a graph and its variant, like identity@current')
    .optional(),
  APOLLO_REPORTING_URL: httpUrl.default('https://usage-reporting.api.apollographql.com'),
  BCRYPT_COST: wholeNumber(12, 4, 15),
  PASSWORD_THREADS: wholeNumber(availableParallelism(), 1, 256),
  PASSWORD_MIN_LENGTH: wholeNumber(8, 1, 128),
  PASSWORD_MIN_SCORE: wholeNumber(2, 0, 4),
  OTP_TTL_SECONDS: wholeNumber(600, 1, 86_400),
  OTP_MAX_TIMEOUT_SECONDS: wholeNumber(3600, 1, 86_400),
  OTP_MAX_FAILURES: wholeNumber(100, 1, 1000),
  EMAIL_OTP_LENGTH: wholeNumber(8, 6, 64),
  EMAIL_OTP_ALPHABET: alphabet('BCDFGHJKLMNPQRSTVWXZ23456789'),
  PHONE_OTP_LENGTH: wholeNumber(6, 6, 64),
  PHONE_OTP_ALPHABET: alphabet('0123456789'),
  OTP_SEND_INTERVAL_SECONDS: wholeNumber(30, 0, 86_400),
  OTP_SENDS_PER_HOUR: wholeNumber(5, 0, 100_000),
  OTP_SENDS_PER_DAY: wholeNumber(10, 0, 100_000),
  SENDS_PER_HOUR: wholeNumber(60, 0, 1_000_000),
  SMS_PREFIX_SENDS_PER_HOUR: wholeNumber(20, 0, 1_000_000),
  SMS_DIAL_CODES: list
    .refine((all) => all.every((code) => /^[1-9]\d{0,2}$/.test(code)), 'must be calling codes, like 1,44,49')
    .optional(),
  SIGN_UPS_PER_HOUR: wholeNumber(20, 0, 1_000_000),
  LOOK_UPS_PER_MINUTE: wholeNumber(30, 0, 1_000_000),
  GUESSES_PER_HOUR: wholeNumber(180, 0, 1_000_000),
  AUDIT_DAYS: wholeNumber(365, 1, 36_500),
  ACCESS_TOKEN_TTL_SECONDS: wholeNumber(300, 1, 3600),
  SESSION_IDLE_TTL_SECONDS: wholeNumber(1_209_600, 1, 31_536_000),
  SESSION_TTL_SECONDS: wholeNumber(2_592_000, 1, 31_536_000),
  DEFAULT_REGION: z
    .string()
    .refine((text) => isSupportedCountry(text), 'must be a region of ISO 3166, like US')
    .transform((text) => text as CountryCode)
    .default('US'),
  EMAIL_FROM: z
    .string()
    .regex(/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, 'must be an email address, or a name and one in angle brackets')
    .optional(),
  SENDGRID_API_KEY: z.string().optional(),
  SENDGRID_BASE_URL: httpUrl.default('https://api.sendgrid.com'),
  SMS_FROM: z
    .string()
    .regex(/^([A-Za-z0-9 ]{1,11}|\+?\d{5,15})$/, 'must be a phone number or up to 11 letters and digits')
    .optional(),
  VONAGE_API_KEY: z.string().optional(),
  VONAGE_API_SECRET: z.string().optional(),
  VONAGE_BASE_URL: httpUrl.default('https://rest.nexmo.com'),
  DELIVERY_OUTBOX: flag.optional(),
  DRAIN_SECONDS: wholeNumber(0, 0, 60),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: exactUrl.optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.literal('http/protobuf', 'must be http/protobuf').default('http/protobuf'),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none'], 'must be otlp or none').default('otlp'),
  OTEL_SERVICE_NAME: z.string().default('flex-identity'),
  OTEL_SDK_DISABLED: flag.default(false),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
});

/** The names of all variables that are read, for the checks of `.env.example` and the README. */
export const variableNames: readonly string[] = Object.keys(variables.shape);

export type Config = ReturnType<typeof readConfig>;

/**
 * Reads the configuration; outside production makes the missing secrets and keeps them in `DATA_DIR`.
 * @throws {ConfigError} with every fault, before anything is written
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env) {
  // An empty variable is an absent one: `FOO= npm start` and compose files with unset values mean the default.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = variables.safeParse(given);
  const faults = parsed.success ? [] : parsed.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}`);
  const production = given.NODE_ENV === 'production';
  if (production) {
    for (const name of ['SECRET_KEY', 'PASSWORD_PEPPER'])
      if (given[name] === undefined) faults.push(`${name} is required in production`);
    if (Number(given.BCRYPT_COST ?? 12) < 10) faults.push('BCRYPT_COST must be from 10 to 15 in production');
  }
  for (const needed of ['EMAIL_FROM'])
    if (given.SENDGRID_API_KEY !== undefined && given[needed] === undefined)
      faults.push(`${needed} is required with SENDGRID_API_KEY`);
  for (const needed of ['VONAGE_API_SECRET', 'SMS_FROM'])
    if (given.VONAGE_API_KEY !== undefined && given[needed] === undefined)
      faults.push(`${needed} is required with VONAGE_API_KEY`);
  for (const [name, needed] of [
    ['APOLLO_KEY', 'APOLLO_GRAPH_REF'],
    ['APOLLO_GRAPH_REF', 'APOLLO_KEY'],
  ] as const)
    if (given[name] !== undefined && given[needed] === undefined) faults.push(`${needed} is required with ${name}`);
  if (Number(given.SESSION_IDLE_TTL_SECONDS) > Number(given.SESSION_TTL_SECONDS))
    faults.push('SESSION_IDLE_TTL_SECONDS must not be more than SESSION_TTL_SECONDS');
  if (!parsed.success || faults.length > 0) throw new ConfigError([...new Set(faults)]);

  const v = parsed.data;
  const dataDir = resolve(v.DATA_DIR);
  const publicUrl = v.PUBLIC_URL ?? `http://localhost:${v.PORT}`;
  return Object.freeze({
    production,
    host: v.HOST,
    port: v.PORT,
    publicUrl,
    appUrl: v.APP_URL ?? publicUrl,
    databaseUrl: v.DATABASE_URL,
    databasePoolSize: v.DATABASE_POOL_SIZE,
    databasePooler: v.DATABASE_POOLER,
    dataDir,
    secretKeys: named(v.SECRET_KEY ?? [generatedSecret(dataDir, 'secret-key')]),
    passwordPeppers: named(v.PASSWORD_PEPPER ?? [generatedSecret(dataDir, 'password-pepper')]),
    bootstrapSecret: v.BOOTSTRAP_SECRET,
    corsOrigins:
      v.CORS_ORIGINS ??
      (production ? [] : ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com']),
    trustProxy: v.TRUST_PROXY,
    introspection: v.GRAPHQL_INTROSPECTION ?? !production,
    web: v.WEB ?? !production,
    studio:
      v.APOLLO_KEY === undefined
        ? undefined
        : { key: v.APOLLO_KEY, graphRef: v.APOLLO_GRAPH_REF!, reportingUrl: v.APOLLO_REPORTING_URL },
    bcryptCost: v.BCRYPT_COST,
    passwordThreads: v.PASSWORD_THREADS,
    passwordMinLength: v.PASSWORD_MIN_LENGTH,
    passwordMaxLength: 256,
    passwordMinScore: v.PASSWORD_MIN_SCORE,
    oneTimePassword: {
      ttlSeconds: v.OTP_TTL_SECONDS,
      maxWaitSeconds: v.OTP_MAX_TIMEOUT_SECONDS,
      maxFailures: v.OTP_MAX_FAILURES,
      email: { length: v.EMAIL_OTP_LENGTH, alphabet: v.EMAIL_OTP_ALPHABET },
      phone: { length: v.PHONE_OTP_LENGTH, alphabet: v.PHONE_OTP_ALPHABET },
      sendIntervalSeconds: v.OTP_SEND_INTERVAL_SECONDS,
      sendsPerHour: v.OTP_SENDS_PER_HOUR,
      sendsPerDay: v.OTP_SENDS_PER_DAY,
    },
    sendsPerHour: v.SENDS_PER_HOUR,
    smsPrefixSendsPerHour: v.SMS_PREFIX_SENDS_PER_HOUR,
    smsDialCodes: v.SMS_DIAL_CODES,
    signUpsPerHour: v.SIGN_UPS_PER_HOUR,
    lookUpsPerMinute: v.LOOK_UPS_PER_MINUTE,
    guessesPerHour: v.GUESSES_PER_HOUR,
    auditDays: v.AUDIT_DAYS,
    accessTokenTtlSeconds: v.ACCESS_TOKEN_TTL_SECONDS,
    sessionIdleTtlSeconds: v.SESSION_IDLE_TTL_SECONDS,
    sessionTtlSeconds: v.SESSION_TTL_SECONDS,
    defaultRegion: v.DEFAULT_REGION,
    sendGrid:
      v.SENDGRID_API_KEY === undefined
        ? undefined
        : { apiKey: v.SENDGRID_API_KEY, baseUrl: v.SENDGRID_BASE_URL, from: v.EMAIL_FROM! },
    vonage:
      v.VONAGE_API_KEY === undefined
        ? undefined
        : { apiKey: v.VONAGE_API_KEY, apiSecret: v.VONAGE_API_SECRET!, baseUrl: v.VONAGE_BASE_URL, from: v.SMS_FROM! },
    outboxAllowed: v.DELIVERY_OUTBOX ?? !production,
    drainSeconds: given.DRAIN_SECONDS === undefined && production ? 5 : v.DRAIN_SECONDS,
    tracing: tracingOf(v),
    logLevel: v.LOG_LEVEL,
  });
}

/** Traces are made where they have somewhere to go. @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
function tracingOf(v: z.infer<typeof variables>): { url: string; serviceName: string } | undefined {
  const base = v.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url = v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base}/v1/traces`);
  if (url === undefined || v.OTEL_SDK_DISABLED || v.OTEL_TRACES_EXPORTER === 'none') return undefined;
  return { url, serviceName: v.OTEL_SERVICE_NAME };
}

function named(all: Buffer[]): readonly [NamedSecret, ...NamedSecret[]] {
  const [first, ...rest] = all.map((bytes) => ({
    id: createHash('sha256').update(bytes).digest('hex').slice(0, 8),
    bytes,
  }));
  if (first === undefined) throw new Error('a list of secrets is never empty');
  return [first, ...rest];
}

/** Reads the secret of that name in the folder, made at the first need. */
function generatedSecret(dataDir: string, name: string): Buffer {
  const path = join(dataDir, name);
  let bytes: Buffer;
  try {
    if (!existsSync(path)) keepNewSecret(dataDir, path);
    bytes = Buffer.from(readFileSync(path, 'utf8'), 'base64');
  } catch (error) {
    throw new ConfigError([`DATA_DIR cannot keep generated secrets: ${(error as Error).message}`]);
  }
  if (bytes.length < 32) throw new ConfigError([`the generated secret in ${path} is damaged`]);
  return bytes;
}

function keepNewSecret(dataDir: string, path: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  try {
    // A link is made whole or not at all, so of two starting processes one wins and the other reads what it wrote.
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
}
