/** The environment variables with their formats, limits and defaults. */
import net from 'node:net';
import { availableParallelism } from 'node:os';
import ipaddr from 'ipaddr.js';
import { type CountryCode, isSupportedCountry } from 'libphonenumber-js/max';
import { z } from 'zod';

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
    .refine((text) => !text.includes('-'), 'must not contain a dash, which is ignored on entry')
    .refine(
      (text) => new Set(text.toUpperCase()).size === text.length,
      'must not contain a character twice (case is ignored)',
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

/** The schema of the variables. */
export const variables = z.object({
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
  DATABASE_TRANSACTION_POOLER: flag.default(false),
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
  WEB_PAGES: flag.optional(),
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
  PASSWORD_HASH_THREADS: wholeNumber(availableParallelism(), 1, 256),
  PASSWORD_MIN_LENGTH: wholeNumber(8, 1, 128),
  PASSWORD_MIN_SCORE: wholeNumber(2, 0, 4),
  OTP_TTL_SECONDS: wholeNumber(600, 1, 86_400),
  OTP_MAX_RETRY_DELAY_SECONDS: wholeNumber(3600, 1, 86_400),
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
  SMS_CALLING_CODES: list
    .refine((all) => all.every((code) => /^[1-9]\d{0,2}$/.test(code)), 'must be calling codes, like 1,44,49')
    .optional(),
  SIGN_UPS_PER_HOUR: wholeNumber(20, 0, 1_000_000),
  LOOK_UPS_PER_MINUTE: wholeNumber(30, 0, 1_000_000),
  FAILED_ATTEMPTS_PER_HOUR: wholeNumber(180, 0, 1_000_000),
  AUDIT_RETENTION_DAYS: wholeNumber(365, 1, 36_500),
  ACCESS_TOKEN_TTL_SECONDS: wholeNumber(300, 1, 3600),
  SESSION_IDLE_TTL_SECONDS: wholeNumber(1_209_600, 1, 31_536_000),
  SESSION_TTL_SECONDS: wholeNumber(2_592_000, 1, 31_536_000),
  DEFAULT_REGION: z
    .custom<CountryCode>(
      (value) => typeof value === 'string' && isSupportedCountry(value),
      'must be a region of ISO 3166, like US',
    )
    .default('US'),
  EMAIL_FROM: z
    .string()
    .regex(/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, 'must be an email address, or a name and an address in angle brackets')
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
  SHUTDOWN_DRAIN_SECONDS: wholeNumber(0, 0, 60),
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

/** The parsed values of the variables. */
export type Variables = z.infer<typeof variables>;

/** The names of all variables, for the tests of `.env.example` and the documentation. */
export const variableNames: readonly string[] = Object.keys(variables.shape);
