/** What is wrong with a password. */
import type { App } from '../../app/app.js';
import type { ValidationIssue } from '../errors.js';
import type { Identifier, IdentifierKind } from '../identifiers.js';

export interface PasswordPolicy {
  minLength: number;
  maxLength: number;
  /** zxcvbn's 0–4 */
  minScore: number;
}

/** What is wrong with the password of somebody who has these identifiers; scored in a worker thread. */
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

/** What can be said without knowing the user. Lengths are in code points after NFC, as the hash reads it. */
export function lengthIssue(field: string, password: string, policy: PasswordPolicy): ValidationIssue | undefined {
  if (password === '') return { field, code: 'BLANK', message: 'The password must not be empty.' };
  // A code point takes at most two units before NFC, and NFC makes three of one at most: no need to count a megabyte.
  const length =
    password.length > policy.maxLength * 6 ? Number.POSITIVE_INFINITY : [...password.normalize('NFC')].length;
  if (length < policy.minLength)
    return { field, code: 'TOO_SHORT', message: `The password must have at least ${policy.minLength} characters.` };
  if (length > policy.maxLength)
    return { field, code: 'TOO_LONG', message: `The password must have at most ${policy.maxLength} characters.` };
  // Half of a surrogate pair has no bytes of its own: two passwords that differ in nothing else would be the same.
  if (/\p{Surrogate}/u.test(password)) return { field, code: 'INVALID', message: 'The password is not valid Unicode.' };
  return undefined;
}

/** What the scores say: too common by itself, or only in the light of the user's own words. */
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

/** The words of a user that a password should not be made of. */
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
