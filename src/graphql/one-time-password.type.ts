/** GraphQL types of one-time passwords, and the results of their operations. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ObjectType } from 'type-graphql';
import type { OneTimePasswordPurpose } from '../domain/authentication/one-time-password.js';
import {
  InvalidOneTimePasswordErrorType,
  NotFoundErrorType,
  TimeoutErrorType,
  TransmissionErrorType,
} from './error.type.js';
import { SecurityTokenType } from './security-token.type.js';
import { createEnum } from './server/create-enum.js';
import { resultUnion } from './server/typed-errors.js';
import { SessionTokensType } from './session.type.js';
import { StepUpRequiredErrorType } from './step-up.type.js';
import { UserType } from './user.type.js';

export const OneTimePasswordPurposeEnum = createEnum<OneTimePasswordPurpose>(
  'OneTimePasswordPurpose',
  'Purpose of a one-time password. A security token has at most one valid password for each purpose.',
  {
    VERIFICATION: 'Verifies the address. Only the signed-in user who has it may request and check it.',
    AUTHENTICATION: 'Signs in. Opens a session.',
    PASSWORD_RESET: 'Authorises `resetPassword`. Other operations do not accept it.',
  },
);

@ObjectType('GenerateOneTimePasswordSuccess', {
  description: 'Result of generating a one-time password.',
  simpleResolvers: true,
})
class GenerateOneTimePasswordSuccessType {
  @Field(() => SecurityTokenType, { description: 'Security token of the one-time password.' })
  securityToken!: SecurityTokenType;

  @Field(() => String, { description: 'One-time password in plain text. It cannot be read again.' })
  oneTimePassword!: string;

  @Field(() => GraphQLDateTime, { description: 'Expiry of the one-time password.' })
  expiresAt!: Date;
}

@ObjectType('SendOneTimePasswordSuccess', {
  description:
    'Result of a send request. The message is sent if an account can use the address. Callers other than the owner get this result in either case.',
  simpleResolvers: true,
})
class SendOneTimePasswordSuccessType {
  @Field(() => GraphQLDateTime, { description: 'Expiry of the one-time password.' })
  expiresAt!: Date;
}

@ObjectType('CheckOneTimePasswordSuccess', {
  description: 'Result of a successful check. The one-time password is used up.',
  simpleResolvers: true,
})
class CheckOneTimePasswordSuccessType {
  @Field(() => SecurityTokenType, { description: 'Verified security token.' })
  securityToken!: SecurityTokenType;

  @Field(() => UserType, { description: 'User who owns the address.' })
  user!: UserType;

  @Field(() => SessionTokensType, {
    nullable: true,
    description:
      'Tokens of the new session. Null if the caller was already signed in as this user: then the code is fresh proof.',
  })
  tokens!: SessionTokensType | null;
}

export const GenerateOneTimePasswordResult = resultUnion(
  GenerateOneTimePasswordSuccessType,
  [NotFoundErrorType, StepUpRequiredErrorType],
  'generateOneTimePassword',
);
export const SendOneTimePasswordResult = resultUnion(
  SendOneTimePasswordSuccessType,
  [TimeoutErrorType, TransmissionErrorType],
  'sendOneTimePassword',
);
export const CheckOneTimePasswordResult = resultUnion(
  CheckOneTimePasswordSuccessType,
  [InvalidOneTimePasswordErrorType, TimeoutErrorType, StepUpRequiredErrorType],
  'checkOneTimePassword',
);

@ObjectType('UnlockSecurityTokenSuccess', {
  description: 'Result of unlocking a security token. The next check is evaluated.',
  simpleResolvers: true,
})
class UnlockSecurityTokenSuccessType {
  @Field(() => SecurityTokenType, { description: 'Security token without failed attempts.' })
  securityToken!: SecurityTokenType;
}

export const UnlockSecurityTokenResult = resultUnion(
  UnlockSecurityTokenSuccessType,
  [NotFoundErrorType, TimeoutErrorType, StepUpRequiredErrorType],
  'unlockSecurityToken',
);
