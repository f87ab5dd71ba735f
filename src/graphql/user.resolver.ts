/** Operations on users, and what of a user is asked for by itself. */
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { deleteUser } from '../domain/accounts/deletion.js';
import { getUser, listUsers } from '../domain/accounts/directory.js';
import { updateUser } from '../domain/accounts/profile.js';
import { createUser } from '../domain/accounts/sign-up.js';
import { createSuperuser } from '../domain/accounts/superusers.js';
import { listSecurityTokens } from '../domain/authentication/security-tokens.js';
import { listSessions } from '../domain/sessions/sessions.js';
import { toConnection } from './connection.type.js';
import { SecurityTokenType } from './one-time-password.type.js';
import { adoptSession, type Context, created } from './server/context.js';
import { SessionType } from './session.type.js';
import { CreateSuperuserInput, CreateUserInput, UpdateUserInput } from './user.input.js';
import {
  CreateSuperuserResult,
  CreateUserResult,
  DeleteUserResult,
  UpdateUserResult,
  UserConnectionType,
  UserType,
} from './user.type.js';

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
    return adoptSession(context, created(context, await createUser(context.app, context, input)));
  }

  @Mutation(() => CreateSuperuserResult, {
    description:
      'Makes a superuser. For superusers, or for the holder of the bootstrap secret (header `X-Bootstrap-Secret`) while there is no superuser yet.',
  })
  async createSuperuser(
    @Arg('input', () => CreateSuperuserInput, { description: 'Who it is.' }) input: CreateSuperuserInput,
    @Ctx() context: Context,
  ): Promise<typeof CreateSuperuserResult> {
    return created(context, await createSuperuser(context.app, context, context.bootstrapSecret, input));
  }

  @Query(() => UserType, { nullable: true, description: 'The user of that id; null where there is none. Staff only.' })
  async user(
    @Arg('id', () => ID, { description: 'Of the user.' }) id: string,
    @Ctx() context: Context,
  ): Promise<UserType | null> {
    return getUser(context.app, context, id);
  }

  @Query(() => UserConnectionType, {
    description:
      'Users, the newest first; with `search`, those of whom an identifier begins so, in the order of those identifiers. Staff only.',
  })
  async users(
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'How many, 1–100.' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'The cursor behind which the page begins.' })
    after: string | null,
    @Arg('search', () => String, { nullable: true, description: 'How a username, email or phone begins.' })
    search: string | null,
    @Ctx() context: Context,
  ): Promise<UserConnectionType> {
    const query = { first: first ?? 20, after: after ?? null, search: search ?? null };
    return toConnection(await listUsers(context.app, context, query));
  }

  @Mutation(() => UpdateUserResult, {
    description:
      "Changes oneself: with the current password or a recent authentication where an identifier changes. Another's id is for staff, who activate and deactivate ordinary users, and for superusers.",
  })
  async updateUser(
    @Arg('id', () => ID, { nullable: true, description: 'Absent: oneself.' }) id: string | null,
    @Arg('input', () => UpdateUserInput, { description: 'What to change.' }) input: UpdateUserInput,
    @Arg('currentPassword', () => String, {
      nullable: true,
      description: 'Needed where one has not authenticated for ten minutes.',
    })
    currentPassword: string | null,
    @Ctx() context: Context,
  ): Promise<typeof UpdateUserResult> {
    return updateUser(context.app, context, { id: id ?? null, input, currentPassword: currentPassword ?? null });
  }

  @Mutation(() => DeleteUserResult, {
    description:
      "Deletes oneself, with the current password or a recent authentication; another's id is for superusers.",
  })
  async deleteUser(
    @Arg('id', () => ID, { nullable: true, description: 'Absent: oneself.' }) id: string | null,
    @Arg('currentPassword', () => String, {
      nullable: true,
      description: 'Needed where one has not authenticated for ten minutes.',
    })
    currentPassword: string | null,
    @Ctx() context: Context,
  ): Promise<typeof DeleteUserResult> {
    return deleteUser(context.app, context, id ?? null, currentPassword ?? null);
  }

  @FieldResolver(() => Boolean, { description: 'False for an account that signs in by one-time password only.' })
  hasUsablePassword(@Root() { passwordHash }: UserType): boolean {
    return passwordHash !== null;
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
