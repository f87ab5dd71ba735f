/**
 * The tables, their constraints and row types.
 * Timestamps have millisecond precision, like those in responses.
 */
import { type Placeholder, type SQL, sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

/** Bytes as a Buffer from both drivers: pg returns Buffers, PGlite Uint8Arrays. */
const bytes = customType<{ data: Buffer; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  fromDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
});

/** Text compared by bytes, alike in every database and locale. */
const comparedByBytes = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });

const ipAddress = customType<{ data: string }>({ dataType: () => 'inet' });

const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/**
 * Methods of a session. Skips methods that only a newer version knows.
 * Statements that add a method keep them.
 */
const authenticationMethodList = customType<{ data: AuthenticationMethod[]; driverData: string[] }>({
  dataType: () => 'text[]',
  fromDriver: (methods) => methods.filter((method) => isOneOf(authenticationMethodNames, method)),
});

/** Whether the text is one of the values that this version knows. */
function isOneOf<Value extends string>(values: readonly Value[], text: string): text is Value {
  return values.some((value) => value === text);
}

/** The values as one parameter. */
export const pgArray = (values: readonly string[]): SQL => sql`${`{${values}}`}::text[]`;

/** Formats constants for a check constraint, which cannot hold parameters. */
const literals = (values: readonly string[]): SQL => sql.raw(values.map((value) => `'${value}'`).join(', '));

export const now: SQL<Date> = sql<Date>`statement_timestamp()`;

/** now(), truncated to the stored precision so that waits never exceed the stated seconds. */
export const storedNow: SQL<Date> = sql<Date>`date_trunc('milliseconds', statement_timestamp())`;

/** Returns an interval. Statements take durations as parameters, because durations are policy. */
export const seconds = (count: Placeholder | SQL | number): SQL => sql`make_interval(secs => ${count}::float8)`;

export const secondsAgo = (count: Placeholder | SQL | number): SQL => sql`${now} - ${seconds(count)}`;

export const securityTokenKinds = ['email', 'phone'] as const;
export const oneTimePasswordPurposes = ['VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'] as const;
export const authenticationMethodNames = ['PASSWORD', 'EMAIL_ONE_TIME_PASSWORD', 'PHONE_ONE_TIME_PASSWORD'] as const;

export const auditEventKinds = [
  'SIGNED_UP',
  'SUPERUSER_CREATED',
  'SIGNED_IN',
  'SIGN_IN_FAILED',
  'SIGN_IN_THROTTLED',
  'CURRENT_PASSWORD_REFUSED',
  'ONE_TIME_PASSWORD_SENT',
  'ONE_TIME_PASSWORD_GENERATED',
  'ONE_TIME_PASSWORD_ACCEPTED',
  'ONE_TIME_PASSWORD_REFUSED',
  'ONE_TIME_PASSWORD_THROTTLED',
  'SECURITY_TOKEN_UNLOCKED',
  'PASSWORD_CHANGED',
  'PASSWORD_RESET',
  'PASSWORD_SET',
  'PASSWORD_REMOVED',
  'IDENTIFIERS_CHANGED',
  'ACTIVATION_CHANGED',
  'ROLES_CHANGED',
  'USER_DELETED',
  'SESSION_ENDED',
  'REFRESH_TOKEN_REUSED',
  'ADDRESS_ADDED',
  'ADDRESS_VERIFIED',
  'ADDRESS_LOST',
  'OWNERSHIP_PROVEN',
  'REAUTHENTICATED',
] as const;

/** Maps former names in old rows to the current ones. Statements write current names only. */
const formerAuditEventKinds = new Map<string, AuditEventKind>([
  ['SIGN_IN_TIMED_OUT', 'SIGN_IN_THROTTLED'],
  ['ONE_TIME_PASSWORD_TIMED_OUT', 'ONE_TIME_PASSWORD_THROTTLED'],
  ['STATE_CHANGED', 'ACTIVATION_CHANGED'],
  ['SESSION_COPIED', 'REFRESH_TOKEN_REUSED'],
]);

