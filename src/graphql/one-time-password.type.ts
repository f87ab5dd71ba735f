/** GraphQL types of security tokens and one-time passwords, and the results of their operations. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, Int, InterfaceType, ObjectType } from 'type-graphql';
import type { OneTimePasswordPurpose } from '../domain/authentication/one-time-password.js';
import type { SecurityTokenView } from '../domain/authentication/security-tokens.js';
import { authenticators } from '../domain/authenticators/registry.js';
import {
  InvalidOneTimePasswordErrorType,
  NotFoundErrorType,
  TimeoutErrorType,
  TransmissionErrorType,
} from './error.type.js';
import { createEnum } from './server/create-enum.js';
import { resultUnion } from './server/typed-errors.js';
import { SessionTokensType } from './session.type.js';
import { UserType } from './user.type.js';

export const OneTimePasswordPurposeEnum = createEnum<OneTimePasswordPurpose>(
  'OneTimePasswordPurpose',
  'Purpose of a one-time password. A security token has at most one valid password for each purpose.',
  {
    VERIFICATION: 'Verifies the address. Only its signed-in owner may request and check it.',
    AUTHENTICATION: 'Signs in. Opens a session.',
    PASSWORD_RESET: 'Authorises `resetPassword`. Other operations do not accept it.',
  },
);

@InterfaceType('SecurityToken', {
  description: 'An email address or phone number that can receive one-time passwords.',
  resolveType: ({ kind }: SecurityTokenView) => authenticators[kind].type.name,
})
export abstract class SecurityTokenType {
  @Field(() => ID, {
    description:
      'Opaque, stable identifier derived from the address (HMAC). It does not reveal whether an account has the address.',
  })
  id!: string;

  @Field(() => String, { description: 'Masked address, like `ab**@ex*****.***` or `+*********34`.' })
  name!: string;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether the owner has verified this address. Null unless the caller is the owner or staff.',
  })
  verified!: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'Maximum number of consecutive failures over all purposes. Null unless the caller is the owner or staff.',
  })
  failureCount!: number | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'Latest retry time over all purposes. Null without failures, or if the caller is neither owner nor staff.',
  })
  retryAt!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'Latest expiry of a one-time password over all purposes. Null without a password, and unless the caller is the owner or staff.',
  })
  expiresAt!: Date | null;
}

export const securityTokenTypes = Object.values(authenticators).map(({ type: { name, description } }) => {
  @ObjectType(name, { implements: SecurityTokenType, description, simpleResolvers: true })
  class SecurityTokenOfKindType extends SecurityTokenType {}
  return SecurityTokenOfKindType;
});

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
    description: 'Tokens of the new session. Null if the caller was already signed in as this user.',
  })
  tokens!: SessionTokensType | null;
}

export const GenerateOneTimePasswordResult = resultUnion(
  GenerateOneTimePasswordSuccessType,
  [NotFoundErrorType],
  'generateOneTimePassword',
);
export const SendOneTimePasswordResult = resultUnion(
  SendOneTimePasswordSuccessType,
  [TimeoutErrorType, TransmissionErrorType],
  'sendOneTimePassword',
);
export const CheckOneTimePasswordResult = resultUnion(
  CheckOneTimePasswordSuccessType,
  [InvalidOneTimePasswordErrorType, TimeoutErrorType],
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
  [NotFoundErrorType, TimeoutErrorType],
  'unlockSecurityToken',
);
