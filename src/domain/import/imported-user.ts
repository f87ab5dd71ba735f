/** Users of another system, as read from the source and as validated here. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../app/app.js';
import type { DjangoUser } from '../../database/django.queries.js';
import type { AddressState, ImportedAddress, ImportedFailures, ImportedRow } from '../../database/import.queries.js';
import { hmac } from '../../security/hmac.js';
import { getForeignScheme } from '../../security/imported-hashes.js';
import { waitSeconds } from '../authentication/throttling.js';
import { computeTokenId } from '../authenticators/registry.js';
import { isPrivileged } from '../authorization/permissions.js';
import {
  type AddressKind,
  addressKinds,
  type Identifier,
  type IdentifierFault,
  type IdentifierKind,
  identifierKinds,
  parseAs,
} from '../identifiers.js';
import { newUsername } from '../ownership/verification.js';

/** Dates before this are treated as invalid. */
export const earliest = new Date('1900-01-01');

/** A user of the source system. */
export interface ImportedUser {
  /** id in the source */
  id: string;
  username: string | null;
  email: string | null;
  phone: string | null;
  emailVerified: boolean;
  phoneVerified: boolean;
  /** consecutive wrong one-time passwords */
  emailThrottle: ImportedThrottle | null;
  phoneThrottle: ImportedThrottle | null;
  passwordHash: string | null;
  isActive: boolean;
  isStaff: boolean;
  isSuperuser: boolean;
  /** null: the time of the import */
  dateJoined: Date | null;
  lastLogin: Date | null;
}

interface ImportedThrottle {
  failureCount: number;
  retryAt: Date | null;
}

/** A problem of a user, or of an unreadable line. */
export interface ImportProblem {
  /** id in the source; null if unreadable */
  id: string | null;
  /** line number in a file */
  line?: number;
  /** null: the whole row */
  field: string | null;
  code: string;
  value?: string;
  /**
   * source id of the user who holds the identifier, or has lost it; null for accounts that were not
   * imported from this source
   */
  holder?: string | null;
  message: string;
}

export function isProblem(user: ImportedUser | ImportProblem): user is ImportProblem {
  return 'code' in user;
}

/** Reads an empty text as null, and a hash that begins with `!` as no password. */
export function readDjangoUser(user: DjangoUser): ImportedUser {
  const { id, username, email, phone, password, isActive, isStaff, isSuperuser } = user;
  const toThrottle = (failureCount: number | null, timeout: Date | null) =>
    failureCount === null ? null : { failureCount, retryAt: toValidDate(timeout) };
  return {
    id,
    username: username || null,
    email: email || null,
    phone: phone || null,
    emailVerified: user.emailVerified ?? false,
    phoneVerified: user.phoneVerified ?? false,
    emailThrottle: toThrottle(user.emailFailureCount, user.emailTimeout),
    phoneThrottle: toThrottle(user.phoneFailureCount, user.phoneTimeout),
    passwordHash: !password || password.startsWith('!') ? null : password,
    isActive,
    isStaff,
    isSuperuser,
    dateJoined: toValidDate(user.dateJoined),
    lastLogin: toValidDate(user.lastLogin),
  };
}

/** Returns null for dates that are invalid here, such as PostgreSQL's infinity. */
function toValidDate(date: Date | null): Date | null {
  return date instanceof Date && date >= earliest ? date : null;
}

/** Parts of a user with one digest each, to detect changes in the source. */
const digestedParts = [
  'username',
  'email',
  'emailState',
  'phone',
  'phoneState',
  'password',
  'flags',
  'dateJoined',
  'lastLogin',
] as const;
export type DigestedPart = (typeof digestedParts)[number];
const digestBytes = 8;
/** Marks a field lost to a conflict; never matches, so the next import retries it. */
const unclaimed = Buffer.alloc(digestBytes, 0xff);

/** A user after validation. */
export interface ReadUser {
  user: ImportedUser;
  identifiers: Partial<Record<IdentifierKind, Identifier>>;
  problems: ImportProblem[];
  /** identifiers whose stored form differs from the source */
  normalised: { id: string; field: IdentifierKind; from: string; to: string }[];
  /** `none`, or the scheme of the hash */
  passwordScheme: string;
  digests: Buffer;
}

/** A user to import. */
export interface Candidate extends ReadUser {
  importedId: string;
}

/** An imported user who has changed in the source since. */
export interface ChangedUser extends Candidate {
  userId: string;
  changed: DigestedPart[];
  /** the digests of the last import */
  before: Buffer;
  /** whether unverified addresses of the account can be reserved */
  reserves: boolean;
}

export function readUser(app: App, user: ImportedUser): ReadUser {
  const identifiers: ReadUser['identifiers'] = {};
  const problems: ImportProblem[] = [];
  const normalised: ReadUser['normalised'] = [];
  for (const field of identifierKinds) {
    const text = user[field];
    if (text === null) continue;
    const parsed = parseAs(field, text, app.config.defaultRegion);
    if (typeof parsed === 'string')
      problems.push({ id: user.id, field, code: parsed, value: text, message: reasons[parsed](field) });
    else {
      identifiers[field] = parsed;
      if (parsed.value !== text) normalised.push({ id: user.id, field, from: text, to: parsed.value });
    }
  }
  if (identifierKinds.every((field) => user[field] === null))
    problems.push({
      id: user.id,
      field: null,
      code: 'IDENTIFIER_REQUIRED',
      message: 'The user has no username, email address or phone number.',
    });
  const { passwordHash } = user;
  let hash = passwordHash;
  if (hash !== null) {
    const isText = /^[\x20-\x7e]{1,1024}$/.test(hash);
    const defect = isText ? app.passwords.findHashFault(hash) : 'MALFORMED';
    if (defect !== null)
      problems.push({ id: user.id, field: 'passwordHash', code: defect, message: hashReasons[defect] });
    if (!isText) hash = null;
  }
  return {
    user: { ...user, passwordHash: hash },
    identifiers,
    problems,
    normalised,
    passwordScheme: passwordHash === null ? 'none' : getForeignScheme(passwordHash),
    digests: digest(app, user),
  };
}