/** Returns every name under which events of these kinds may be stored. */
export function storedAuditEventKinds(kinds: readonly AuditEventKind[]): string[] {
  const former = [...formerAuditEventKinds].flatMap(([name, kind]) => (kinds.includes(kind) ? [name] : []));
  return [...kinds, ...former];
}

/** Reads former names as the current ones. */
const auditEventKind = customType<{ data: AuditEventKind; driverData: string }>({
  dataType: () => 'text',
  // Invariant: statements select known kinds only.
  fromDriver: (name) => formerAuditEventKinds.get(name) ?? (name as AuditEventKind),
});

export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    username: text('username'),
    usernameKey: comparedByBytes('username_key'),
    email: text('email'),
    emailKey: comparedByBytes('email_key'),
    /** E.164, which is also the comparison key. */
    phone: comparedByBytes('phone'),
    passwordHash: text('password_hash'),
    /** The last change of the password; null for the password of the sign-up or of an import. */
    passwordChangedAt: instant('password_changed_at'),
    isActive: boolean('is_active').notNull().default(true),
    isStaff: boolean('is_staff').notNull().default(false),
    isSuperuser: boolean('is_superuser').notNull().default(false),
    dateJoined: instant('date_joined').notNull().default(now),
    lastLogin: instant('last_login'),
    /** When the account's first address was verified. Since then the account is owned. */
    firstVerifiedAt: instant('first_verified_at'),
    /** `<source>:<source id>` of an imported user. */
    importedId: comparedByBytes('imported_id'),
    /** Keyed digest per field of the last import. A different digest means a changed source. */
    importedDigests: bytes('imported_digests'),
  },
  (t) => [
    uniqueIndex('users_username_key_unique').on(t.usernameKey),
    uniqueIndex('users_email_key_unique').on(t.emailKey),
    uniqueIndex('users_phone_unique').on(t.phone),
    uniqueIndex('users_imported_id_unique').on(t.importedId).where(sql`${t.importedId} is not null`),
    index('users_date_joined').on(t.dateJoined, t.id),
    index('users_superuser').on(t.id).where(sql`${t.isSuperuser}`),
    check('users_identifier_required', sql`num_nonnulls(${t.username}, ${t.email}, ${t.phone}) > 0`),
    check('users_no_blank', sql`${t.username} <> '' and ${t.email} <> '' and ${t.phone} <> ''`),
    check('users_username_has_key', sql`(${t.username} is null) = (${t.usernameKey} is null)`),
    check('users_email_has_key', sql`(${t.email} is null) = (${t.emailKey} is null)`),
  ],
);

