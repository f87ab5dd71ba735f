/** Operations that prove who somebody is by a password. */
import { Arg, Ctx, Field, Mutation, ObjectType, Resolver } from 'type-graphql';
import { authenticate } from '../domain/credentials.js';
import { type Context, signedIn } from './context.js';
import { AuthenticateInput } from './credential.input.js';
import { InvalidCredentialsErrorType, TimeoutErrorType, ValidationErrorType } from './error.type.js';
import { resultUnion } from './refusals.js';
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
    return signedIn(context, await authenticate(context.app, context, input));
  }
}
