/** Operations that prove who somebody is by a password. */
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
import { UserType } from './user.type.js';

@ObjectType('AuthenticateSuccess', { description: 'The user is signed in.', simpleResolvers: true })
class AuthenticateSuccessType {
  @Field(() => UserType, { description: 'Who has signed in.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'Of the session that was opened.' })
  tokens!: SessionTokensType;
}

const AuthenticateResult = resultUnion(
  AuthenticateSuccessType,
  [InvalidCredentialsErrorType, ValidationErrorType, TimeoutErrorType],
  'authenticate',
);

@ObjectType('ResetPasswordSuccess', {
  description: 'The password is new, every session has ended, and a new one is open.',
  simpleResolvers: true,
})
class ResetPasswordSuccessType {
  @Field(() => UserType, { description: 'Whose password it is.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'Of the session that was opened.' })
  tokens!: SessionTokensType;
}

@ObjectType('ChangePasswordSuccess', {
  description: 'The password is new, and every session but this one has ended.',
  simpleResolvers: true,
})
class ChangePasswordSuccessType {
  @Field(() => UserType, { description: 'The caller.' })
  user!: UserType;
}

@ObjectType('SetUserPasswordSuccess', {
  description: 'The password is new, and every session of the user has ended.',
  simpleResolvers: true,
})
class SetUserPasswordSuccessType {
  @Field(() => UserType, { description: 'Whose password it is.' })
  user!: UserType;
}

const ResetPasswordResult = resultUnion(
  ResetPasswordSuccessType,
  [InvalidOneTimePasswordErrorType, ValidationErrorType, TimeoutErrorType],
  'resetPassword',
);
const ChangePasswordResult = resultUnion(
  ChangePasswordSuccessType,
  [InvalidCredentialsErrorType, ValidationErrorType, TimeoutErrorType],
  'changePassword',
);
const SetUserPasswordResult = resultUnion(
  SetUserPasswordSuccessType,
  [ValidationErrorType, NotFoundErrorType],
  'setUserPassword',
);

@Resolver()
export class CredentialResolver {
  @Mutation(() => AuthenticateResult, {
    description:
      'Signs in by password. After the n-th failure in a row the next attempt opens 1, 2, 4 … seconds later.',
  })
  async authenticate(
    @Arg('input', () => AuthenticateInput, { description: 'Who signs in, and the password.' }) input: AuthenticateInput,
    @Ctx() context: Context,
  ): Promise<typeof AuthenticateResult> {
    return adoptSession(context, await authenticate(context.app, context, input));
  }

  @Mutation(() => ResetPasswordResult, {
    description:
      'Sets a new password by a one-time password for `PASSWORD_RESET`, ends every session and opens one. A new password that the rules refuse spends nothing.',
  })
  async resetPassword(
    @Arg('input', () => ResetPasswordInput, { description: 'The proof and the new password.' })
    input: ResetPasswordInput,
    @Ctx() context: Context,
  ): Promise<typeof ResetPasswordResult> {
    return adoptSession(context, await resetPassword(context.app, context, input));
  }

  @Mutation(() => ChangePasswordResult, {
    description: "Changes the caller's password and ends all their sessions but this one.",
  })
  async changePassword(
    @Arg('input', () => ChangePasswordInput, { description: 'The current and the new password.' })
    input: ChangePasswordInput,
    @Ctx() context: Context,
  ): Promise<typeof ChangePasswordResult> {
    return changePassword(context.app, context, input);
  }

  @Mutation(() => SetUserPasswordResult, {
    description: "Sets another user's password and ends the user's sessions. Superusers only.",
  })
  async setUserPassword(
    @Arg('id', () => ID, { description: 'Of the user.' }) id: string,
    @Arg('newPassword', () => String, { description: 'By the rules of `IdentityPolicy`.' }) newPassword: string,
    @Ctx() context: Context,
  ): Promise<typeof SetUserPasswordResult> {
    return setUserPassword(context.app, context, { id, newPassword });
  }
}
