/** Security tokens, their one-time passwords, and what the operations on them answer. */
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
  'What a one-time password is good for. A security token has at most one live password for each.',
  {
    VERIFICATION: 'Marks the address verified; sent to and checked by its signed-in owner.',
    AUTHENTICATION: 'Opens a session.',
    PASSWORD_RESET: 'Authorises resetPassword, which alone checks it.',
  },
);

@InterfaceType('SecurityToken', {
  description: 'A thing that proves a user by one-time passwords: here, an address that a password is sent to.',
  resolveType: ({ kind }: SecurityTokenView) => authenticators[kind].type.name,
})
export abstract class SecurityTokenType {
  @Field(() => ID, {
    description: 'A keyed function of the address: the same before and after somebody signs up with it.',
  })
  id!: string;

  @Field(() => String, { description: 'The obscured address: ab**@ex*****.*** or +*********34.' })
  name!: string;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether its owner has proved to read what is sent there; null to anyone but the owner and staff.',
  })
  verified!: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Consecutive failures, the most of any purpose; null to anyone but the owner and staff.',
  })
  failureCount!: number | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'When the next check opens, or opened, after the last failure: the latest of any purpose; null where nothing failed, and to anyone but the owner and staff.',
  })
  retryAt!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'When the live one-time password expires, or expired: the latest of any purpose; null where there is none, and to anyone but the owner and staff.',
  })
  expiresAt!: Date | null;
}

export const securityTokenTypes = Object.values(authenticators).map(({ type: { name, description } }) => {
  @ObjectType(name, { implements: SecurityTokenType, description, simpleResolvers: true })
  class SecurityTokenOfKindType extends SecurityTokenType {}
  return SecurityTokenOfKindType;
});

@ObjectType('GenerateOneTimePasswordSuccess', {
  description: 'The one-time password is made and live.',
  simpleResolvers: true,
})
class GenerateOneTimePasswordSuccessType {
  @Field(() => SecurityTokenType, { description: 'The token that it was made for.' })
  securityToken!: SecurityTokenType;

  @Field(() => String, { description: 'In clear, this once.' })
  oneTimePassword!: string;

  @Field(() => GraphQLDateTime, { description: 'From then on it is not valid.' })
  expiresAt!: Date;
}

@ObjectType('SendOneTimePasswordSuccess', {
  description:
    'If the address belongs to somebody whom it proves, the message is on its way. Strangers are told the same where it does not.',
  simpleResolvers: true,
})
class SendOneTimePasswordSuccessType {
  @Field(() => GraphQLDateTime, { description: 'From then on the one-time password is not valid.' })
  expiresAt!: Date;
}

@ObjectType('CheckOneTimePasswordSuccess', {
  description: 'The one-time password was right, and is spent.',
  simpleResolvers: true,
})
class CheckOneTimePasswordSuccessType {
  @Field(() => SecurityTokenType, { description: 'The token that was proved, verified from now on.' })
  securityToken!: SecurityTokenType;

  @Field(() => UserType, { description: 'Whom it proved.' })
  user!: UserType;

  @Field(() => SessionTokensType, {
    nullable: true,
    description: 'Null where the caller was already signed in as this user.',
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

@ObjectType('UnlockSecurityTokenSuccess', { description: 'The next check is evaluated.', simpleResolvers: true })
class UnlockSecurityTokenSuccessType {
  @Field(() => SecurityTokenType, { description: 'The token that was freed.' })
  securityToken!: SecurityTokenType;
}

export const UnlockSecurityTokenResult = resultUnion(
  UnlockSecurityTokenSuccessType,
  [NotFoundErrorType, TimeoutErrorType],
  'unlockSecurityToken',
);
