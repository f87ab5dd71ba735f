/** Parses identifiers of an input into values or issues. */
import type { App } from '../../app/app.js';
import { authenticators } from '../authenticators/registry.js';
import type { ValidationIssue } from '../errors.js';
import { type Identifier, type IdentifierFault, type IdentifierKind, parseAs } from '../identifiers.js';

/** Returns the identifier or its issue. An address that cannot receive messages is an issue. */
export function readIdentifier(app: App, field: IdentifierKind, text: string): Identifier | ValidationIssue {
  const parsed = parseAs(field, text, app.config.defaultRegion);
  if (typeof parsed === 'string') return { field, code: parsed, message: messages[field][parsed] };
  if (field !== 'username' && !authenticators[field].isReachable(app, parsed.value))
    return {
      field,
      code: 'INVALID',
      message: unreachable[field],
    };
  return parsed;
}

export function isIssue(read: Identifier | ValidationIssue): read is ValidationIssue {
  return 'code' in read;
}

const unreachable = { email: 'Email is not available.', phone: 'SMS to this number is not available.' };

const messages: Record<IdentifierKind, Record<IdentifierFault, string>> = {
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
