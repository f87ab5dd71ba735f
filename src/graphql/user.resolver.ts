/** Operations on users, and the fields of `User` that need a query of their own. */
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { deleteUser } from '../domain/accounts/deletion.js';
import { getUser, listUsers } from '../domain/accounts/directory.js';
import { updateUser } from '../domain/accounts/profile.js';
import { createUser } from '../domain/accounts/sign-up.js';
import { createSuperuser } from '../domain/accounts/superusers.js';
import { listSecurityTokens } from '../domain/authentication/security-tokens.js';
import { listSessions } from '../domain/sessions/sessions.js';
import { toConnection } from './connection.type.js';
import { SecurityTokenType } from './security-token.type.js';
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
  @Query(() => UserType, { nullable: true, description: 'The signed-in user. Null without a session.' })
  me(@Ctx() { viewer }: Context): UserType | null {
    return viewer?.user ?? null;
  }

  @Mutation(() => CreateUserResult, {
    description:
      'Creates an account and opens its first session. A signed-in caller creates an account for another user and opens no session.',
  })
  async createUser(
    @Arg('input', () => CreateUserInput, { description: 'Identifiers and password of the new user.' })
    input: CreateUserInput,
    @Ctx() context: Context,
  ): Promise<typeof CreateUserResult> {
    return adoptSession(context, created(context, await createUser(context.app, context, input)));
  }

  @Mutation(() => CreateSuperuserResult, {
    description:
      'Creates a superuser. Superusers only. While no superuser exists, send the bootstrap secret in the header `X-Bootstrap-Secret`.',
  })
  async createSuperuser(
    @Arg('input', () => CreateSuperuserInput, { description: 'Identifiers and password of the new user.' })
    input: CreateSuperuserInput,
    @Ctx() context: Context,
  ): Promise<typeof CreateSuperuserResult> {
    return created(context, await createSuperuser(context.app, context, context.bootstrapSecret, input));
  }

  @Query(() => UserType, {
    nullable: true,
    description: 'User with this ID. Null if the user does not exist. Staff only.',
  })
  async user(
    @Arg('id', () => ID, { description: 'ID of the user.' }) id: string,
    @Ctx() context: Context,
  ): Promise<UserType | null> {
    return getUser(context.app, context, id);
  }

  @Query(() => UserConnectionType, {
    description: 'Users, newest first. With `search`, users by matching identifier in alphabetical order. Staff only.',
  })
  async users(
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'Page size (1–100).' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last edge of the previous page.' })
    after: string | null,
    @Arg('search', () => String, { nullable: true, description: 'Prefix of a username, email or phone.' })
    search: string | null,
    @Ctx() context: Context,
  ): Promise<UserConnectionType> {
    const query = { first: first ?? 20, after: after ?? null, search: search ?? null };
    return toConnection(await listUsers(context.app, context, query));
  }

  @Mutation(() => UpdateUserResult, {
    description:
      "Updates a user. A new address is pending: it counts once it is verified, and its code is sent at once. The caller's addresses require fresh proof, the username and other users a recent authentication. Staff may activate and deactivate ordinary users. Superusers may change any user.",
  })
  async updateUser(
    @Arg('id', () => ID, { nullable: true, description: 'ID of the user. Defaults to the current user.' }) id:
      | string
      | null,
    @Arg('input', () => UpdateUserInput, { description: 'Fields to change.' }) input: UpdateUserInput,
    @Arg('currentPassword', () => String, {
      nullable: true,
      description: 'Current password of the caller, as fresh proof.',
    })
    currentPassword: string | null,
    @Ctx() context: Context,
  ): Promise<typeof UpdateUserResult> {
    return updateUser(context.app, context, { id: id ?? null, input, currentPassword: currentPassword ?? null });
  }

  @Mutation(() => DeleteUserResult, {
    description:
      'Deletes a user. Deleting the caller requires fresh proof. Superusers may delete other users, after a recent authentication.',
  })
  async deleteUser(
    @Arg('id', () => ID, { nullable: true, description: 'ID of the user. Defaults to the current user.' }) id:
      | string
      | null,
    @Arg('currentPassword', () => String, {
      nullable: true,
      description: 'Current password of the caller, as fresh proof.',
    })
    currentPassword: string | null,
    @Ctx() context: Context,
  ): Promise<typeof DeleteUserResult> {
    return deleteUser(context.app, context, id ?? null, currentPassword ?? null);
  }

  @FieldResolver(() => Boolean, {
    description: 'Whether the user has a password. False for sign-in by one-time password only.',
  })
  hasUsablePassword(@Root() { passwordHash }: UserType): boolean {
    return passwordHash !== null;
  }

  @FieldResolver(() => [SecurityTokenType], { description: "Security tokens of the user's addresses, email first." })
  async securityTokens(@Root() { id }: UserType, @Ctx() context: Context): Promise<SecurityTokenType[]> {
    return listSecurityTokens(context.app, context, id);
  }

  @FieldResolver(() => [SessionType], { description: 'Active sessions of the user, most recently used first.' })
  async sessions(@Root() { id }: UserType, @Ctx() { app }: Context): Promise<SessionType[]> {
    return listSessions(app, id);
  }
}
