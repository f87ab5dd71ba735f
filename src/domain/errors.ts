/** Expected errors and protocol errors. Fields carry the facts; messages are for people. */
import type { SecurityTokenView } from './authenticators/security-token-view.js';
import { recentAuthenticationSeconds } from './durations.js';

export type IdentityErrorCode =
  | 'VALIDATION'
  | 'INVALID_CREDENTIALS'
  | 'INVALID_ONE_TIME_PASSWORD'
  | 'TIMEOUT'
  | 'TRANSMISSION'
  | 'INVALID_SESSION'
  | 'NOT_FOUND'
  | 'STEP_UP_REQUIRED'
  | 'LAST_CREDENTIAL';

export type ValidationIssueCode =
  | 'IDENTIFIER_REQUIRED'
  | 'BLANK'
  | 'INVALID'
  | 'TAKEN'
  | 'TOO_SHORT'
  | 'TOO_LONG'
  | 'TOO_COMMON'
  | 'TOO_SIMILAR'
  | 'LAST_SUPERUSER'
  | 'NOT_VERIFIED';

export interface ValidationIssue {
  /** the input field; null if the issue concerns the whole input */
  field: string | null;
  code: ValidationIssueCode;
  message: string;
}

/** An expected error: part of the result type, never logged as an internal error. */
export abstract class ExpectedError extends Error {
  abstract readonly code: IdentityErrorCode;
  constructor(message: string) {
    // A stack trace is never read and costs more than the error itself.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

export class ValidationError extends ExpectedError {
  override readonly name = 'ValidationError';
  override readonly code = 'VALIDATION';
  constructor(readonly issues: ValidationIssue[]) {
    super(issues.map((issue) => issue.message).join(' '));
  }
}

export function identifierRequired(): ValidationIssue {
  return { field: null, code: 'IDENTIFIER_REQUIRED', message: 'Enter a username, an email address or a phone number.' };
}

/** @throws {ValidationError} if there is an issue */
export function throwIfInvalid(issues: ValidationIssue[]): void {
  if (issues.length > 0) throw new ValidationError(issues);
}

/**
 * The same for an unknown identifier, a wrong or missing password, an inactive user, and
 * identifiers of different users.
 */
export class InvalidCredentialsError extends ExpectedError {
  override readonly name = 'InvalidCredentialsError';
  override readonly code = 'INVALID_CREDENTIALS';
  constructor(message = 'Incorrect identifier or password.') {
    super(message);
  }
}

/** The same for a wrong, consumed, replaced or expired one-time password. */
export class InvalidOneTimePasswordError extends ExpectedError {
  override readonly name = 'InvalidOneTimePasswordError';
  override readonly code = 'INVALID_ONE_TIME_PASSWORD';
  constructor() {
    super('This code is wrong or expired. Request a new one.');
  }
}

/** A rate limit was exceeded. Until `retryAt` nothing is compared, sent or created. */
export class TimeoutError extends ExpectedError {
  override readonly name = 'TimeoutError';
  override readonly code = 'TIMEOUT';
  readonly retryAt: Date;
  /** whole seconds, rounded up, at least 1 */
  readonly retryAfterSeconds: number;
  /** null if the limit does not count failures */
  readonly failureCount: number | null;
  constructor(limit: { retryAt: Date; retryAfterSeconds: number; failureCount?: number | null }) {
    super(
      `Too many attempts. Try again in ${limit.retryAfterSeconds} second${limit.retryAfterSeconds === 1 ? '' : 's'}.`,
    );
    this.retryAt = limit.retryAt;
    this.retryAfterSeconds = limit.retryAfterSeconds;
    this.failureCount = limit.failureCount ?? null;
  }
}

export class TransmissionError extends ExpectedError {
  override readonly name = 'TransmissionError';
  override readonly code = 'TRANSMISSION';
  constructor() {
    super('The message could not be sent. Try again later.');
  }
}

/** The same for an unknown, consumed, revoked or expired refresh token. */
export class InvalidSessionError extends ExpectedError {
  override readonly name = 'InvalidSessionError';
  override readonly code = 'INVALID_SESSION';
  constructor() {
    super('This session has ended. Sign in again.');
  }
}

/** The object is absent or not accessible to the caller. */
export class NotFoundError extends ExpectedError {
  override readonly name = 'NotFoundError';
  override readonly code = 'NOT_FOUND';
  constructor() {
    super('Not found.');
  }
}

/** The signed-in user must authenticate again, in a way that the fields list. */
export class StepUpRequiredError extends ExpectedError {
  override readonly name = 'StepUpRequiredError';
  override readonly code = 'STEP_UP_REQUIRED';
  /** the required authentication context class */
  readonly acr = 'aal1';
  readonly passkey = false;
  readonly maxAgeSeconds = recentAuthenticationSeconds;
  readonly securityTokens: readonly SecurityTokenView[];
  readonly password: boolean;
  /** @param usable what the user can authenticate with now; possibly nothing */
  constructor({ securityTokens, password }: { securityTokens: readonly SecurityTokenView[]; password: boolean }) {
    super(
      password || securityTokens.length > 0
        ? 'Authenticate again first.'
        : 'Nothing of this account can confirm this now. A new password or address can do so after 24 hours.',
    );
    this.securityTokens = securityTokens;
    this.password = password;
  }
}

/** The change would remove the last way to sign in. */
export class LastCredentialError extends ExpectedError {
  override readonly name = 'LastCredentialError';
  override readonly code = 'LAST_CREDENTIAL';
  constructor() {
    super('This is the last verified address. Keep it, or first set a username and a password.');
  }
}

/** A top-level error of the response, used where no result type applies. */
export abstract class ProtocolError extends Error {
  abstract readonly code: string;
}

export class UnauthenticatedError extends ProtocolError {
  override readonly name = 'UnauthenticatedError';
  override readonly code = 'UNAUTHENTICATED';
  constructor(message = 'Sign in first.') {
    super(message);
  }
}

export class ForbiddenError extends ProtocolError {
  override readonly name = 'ForbiddenError';
  override readonly code = 'FORBIDDEN';
  constructor(message = "You don't have permission to do this.") {
    super(message);
  }
}

/** A malformed argument, such as an invalid id or cursor. */
export class BadUserInputError extends ProtocolError {
  override readonly name = 'BadUserInputError';
  override readonly code = 'BAD_USER_INPUT';
}
