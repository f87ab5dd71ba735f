/** Every refusal, and the few other things that a request is told. Facts are fields; the message is for people. */

export type IdentityErrorCode =
  | 'VALIDATION'
  | 'INVALID_CREDENTIALS'
  | 'INVALID_ONE_TIME_PASSWORD'
  | 'TIMEOUT'
  | 'TRANSMISSION'
  | 'INVALID_SESSION'
  | 'NOT_FOUND';

export type ValidationIssueCode =
  | 'IDENTIFIER_REQUIRED'
  | 'BLANK'
  | 'INVALID'
  | 'TAKEN'
  | 'TOO_SHORT'
  | 'TOO_LONG'
  | 'TOO_COMMON'
  | 'TOO_SIMILAR'
  | 'LAST_SUPERUSER';

export interface ValidationIssue {
  /** as the input names it; null when the fault is of the input as a whole */
  field: string | null;
  code: ValidationIssueCode;
  message: string;
}

/** A request that was understood and declined: data in the answer, not a defect. */
export abstract class ExpectedError extends Error {
  abstract readonly code: IdentityErrorCode;
  constructor(message: string) {
    // Nobody reads where a refusal was thrown, and to find out costs more than to refuse.
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
  return { field: null, code: 'IDENTIFIER_REQUIRED', message: 'Give a username, an email address or a phone number.' };
}

/** @throws {ValidationError} where there is an issue */
export function throwIfInvalid(issues: ValidationIssue[]): void {
  if (issues.length > 0) throw new ValidationError(issues);
}

/** Alike for nobody of that name, a wrong password, no usable password, an inactive user, and identifiers of two users. */
export class InvalidCredentialsError extends ExpectedError {
  override readonly name = 'InvalidCredentialsError';
  override readonly code = 'INVALID_CREDENTIALS';
  constructor(message = 'No account has these identifiers and this password.') {
    super(message);
  }
}

/** Alike for a one-time password that is wrong, spent, replaced or expired. */
export class InvalidOneTimePasswordError extends ExpectedError {
  override readonly name = 'InvalidOneTimePasswordError';
  override readonly code = 'INVALID_ONE_TIME_PASSWORD';
  constructor() {
    super('This one-time password is not valid. It may be wrong, used, replaced or expired.');
  }
}

/** Too much, too soon: until `retryAt` nothing is compared, sent or created. */
export class TimeoutError extends ExpectedError {
  override readonly name = 'TimeoutError';
  override readonly code = 'TIMEOUT';
  readonly retryAt: Date;
  /** whole seconds, rounded up, at least 1 */
  readonly retryAfterSeconds: number;
  /** null where the limit is not one of failures */
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

/** Alike for a refresh token that is unknown, spent, revoked or expired. */
export class InvalidSessionError extends ExpectedError {
  override readonly name = 'InvalidSessionError';
  override readonly code = 'INVALID_SESSION';
  constructor() {
    super('This session has ended. Sign in again.');
  }
}

/** The thing is absent, or beyond what the caller may reach: it does not say which. */
export class NotFoundError extends ExpectedError {
  override readonly name = 'NotFoundError';
  override readonly code = 'NOT_FOUND';
  constructor() {
    super('There is no such thing.');
  }
}

/** What is told at the top level of an answer, because no data can be. */
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
  constructor(message = 'Your role may not do this.') {
    super(message);
  }
}

/** An argument that no honest client sends. */
export class BadUserInputError extends ProtocolError {
  override readonly name = 'BadUserInputError';
  override readonly code = 'BAD_USER_INPUT';
}
