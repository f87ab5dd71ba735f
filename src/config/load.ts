/** Reads the environment once, into one frozen {@link Config}. */
import { resolve } from 'node:path';
import { ConfigError } from '../startup-error.js';
import { acceptFormerNames, type RenamedVariable } from './renamed-variables.js';
import { nameSecrets, readGeneratedSecret } from './secrets.js';
import { type Variables, variables } from './variables.js';

export type Config = ReturnType<typeof readConfig>;

/**
 * Reads the configuration. Outside production it generates missing secrets and stores them in
 * `DATA_DIR`.
 * @throws {ConfigError} with every fault, before it writes a file
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env) {
  // An empty variable means the default: compose files pass unset variables as empty text.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { given, renamed, faults } = acceptFormerNames(set);
  const parsed = variables.safeParse(given);
  if (!parsed.success) faults.push(...parsed.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}`));
  faults.push(...findConflicts(given));
  if (!parsed.success || faults.length > 0) throw new ConfigError([...new Set(faults)]);
  return toConfig(parsed.data, (name) => given[name] !== undefined, renamed);
}

/** Pairs of variables: the first requires the second. */
const companions = [
  ['SENDGRID_API_KEY', 'EMAIL_FROM'],
  ['VONAGE_API_KEY', 'VONAGE_API_SECRET'],
  ['VONAGE_API_KEY', 'SMS_FROM'],
  ['APOLLO_KEY', 'APOLLO_GRAPH_REF'],
  ['APOLLO_GRAPH_REF', 'APOLLO_KEY'],
] as const;

/** Finds variables that production requires, and variables that contradict each other. */
function findConflicts(given: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  if (given.NODE_ENV === 'production') {
    for (const name of ['SECRET_KEY', 'PASSWORD_PEPPER'])
      if (given[name] === undefined) faults.push(`${name} is required in production`);
    if (Number(given.BCRYPT_COST ?? 12) < 10) faults.push('BCRYPT_COST must be from 10 to 15 in production');
  }
  for (const [name, needed] of companions)
    if (given[name] !== undefined && given[needed] === undefined) faults.push(`${needed} is required with ${name}`);
  if (Number(given.SESSION_IDLE_TTL_SECONDS) > Number(given.SESSION_TTL_SECONDS))
    faults.push('SESSION_IDLE_TTL_SECONDS must not be more than SESSION_TTL_SECONDS');
  return faults;
}

/** Longer than 40 lines, because it is a table with one line for each setting. */
function toConfig(
  v: Variables,
  isGiven: (name: keyof Variables) => boolean,
  renamedVariables: readonly RenamedVariable[],
) {
  const production = v.NODE_ENV === 'production';
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
    databaseTransactionPooler: v.DATABASE_TRANSACTION_POOLER,
    dataDir,
    secretKeys: nameSecrets(v.SECRET_KEY ?? [readGeneratedSecret(dataDir, 'secret-key')]),
    passwordPeppers: nameSecrets(v.PASSWORD_PEPPER ?? [readGeneratedSecret(dataDir, 'password-pepper')]),
    bootstrapSecret: v.BOOTSTRAP_SECRET,
    corsOrigins:
      v.CORS_ORIGINS ??
      (production ? [] : ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com']),
    trustProxy: v.TRUST_PROXY,
    introspection: v.GRAPHQL_INTROSPECTION ?? !production,
    webPages: v.WEB_PAGES ?? !production,
    studio: readStudio(v),
    bcryptCost: v.BCRYPT_COST,
    passwordHashThreads: v.PASSWORD_HASH_THREADS,
    passwordMinLength: v.PASSWORD_MIN_LENGTH,
    passwordMaxLength: 256,
    passwordMinScore: v.PASSWORD_MIN_SCORE,
    oneTimePassword: readOneTimePassword(v),
    sendsPerHour: v.SENDS_PER_HOUR,
    smsPrefixSendsPerHour: v.SMS_PREFIX_SENDS_PER_HOUR,
    smsCallingCodes: v.SMS_CALLING_CODES,
    signUpsPerHour: v.SIGN_UPS_PER_HOUR,
    lookUpsPerMinute: v.LOOK_UPS_PER_MINUTE,
    failedAttemptsPerHour: v.FAILED_ATTEMPTS_PER_HOUR,
    auditRetentionDays: v.AUDIT_RETENTION_DAYS,
    accessTokenTtlSeconds: v.ACCESS_TOKEN_TTL_SECONDS,
    sessionIdleTtlSeconds: v.SESSION_IDLE_TTL_SECONDS,
    sessionTtlSeconds: v.SESSION_TTL_SECONDS,
    defaultRegion: v.DEFAULT_REGION,
    sendGrid: readSendGrid(v),
    vonage: readVonage(v),
    outboxAllowed: v.DELIVERY_OUTBOX ?? !production,
    shutdownDrainSeconds: isGiven('SHUTDOWN_DRAIN_SECONDS') || !production ? v.SHUTDOWN_DRAIN_SECONDS : 5,
    tracing: readTracing(v),
    logLevel: v.LOG_LEVEL,
    /** the former names that the environment uses */
    renamedVariables,
  });
}

function readOneTimePassword(v: Variables) {
  return {
    ttlSeconds: v.OTP_TTL_SECONDS,
    maxRetryDelaySeconds: v.OTP_MAX_RETRY_DELAY_SECONDS,
    maxFailures: v.OTP_MAX_FAILURES,
    email: { length: v.EMAIL_OTP_LENGTH, alphabet: v.EMAIL_OTP_ALPHABET },
    phone: { length: v.PHONE_OTP_LENGTH, alphabet: v.PHONE_OTP_ALPHABET },
    sendIntervalSeconds: v.OTP_SEND_INTERVAL_SECONDS,
    sendsPerHour: v.OTP_SENDS_PER_HOUR,
    sendsPerDay: v.OTP_SENDS_PER_DAY,
  };
}

function readStudio(v: Variables) {
  if (v.APOLLO_KEY === undefined || v.APOLLO_GRAPH_REF === undefined) return undefined;
  return { key: v.APOLLO_KEY, graphRef: v.APOLLO_GRAPH_REF, reportingUrl: v.APOLLO_REPORTING_URL };
}

function readSendGrid(v: Variables) {
  if (v.SENDGRID_API_KEY === undefined || v.EMAIL_FROM === undefined) return undefined;
  return { apiKey: v.SENDGRID_API_KEY, baseUrl: v.SENDGRID_BASE_URL, from: v.EMAIL_FROM };
}

function readVonage(v: Variables) {
  if (v.VONAGE_API_KEY === undefined || v.VONAGE_API_SECRET === undefined || v.SMS_FROM === undefined) return undefined;
  return { apiKey: v.VONAGE_API_KEY, apiSecret: v.VONAGE_API_SECRET, baseUrl: v.VONAGE_BASE_URL, from: v.SMS_FROM };
}

/**
 * Reads the collector of traces; undefined disables tracing.
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
function readTracing(v: Variables): { url: string; serviceName: string } | undefined {
  const base = v.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url = v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base}/v1/traces`);
  if (url === undefined || v.OTEL_SDK_DISABLED || v.OTEL_TRACES_EXPORTER === 'none') return undefined;
  return { url, serviceName: v.OTEL_SERVICE_NAME };
}
