/** Operations on passwords. */
import { Arg, Ctx, Field, ID, Mutation, ObjectType, Resolver } from 'type-graphql';
import { authenticate } from '../domain/authentication/password.js';
import { changePassword, resetPassword, setUserPassword } from '../domain/authentication/password-changes.js';
import { AuthenticateInput, ChangePasswordInput, ResetPasswordInput } from './credential.input.js';
import {
  InvalidCredentialsErrorType,
  InvalidOneTimePasswordErrorType,
  NotFoundErrorType,
  TimeoutErrorType,
  ValidationErrorType,
} from './error.type.js';
import { adoptSession, type Context } from './server/context.js';
import { resultUnion } from './server/typed-errors.js';
import { SessionTokensType } from './session.type.js';
import { StepUpRequiredErrorType } from './step-up.type.js';
import { UserType } from './user.type.js';

@ObjectType('AuthenticateSuccess', { description: 'Result of a successful sign-in.', simpleResolvers: true })
class AuthenticateSuccessType {
  @Field(() => UserType, { description: 'User who signed in.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'Tokens of the new session.' })
  tokens!: SessionTokensType;
}

const AuthenticateResult = resultUnion(
  AuthenticateSuccessType,
  [InvalidCredentialsErrorType, ValidationErrorType, TimeoutErrorType],
  'authenticate',
);

@ObjectType('ResetPasswordSuccess', {
  description: 'Result of a password reset. Earlier sessions are revoked, and a new session is open.',
  simpleResolvers: true,
})
class ResetPasswordSuccessType {
  @Field(() => UserType, { description: 'User with the new password.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'Tokens of the new session.' })
  tokens!: SessionTokensType;
}

@ObjectType('ChangePasswordSuccess', {
  description: 'Result of a password change. The other sessions of the caller are revoked.',
  simpleResolvers: true,
})
class ChangePasswordSuccessType {
  @Field(() => UserType, { description: 'The caller.' })
  user!: UserType;
}

@ObjectType('SetUserPasswordSuccess', {
  description: "Result of setting a user's password. All sessions of the user are revoked.",
  simpleResolvers: true,
})
class SetUserPasswordSuccessType {
  @Field(() => UserType, { description: 'User with the new password.' })
  user!: UserType;
}

const ResetPasswordResult = resultUnion(
  ResetPasswordSuccessType,
  [InvalidOneTimePasswordErrorType, ValidationErrorType, TimeoutErrorType],
  'resetPassword',
);
const ChangePasswordResult = resultUnion(
  ChangePasswordSuccessType,
  [InvalidCredentialsErrorType, ValidationErrorType, TimeoutErrorType, StepUpRequiredErrorType],
  'changePassword',
);
const SetUserPasswordResult = resultUnion(
  SetUserPasswordSuccessType,
  [ValidationErrorType, NotFoundErrorType, StepUpRequiredErrorType],
  'setUserPassword',
);

@Resolver()
export class CredentialResolver {
  @Mutation(() => AuthenticateResult, {
    description: 'Signs in with a password. Consecutive failures delay the next attempt by 1, 2, 4 … seconds.',
  })
  async authenticate(
    @Arg('input', () => AuthenticateInput, { description: 'Identifier and password of the user.' })
    input: AuthenticateInput,
    @Ctx() context: Context,
  ): Promise<typeof AuthenticateResult> {
    return adoptSession(context, await authenticate(context.app, context, input));
  }

  @Mutation(() => ResetPasswordResult, {
    description:
      'Sets a new password with a one-time password for `PASSWORD_RESET`. Revokes all sessions and opens a new session. A password that breaks the rules does not use up the one-time password.',
  })
  async resetPassword(
    @Arg('input', () => ResetPasswordInput, { description: 'One-time password and new password.' })
    input: ResetPasswordInput,
    @Ctx() context: Context,
  ): Promise<typeof ResetPasswordResult> {
    return adoptSession(context, await resetPassword(context.app, context, input));
  }

  @Mutation(() => ChangePasswordResult, {
    description: "Changes the caller's password and revokes the caller's other sessions. Requires fresh proof.",
  })
  async changePassword(
    @Arg('input', () => ChangePasswordInput, { description: 'Current password and new password.' })
    input: ChangePasswordInput,
    @Ctx() context: Context,
  ): Promise<typeof ChangePasswordResult> {
    return changePassword(context.app, context, input);
  }

  @Mutation(() => SetUserPasswordResult, {
    description:
      "Sets the password of a user and revokes the user's sessions. Superusers only, after a recent authentication, and not for other superusers.",
  })
  async setUserPassword(
    @Arg('id', () => ID, { description: 'ID of the user.' }) id: string,
    @Arg('newPassword', () => String, { description: 'New password, by the rules of `IdentityPolicy`.' })
    newPassword: string,
    @Ctx() context: Context,
  ): Promise<typeof SetUserPasswordResult> {
    return setUserPassword(context.app, context, { id, newPassword });
  }
}