/** Returns the row to insert. */
export function toImportedRow(app: App, candidate: Candidate): ImportedRow {
  const { importedId, user, identifiers, digests } = candidate;
  const { username } = identifiers;
  const unverifiedState = unverifiedStateOf(candidate);
  const addresses = addressKinds.flatMap((kind): ImportedAddress[] => {
    const address = identifiers[kind];
    const state = isVouchedFor(user, kind) ? 'verified' : unverifiedState;
    return address === undefined ? [] : [{ ...toAddress(app, user, kind, address), state }];
  });
  const isHeld = (kind: AddressKind) =>
    addresses.some((address) => address.kind === kind && address.state !== 'pending');
  const [email, phone] = addressKinds.map((kind) => (isHeld(kind) ? identifiers[kind] : undefined));
  return {
    id: randomUUID(),
    importedId,
    digests,
    ...(username === undefined && email === undefined && phone === undefined
      ? newUsername()
      : { username: username?.value ?? null, usernameKey: username?.key ?? null }),
    email: email?.value ?? null,
    emailKey: email?.key ?? null,
    phone: phone?.value ?? null,
    passwordHash: user.passwordHash,
    isActive: user.isActive,
    isStaff: user.isStaff,
    isSuperuser: user.isSuperuser,
    dateJoined: user.dateJoined,
    lastLogin: user.lastLogin,
    addresses,
  };
}

/** Whether the field is an address that is verified in the source. */
export function isVouchedFor(user: ImportedUser, field: IdentifierKind): boolean {
  return field !== 'username' && user[`${field}Verified`];
}

/**
 * Returns the state of unverified addresses of a new user. They are reserved for an active account
 * without an owner, so that its user can sign in by one-time password.
 */
export function unverifiedStateOf({
  user,
  identifiers,
}: Pick<Candidate, 'user' | 'identifiers'>): Exclude<AddressState, 'verified'> {
  const hasVerified = addressKinds.some((kind) => identifiers[kind] !== undefined && isVouchedFor(user, kind));
  return user.isActive && !hasVerified && !isPrivileged(user) ? 'reserved' : 'pending';
}

/** Returns an address and its failures in the source. */
export function toAddress(app: App, user: ImportedUser, kind: AddressKind, { key, value }: Identifier) {
  const throttle = user[`${kind}Throttle`];
  const { maxRetryDelaySeconds, maxFailures } = app.config.oneTimePassword;
  const failures: ImportedFailures | null = throttle && {
    count: throttle.failureCount,
    retryAt: throttle.retryAt,
    waitSeconds: waitSeconds(throttle.failureCount, { maxRetryDelaySeconds, maxFailures }),
  };
  return { tokenId: computeTokenId(app, { kind, key }), kind, address: value, failures };
}

/** Returns the parts whose digests differ. */
export function changedParts(before: Buffer, after: Buffer): DigestedPart[] {
  return digestedParts.filter((_, index) => {
    const [start, end] = [index * digestBytes, (index + 1) * digestBytes];
    return !before.subarray(start, end).equals(after.subarray(start, end));
  });
}

/** Returns a copy of the digests in which these parts are marked as unclaimed. */
export function withoutParts(digests: Buffer, parts: readonly DigestedPart[]): Buffer {
  const copy = Buffer.from(digests);
  for (const part of parts) unclaimed.copy(copy, digestedParts.indexOf(part) * digestBytes);
  return copy;
}

function digest(app: App, user: ImportedUser): Buffer {
  const describeState = (kind: AddressKind) => {
    const { failureCount = 0, retryAt = null } = user[`${kind}Throttle`] ?? {};
    return user[`${kind}Verified`] || failureCount > 0
      ? `${user[`${kind}Verified`]} ${failureCount} ${retryAt?.toISOString()}`
      : null;
  };
  const values: Record<DigestedPart, string | null> = {
    username: user.username,
    email: user.email,
    emailState: describeState('email'),
    phone: user.phone,
    phoneState: describeState('phone'),
    password: user.passwordHash,
    flags: `${user.isActive} ${user.isStaff} ${user.isSuperuser}`,
    dateJoined: user.dateJoined?.toISOString() ?? null,
    lastLogin: user.lastLogin?.toISOString() ?? null,
  };
  const noDigest = Buffer.alloc(digestBytes);
  return Buffer.concat(
    digestedParts.map((part) =>
      values[part] === null ? noDigest : hmac(app.keys.imports, part, values[part]).subarray(0, digestBytes),
    ),
  );
}

const reasons: Record<IdentifierFault, (field: IdentifierKind) => string> = {
  BLANK: (field) => `The ${field} is empty.`,
  INVALID: (field) => `This is not a valid ${field}.`,
  TOO_LONG: (field) => `The ${field} is too long.`,
};

const hashReasons = {
  UNKNOWN_SCHEME: 'The scheme of the password hash is unknown. The user must set a new password.',
  MALFORMED: 'The password hash is malformed. The user must set a new password.',
  TOO_COSTLY: 'The password hash exceeds the cost limit. The user must set a new password.',
};
