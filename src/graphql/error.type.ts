/** GraphQL error types. A test compares their names and fields with the errors of the domain. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, Int, InterfaceType, ObjectType } from 'type-graphql';
import type { IdentityErrorCode, ValidationIssueCode } from '../domain/errors.js';
import { createEnum } from './server/create-enum.js';

const IdentityErrorCodeEnum = createEnum<IdentityErrorCode>(
  'IdentityErrorCode',
  'Code of an expected error. Each error type has one code.',
  {
    VALIDATION: 'The input is invalid. See `ValidationError.issues`.',
    INVALID_CREDENTIALS: 'The identifier or the password is wrong.',
    INVALID_ONE_TIME_PASSWORD: 'The one-time password is wrong, used, replaced or expired.',
    TIMEOUT: 'A rate limit is exceeded. See `TimeoutError.retryAt`.',
    TRANSMISSION: 'The email or SMS provider did not accept the message.',
    INVALID_SESSION: 'The refresh token is unknown, used, revoked or expired.',
    NOT_FOUND: 'Not found, or not accessible to the caller.',
    STEP_UP_REQUIRED: 'The signed-in user must authenticate again first. See `StepUpRequiredError`.',
    LAST_CREDENTIAL: "The change would remove the account's last way to sign in.",
  },
);

const ValidationIssueCodeEnum = createEnum<ValidationIssueCode>('ValidationIssueCode', 'Code of a validation issue.', {
  IDENTIFIER_REQUIRED: 'The input has no username, email or phone.',
  BLANK: 'The text is empty. Omit the field or pass null for no value.',
  INVALID: 'The text does not have the required format.',
  TAKEN: 'Another account has this value.',
  TOO_SHORT: 'The text is shorter than the minimum.',
  TOO_LONG: 'The text is longer than the maximum.',
  TOO_COMMON: 'The password is easy to guess.',
  TOO_SIMILAR: 'The password resembles the username, email or phone.',
  LAST_SUPERUSER: 'The change would leave no active superuser.',
  NOT_VERIFIED: 'The account has no verified address, or one that waits for verification.',
});

@InterfaceType('IdentityError', {
  description:
    'An expected error. Every error type of a result union implements it, so `... on IdentityError { code message }` selects any error.',
})
export abstract class IdentityErrorType {
  @Field(() => IdentityErrorCodeEnum, { description: 'Machine-readable error code.' })
  code!: IdentityErrorCode;

  @Field(() => String, { description: 'Error message in English.' })
  message!: string;
}

@ObjectType('ValidationIssue', { description: 'A rule that an input breaks.', simpleResolvers: true })
export class ValidationIssueType {
  @Field(() => String, {
    nullable: true,
    description: 'Name of the invalid input field. Null if the issue concerns the whole input.',
  })
  field!: string | null;

  @Field(() => ValidationIssueCodeEnum, { description: 'Machine-readable issue code.' })
  code!: ValidationIssueCode;

  @Field(() => String, { description: 'Issue message in English.' })
  message!: string;
}

@ObjectType('ValidationError', {
  implements: IdentityErrorType,
  description: 'The input is invalid. `issues` lists all problems.',
  simpleResolvers: true,
})
export class ValidationErrorType extends IdentityErrorType {
  @Field(() => [ValidationIssueType], { description: 'Issues of the input, at least one.' })
  issues!: ValidationIssueType[];
}

@ObjectType('InvalidCredentialsError', {
  implements: IdentityErrorType,
  description:
    'The identifier or the password is wrong. The error is the same for unknown identifiers, wrong or missing passwords, and inactive accounts.',
  simpleResolvers: true,
})
export class InvalidCredentialsErrorType extends IdentityErrorType {}

@ObjectType('InvalidOneTimePasswordError', {
  implements: IdentityErrorType,
  description: 'The one-time password is wrong, used, replaced or expired. The error does not reveal which.',
  simpleResolvers: true,
})
export class InvalidOneTimePasswordErrorType extends IdentityErrorType {}

@ObjectType('TimeoutError', {
  implements: IdentityErrorType,
  description: 'Rate limit exceeded. Until `retryAt` the service compares, sends and creates nothing.',
  simpleResolvers: true,
})
export class TimeoutErrorType extends IdentityErrorType {
  @Field(() => GraphQLDateTime, { description: 'Time of the next permitted attempt.' })
  retryAt!: Date;

  @Field(() => Int, {
    description:
      'Whole seconds until `retryAt`, rounded up, at least 1. Countdowns use it because device clocks may be wrong.',
  })
  retryAfterSeconds!: number;

  @Field(() => Int, {
    nullable: true,
    description:
      'Number of consecutive failures. Null if the limit does not count them, as for sends, sign-ups, and the hourly limit on failed attempts.',
  })
  failureCount!: number | null;
}

@ObjectType('TransmissionError', {
  implements: IdentityErrorType,
  description: 'The email or SMS provider did not accept the message.',
  simpleResolvers: true,
})
export class TransmissionErrorType extends IdentityErrorType {}

@ObjectType('InvalidSessionError', {
  implements: IdentityErrorType,
  description: 'The refresh token is unknown, used, revoked or expired. The error does not reveal which.',
  simpleResolvers: true,
})
export class InvalidSessionErrorType extends IdentityErrorType {}

@ObjectType('NotFoundError', {
  implements: IdentityErrorType,
  description: 'Not found, or not accessible to the caller. The error does not reveal which.',
  simpleResolvers: true,
})
export class NotFoundErrorType extends IdentityErrorType {}

@ObjectType('LastCredentialError', {
  implements: IdentityErrorType,
  description: 'The change would remove the last verified address. Keep it, or first set a username and a password.',
  simpleResolvers: true,
})
export class LastCredentialErrorType extends IdentityErrorType {}
