/** Operations on users, and what of a user is asked for by itself. */
import { Arg, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import { listSecurityTokens } from '../domain/security-tokens.js';
import { listSessions } from '../domain/sessions.js';
import { createSuperuser, createUser } from '../domain/users.js';
import { type Context, signedIn } from './context.js';
import { SecurityTokenType } from './one-time-password.type.js';
import { SessionType } from './session.type.js';
import { CreateSuperuserInput, CreateUserInput } from './user.input.js';
import { CreateSuperuserResult, CreateUserResult, UserType } from './user.type.js';

@Resolver(() => UserType)
export class UserResolver {
  @Query(() => UserType, { nullable: true, description: 'The caller; null where nobody is signed in.' })
  me(@Ctx() { viewer }: Context): UserType | null {
    return viewer?.user ?? null;
  }

  @Mutation(() => CreateUserResult, {
    description:
      'Signs up: makes an account and opens its first session. A signed-in caller makes an account for somebody else, and opens none.',
  })
  async createUser(
    @Arg('input', () => CreateUserInput, { description: 'Who it is.' }) input: CreateUserInput,
    @Ctx() context: Context,
  ): Promise<typeof CreateUserResult> {
    return signedIn(context, await createUser(context.app, context, input));
  }

  @Mutation(() => CreateSuperuserResult, {
    description:
      'Makes a superuser. For superusers, or for the holder of the bootstrap secret (header `X-Bootstrap-Secret`) while there is no superuser yet.',
  })
  async createSuperuser(
    @Arg('input', () => CreateSuperuserInput, { description: 'Who it is.' }) input: CreateSuperuserInput,
    @Ctx() context: Context,
  ): Promise<typeof CreateSuperuserResult> {
    return createSuperuser(context.app, context, context.bootstrapSecret, input);
  }

  @FieldResolver(() => Boolean, { description: 'False for an account that signs in by one-time password only.' })
  hasUsablePassword(@Root() { passwordHash }: UserType): boolean {
    return passwordHash !== null;
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'An address that will replace the verified one once it is verified itself.',
  })
  pendingEmail(): string | null {
    return null;
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'A number that will replace the verified one once it is verified itself.',
  })
  pendingPhone(): string | null {
    return null;
  }

  @FieldResolver(() => [SecurityTokenType], { description: 'One for each address of the user, email first.' })
  async securityTokens(@Root() { id }: UserType, @Ctx() context: Context): Promise<SecurityTokenType[]> {
    return listSecurityTokens(context.app, context, id);
  }

  @FieldResolver(() => [SessionType], { description: 'Where the user is signed in; the session used last first.' })
  async sessions(@Root() { id }: UserType, @Ctx() { app }: Context): Promise<SessionType[]> {
    return listSessions(app, id);
  }
}
