/** The faces of refusals. A test holds their names and fields together with the errors of the domain. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, Int, InterfaceType, ObjectType } from 'type-graphql';
import type { IdentityErrorCode, ValidationIssueCode } from '../domain/errors.js';
import { createEnum } from './server/create-enum.js';

const IdentityErrorCodeEnum = createEnum<IdentityErrorCode>(
  'IdentityErrorCode',
  'Which refusal it is: one code for each member type.',
  {
    VALIDATION: 'The input breaks a rule: see `ValidationError.issues`.',
    INVALID_CREDENTIALS: 'No account has these identifiers and this password.',
    INVALID_ONE_TIME_PASSWORD: 'The one-time password is wrong, spent, replaced or expired.',
    TIMEOUT: 'Too much, too soon: see `TimeoutError.retryAt`.',
    TRANSMISSION: 'The email or SMS provider did not accept the message.',
    INVALID_SESSION: 'The refresh token is unknown, spent, revoked or expired.',
    NOT_FOUND: 'The thing is absent, or beyond the reach of the caller.',
  },
);

const ValidationIssueCodeEnum = createEnum<ValidationIssueCode>(
  'ValidationIssueCode',
  'What is wrong with an input field.',
  {
    IDENTIFIER_REQUIRED: 'None of username, email and phone was given.',
    BLANK: 'The text is empty. Leave the field out, or give null, to mean that there is none.',
    INVALID: 'The text is not one of this kind.',
    TAKEN: 'Another account has it.',
    TOO_SHORT: 'Shorter than `IdentityPolicy` allows.',
    TOO_LONG: 'Longer than is allowed.',
    TOO_COMMON: 'A password that is easy to guess for anyone.',
    TOO_SIMILAR: 'A password that is easy to guess for who knows the username, email or phone.',
    LAST_SUPERUSER: 'The change would leave no active superuser.',
  },
);

@InterfaceType('IdentityError', {
  description:
    'A request that was understood and declined. Every error member of a result union implements it, so `... on IdentityError { code message }` reads any refusal.',
})
abstract class IdentityErrorType {
  @Field(() => IdentityErrorCodeEnum, { description: 'Which refusal it is, for programs.' })
  code!: IdentityErrorCode;

  @Field(() => String, { description: 'What happened, in English, for people.' })
  message!: string;
}

@ObjectType('ValidationIssue', { description: 'One fault of an input.', simpleResolvers: true })
export class ValidationIssueType {
  @Field(() => String, {
    nullable: true,
    description: 'The input field at fault, as the input names it; null when the fault is of the input as a whole.',
  })
  field!: string | null;

  @Field(() => ValidationIssueCodeEnum, { description: 'What is wrong with it, for programs.' })
  code!: ValidationIssueCode;

  @Field(() => String, { description: 'What is wrong with it, in English, for people.' })
  message!: string;
}

@ObjectType('ValidationError', {
  implements: IdentityErrorType,
  description: 'The input breaks rules. Every issue is listed at once.',
  simpleResolvers: true,
})
export class ValidationErrorType extends IdentityErrorType {
  @Field(() => [ValidationIssueType], { description: 'Every fault of the input; at least one.' })
  issues!: ValidationIssueType[];
}

@ObjectType('InvalidCredentialsError', {
  implements: IdentityErrorType,
  description:
    'No account has these identifiers and this password. Alike for nobody of that name, a wrong password, an account without one, an inactive account and identifiers of two accounts.',
  simpleResolvers: true,
})
export class InvalidCredentialsErrorType extends IdentityErrorType {}

@ObjectType('InvalidOneTimePasswordError', {
  implements: IdentityErrorType,
  description: 'The one-time password is wrong, spent, replaced or expired. It does not say which.',
  simpleResolvers: true,
})
export class InvalidOneTimePasswordErrorType extends IdentityErrorType {}

@ObjectType('TimeoutError', {
  implements: IdentityErrorType,
  description:
    'Too much, too soon: from `retryAt` on the next one is evaluated. Until then nothing is compared, sent or created.',
  simpleResolvers: true,
})
export class TimeoutErrorType extends IdentityErrorType {
  @Field(() => GraphQLDateTime, { description: 'From this instant on the next request is evaluated.' })
  retryAt!: Date;

  @Field(() => Int, {
    description:
      'Whole seconds until `retryAt`, rounded up, at least 1. Count down from this where the clock of the device may be wrong.',
  })
  retryAfterSeconds!: number;

  @Field(() => Int, {
    nullable: true,
    description: 'Consecutive failures counted so far; null where the limit is not one of failures (sends, sign-ups).',
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
  description: 'The refresh token is unknown, spent, revoked or expired. It does not say which.',
  simpleResolvers: true,
})
export class InvalidSessionErrorType extends IdentityErrorType {}

@ObjectType('NotFoundError', {
  implements: IdentityErrorType,
  description: 'The thing is absent, or beyond the reach of the caller. It does not say which.',
  simpleResolvers: true,
})
export class NotFoundErrorType extends IdentityErrorType {}
