/** Rules for new passwords. */
import type { App } from '../../app/app.js';
import type { ValidationIssue } from '../errors.js';
import type { Identifier, IdentifierKind } from '../identifiers.js';

export interface PasswordPolicy {
  minLength: number;
  maxLength: number;
  /** zxcvbn score, 0–4 */
  minScore: number;
}

/** Returns the first issue of a password for these identifiers. Scores in a worker thread. */
export async function passwordIssue(
  app: App,
  field: string,
  password: string,
  identifiers: { kind: IdentifierKind; value: string }[],
): Promise<ValidationIssue | undefined> {
  const policy = {
    minLength: app.config.passwordMinLength,
    maxLength: app.config.passwordMaxLength,
    minScore: app.config.passwordMinScore,
  };
  return (
    lengthIssue(field, password, policy) ??
    strengthIssue(field, await app.passwords.score(password, toContextWords(identifiers)), policy)
  );
}

/** Checks the rules that do not depend on the user. Counts code points after NFC, like the hash. */
export function lengthIssue(field: string, password: string, policy: PasswordPolicy): ValidationIssue | undefined {
  if (password === '') return { field, code: 'BLANK', message: 'The password must not be empty.' };
  // A code point has at most two units, and NFC merges at most three: skip counting long texts.
  const length =
    password.length > policy.maxLength * 6 ? Number.POSITIVE_INFINITY : [...password.normalize('NFC')].length;
  if (length < policy.minLength)
    return { field, code: 'TOO_SHORT', message: `The password must have at least ${policy.minLength} characters.` };
  if (length > policy.maxLength)
    return { field, code: 'TOO_LONG', message: `The password must have at most ${policy.maxLength} characters.` };
  // Lone surrogates have no UTF-8 form, so different passwords would hash alike.
  if (/\p{Surrogate}/u.test(password)) return { field, code: 'INVALID', message: 'The password is not valid Unicode.' };
  return undefined;
}

/** Distinguishes common passwords from passwords that resemble the user's identifiers. */
export function strengthIssue(
  field: string,
  scores: { score: number; scoreWithoutContext: number },
  policy: PasswordPolicy,
): ValidationIssue | undefined {
  if (scores.scoreWithoutContext < policy.minScore)
    return { field, code: 'TOO_COMMON', message: 'This password is too easy to guess.' };
  if (scores.score < policy.minScore)
    return { field, code: 'TOO_SIMILAR', message: 'This password is too similar to the username, email or phone.' };
  return undefined;
}

/** Returns words of the identifiers that a password should not contain. */
export function toContextWords(identifiers: Pick<Identifier, 'kind' | 'value'>[]): string[] {
  return identifiers.flatMap(({ kind, value }) => {
    if (kind === 'username') return [value];
    if (kind === 'phone') return [value, value.slice(1)];
    const [local = '', domain = ''] = value.split('@');
    return [value, local, ...local.split(/[._+-]/), domain, ...domain.split('.').slice(0, -1)].filter(
      (word) => word.length > 2,
    );
  });
}