/** A verified or reserved address of a user. No other account can have it. */
export const securityTokens = pgTable(
  'security_tokens',
  {
    id: comparedByBytes('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    kind: text('kind', { enum: securityTokenKinds }).notNull(),
    /** Destination of messages, as stored and never as typed in a request. */
    address: text('address').notNull(),
    givenAtSignUp: boolean('given_at_sign_up').notNull(),
    /** True only in rows of an earlier release, which kept pending addresses here. */
    pending: boolean('pending').notNull().default(false),
    createdAt: instant('created_at').notNull().default(now),
    verifiedAt: instant('verified_at'),
  },
  (t) => [
    uniqueIndex('security_tokens_user_kind_pending_unique').on(t.userId, t.kind, t.pending),
    check('security_tokens_kind_known', sql`${t.kind} in (${literals(securityTokenKinds)})`),
  ],
);

/**
 * Unverified addresses that reserve nothing. Several users may hold the same one.
 * Verification moves the address to `security_tokens`.
 */
export const pendingAddresses = pgTable(
  'pending_addresses',
  {
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    kind: text('kind', { enum: securityTokenKinds }).notNull(),
    /** The id of the security token of this address. */
    tokenId: comparedByBytes('token_id').notNull(),
    address: text('address').notNull(),
    /** It is reserved again when its account becomes active again without an owner. */
    givenAtSignUp: boolean('given_at_sign_up').notNull().default(false),
    createdAt: instant('created_at').notNull().default(now),
  },
  (t) => [
    primaryKey({ columns: [t.userId, t.kind] }),
    index('pending_addresses_token').on(t.tokenId, t.createdAt),
    check('pending_addresses_kind_known', sql`${t.kind} in (${literals(securityTokenKinds)})`),
  ],
);

/**
 * The live password and the attempt counter of a security token and purpose.
 * The counter also exists for addresses without a user. Therefore `token_id` has no foreign key,
 * and `user_id` may be null.
 */
export const oneTimePasswords = pgTable(
  'one_time_passwords',
  {
    tokenId: comparedByBytes('token_id').notNull(),
    purpose: text('purpose', { enum: oneTimePasswordPurposes }).notNull(),
    /** The user that the live password signs in. */
    userId: uuid('user_id').references(() => users.id, { onDelete: 'set null' }),
    codeDigest: bytes('code_digest'),
    expiresAt: instant('expires_at'),
    /**
     * The address of the live password, if it was not verified when the password was issued.
     * The owner of the mailbox can use the password whatever became of the account meanwhile.
     */
    unverifiedAddress: text('unverified_address'),
    failureCount: integer('failure_count').notNull().default(0),
    retryAt: instant('retry_at'),
    /** The last reserved attempt. A statement compares it to its own id. */
    attemptId: uuid('attempt_id'),
    updatedAt: instant('updated_at').notNull().default(now),
  },
  (t) => [
    primaryKey({ columns: [t.tokenId, t.purpose] }),
    index('one_time_passwords_user').on(t.userId),
    check('one_time_passwords_purpose_known', sql`${t.purpose} in (${literals(oneTimePasswordPurposes)})`),
    check('one_time_passwords_count_not_negative', sql`${t.failureCount} >= 0`),
    check('one_time_passwords_digest_expires', sql`(${t.codeDigest} is null) = (${t.expiresAt} is null)`),
  ],
);

/** Failed sign-ins, by keyed digest of the identifier alone or with the client's network. */
export const signInThrottles = pgTable(
  'sign_in_throttles',
  {
    key: bytes('key').primaryKey(),
    failureCount: integer('failure_count').notNull(),
    retryAt: instant('retry_at'),
    attemptId: uuid('attempt_id'),
    updatedAt: instant('updated_at').notNull().default(now),
  },
  (t) => [check('sign_in_throttles_count_not_negative', sql`${t.failureCount} >= 0`)],
);

/** Events that rate limits count, one row per event, so that a limit holds in every window. */
export const rateLimitEvents = pgTable(
  'rate_limit_events',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    key: bytes('key').notNull(),
    occurredAt: instant('occurred_at').notNull().default(now),
  },
  (t) => [
    index('rate_limit_events_key').on(t.key, t.occurredAt),
    index('rate_limit_events_occurred_at').on(t.occurredAt),
  ],
);

