/** Reading what describes an account: identifiers and passwords, with every fault of every field at once. */
import type { App } from '../app.js';
import type { Database } from '../database/database.js';
import { violatedConstraint } from '../database/postgres-errors.js';
import type { AddressKind } from '../database/schema.js';
import { releaseUnprovenAddress } from '../database/security-tokens.queries.js';
import { findTaken, nobody } from '../database/users.queries.js';
import { securityTokenId } from '../security/security-token-ids.js';
import type { Caller } from './caller.js';
import { unverifiedClaimSeconds } from './durations.js';
import { ValidationError, type ValidationIssue } from './errors.js';
import { transact } from './events.js';
import {
  callingCodeOf,
  type Identifier,
  type IdentifierFault,
  parseEmail,
  parsePhone,
  parseUsername,
} from './identifiers.js';
import { contextOf, lengthIssue, strengthIssue } from './password-policy.js';

export type IdentifierField = Identifier['kind'];

export const identifierFields = ['username', 'email', 'phone'] as const;

/** An identifier or the issue that keeps it from being one. Addresses that no message can reach are issues too. */
export function readIdentifier(app: App, field: IdentifierField, text: string): Identifier | ValidationIssue {
  const parsed = parse(app, field, text);
  if (typeof parsed === 'string') return { field, code: parsed, message: messages[field][parsed] };
  if (field !== 'username' && !isReachable(app, field, parsed.value))
    return {
      field,
      code: 'INVALID',
      message: `${field === 'email' ? 'Email' : 'SMS to this number'} is not available here.`,
    };
  return parsed;
}

export function isIssue(read: Identifier | ValidationIssue): read is ValidationIssue {
  return 'code' in read;
}

function parse(app: App, field: IdentifierField, text: string): Identifier | IdentifierFault {
  if (field === 'username') return parseUsername(text);
  return field === 'email' ? parseEmail(text) : parsePhone(text, app.config.defaultRegion);
}

/** Whether a message can go to the address: its channel is there, and the calling code is one that is served. */
export function isReachable(app: App, kind: AddressKind, address: string): boolean {
  if (kind === 'email') return app.channels.has('email');
  return app.channels.has('sms') && (app.config.smsDialCodes?.includes(callingCodeOf(address)) ?? true);
}

const messages: Record<IdentifierField, Record<IdentifierFault, string>> = {
  username: {
    BLANK: 'The username must not be empty.',
    INVALID: 'A username begins with a letter and holds only letters, numbers and the characters . - _',
    TOO_LONG: 'The username must have at most 150 characters.',
  },
  email: {
    BLANK: 'The email address must not be empty.',
    INVALID: 'This is not a valid email address.',
    TOO_LONG: 'The email address is too long.',
  },
  phone: {
    BLANK: 'The phone number must not be empty.',
    INVALID: 'This is not a valid phone number.',
    TOO_LONG: 'The phone number is too long.',
  },
};

export function identifierRequired(): ValidationIssue {
  return { field: null, code: 'IDENTIFIER_REQUIRED', message: 'Give a username, an email address or a phone number.' };
}

/** What is wrong with the password of somebody who has these identifiers; scored in a worker thread. */
export async function passwordIssue(
  app: App,
  field: string,
  password: string,
  identifiers: { kind: IdentifierField; value: string }[],
): Promise<ValidationIssue | undefined> {
  const policy = {
    minLength: app.config.passwordMinLength,
    maxLength: app.config.passwordMaxLength,
    minScore: app.config.passwordMinScore,
  };
  return (
    lengthIssue(field, password, policy) ??
    strengthIssue(field, await app.passwords.score(password, contextOf(identifiers)), policy)
  );
}

/** @throws {ValidationError} */
export function refuseIssues(issues: ValidationIssue[]): void {
  if (issues.length > 0) throw new ValidationError(issues);
}

export function tokenIdOf(app: App, { kind, key }: { kind: AddressKind; key: string }): string {
  return securityTokenId(app.keys.securityTokenIds, kind, key);
}

/**
 * Runs a transaction that writes these identifiers; the constraint decides, and what is taken becomes the refusal.
 * An address that stands unproven beside a proven one is let go to who comes next: tried only when something was taken.
 * The transaction may run twice. Only the one that commits emits its events.
 * @param caller null on the command line
 * @param claim `ownId`: the user who may have them already
 * @throws {ValidationError} `TAKEN` for each of the identifiers that somebody else has
 */
export async function claimIdentifiers<T>(
  app: App,
  caller: Caller | null,
  { identifiers, ownId = nobody }: { identifiers: Identifier[]; ownId?: string },
  work: (tx: Database) => Promise<T>,
): Promise<T> {
  const addresses = identifiers.flatMap(({ kind, key }) =>
    kind === 'username' ? [] : [{ kind, id: tokenIdOf(app, { kind, key }) }],
  );
  try {
    return await transact(app, caller, work);
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
  }
  try {
    return await transact(app, caller, async (tx) => {
      for (const { id } of addresses) await releaseUnprovenAddress(tx, id, unverifiedClaimSeconds);
      return work(tx);
    });
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    const taken = await findTaken(app.db, {
      username: identifiers.find(({ kind }) => kind === 'username')?.key ?? null,
      emailTokenId: addresses.find(({ kind }) => kind === 'email')?.id ?? null,
      phoneTokenId: addresses.find(({ kind }) => kind === 'phone')?.id ?? null,
      exceptId: ownId,
    });
    refuseIssues(identifierFields.filter((field) => taken[field]).map(takenIssue));
    throw error;
  }
}

function takenIssue(field: IdentifierField): ValidationIssue {
  const thing = { username: 'username', email: 'email address', phone: 'phone number' }[field];
  return { field, code: 'TAKEN', message: `An account with this ${thing} exists already.` };
}