export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    refreshTokenHash: bytes('refresh_token_hash').notNull(),
    /** Hash of the previous refresh token. `refreshed_at` says when it was consumed. */
    previousRefreshTokenHash: bytes('previous_refresh_token_hash'),
    refreshedAt: instant('refreshed_at'),
    createdAt: instant('created_at').notNull().default(now),
    lastUsedAt: instant('last_used_at').notNull().default(now),
    idleExpiresAt: instant('idle_expires_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    revokedAt: instant('revoked_at'),
    /** The last authentication: by password, one-time password or sign-up. */
    authenticatedAt: instant('authenticated_at').notNull().default(now),
    /** The last authentication by one-time password. Only an earlier release reads it. */
    oneTimePasswordAt: instant('one_time_password_at'),
    /** Whether the sign-up of the account opened the session, or the first proof of its owner. */
    openedBySignUp: boolean('opened_by_sign_up').notNull().default(false),
    /** The last fresh proof by password. */
    passwordProofAt: instant('password_proof_at'),
    /** The last fresh proof by a one-time password to an address. */
    addressProofAt: instant('address_proof_at'),
    /** When that address was verified. The proof holds for addresses verified since. */
    addressProofVerifiedAt: instant('address_proof_verified_at'),
    authenticationMethods: authenticationMethodList('authentication_methods').notNull(),
    userAgent: text('user_agent'),
    ipAddress: ipAddress('ip_address'),
  },
  (t) => [
    index('sessions_user').on(t.userId, t.createdAt),
    index('sessions_expires_at').on(t.expiresAt),
    check(
      'sessions_authentication_methods_known',
      sql`${t.authenticationMethods} <@ array[${literals(authenticationMethodNames)}]`,
    ),
  ],
);

/** Security events. No foreign keys, so they outlive the rows that they mention. */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    kind: auditEventKind('kind').notNull(),
    occurredAt: instant('occurred_at').notNull().default(now),
    actorId: uuid('actor_id'),
    subjectId: uuid('subject_id'),
    sessionId: uuid('session_id'),
    securityTokenId: text('security_token_id'),
    detail: text('detail'),
    ipAddress: ipAddress('ip_address'),
    userAgent: text('user_agent'),
  },
  (t) => [
    index('audit_events_actor').on(t.actorId, t.id),
    index('audit_events_subject').on(t.subjectId, t.id),
    index('audit_events_kind').on(t.kind, t.id),
    index('audit_events_occurred_at').on(t.occurredAt),
  ],
);

/** Notices to send later. Their cause must not show at once that an account exists. */
export const delayedNotices = pgTable(
  'delayed_notices',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** The kind of the lost address. */
    addressKind: text('address_kind', { enum: securityTokenKinds }).notNull(),
    dueAt: instant('due_at').notNull(),
  },
  (t) => [index('delayed_notices_due_at').on(t.dueAt), index('delayed_notices_user').on(t.userId)],
);

/** Keys that outlive a change of `SECRET_KEY`, encrypted with it. */
export const keys = pgTable(
  'keys',
  {
    id: text('id').primaryKey(),
    purpose: text('purpose', { enum: ['root', 'access-token'] }).notNull(),
    encryptedKey: bytes('sealed_key').notNull(),
    /** Published by `/.well-known/jwks.json`; null for keys that only this service uses. */
    publicJwk: jsonb('public_jwk').$type<Record<string, string>>(),
    createdAt: instant('created_at').notNull().default(now),
  },
  (t) => [uniqueIndex('keys_one_root').on(t.purpose).where(sql`${t.purpose} = 'root'`)],
);

/** Captured messages. Encrypted, because the body holds a one-time password. */
export const outboxMessages = pgTable(
  'outbox_messages',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    encryptedMessage: bytes('sealed_message').notNull(),
    sentAt: instant('sent_at').notNull().default(now),
  },
  (t) => [index('outbox_messages_sent_at').on(t.sentAt)],
);

export type AuditEventRow = typeof auditEvents.$inferSelect;
export type AuditEventKind = (typeof auditEventKinds)[number];
export type UserRow = typeof users.$inferSelect;
export type NewUserRow = typeof users.$inferInsert;
export type PendingAddressRow = typeof pendingAddresses.$inferSelect;
export type SecurityTokenRow = typeof securityTokens.$inferSelect;
export type SessionRow = typeof sessions.$inferSelect;
export type SecurityTokenKind = (typeof securityTokenKinds)[number];
export type OneTimePasswordPurpose = (typeof oneTimePasswordPurposes)[number];
export type AuthenticationMethod = (typeof authenticationMethodNames)[number];
