/** Operations on sessions. */
import { Arg, Ctx, Field, FieldResolver, ID, Mutation, ObjectType, Resolver, Root } from 'type-graphql';
import { reauthenticate } from '../domain/authentication/re-authentication.js';
import {
  refreshSession,
  revokeOtherSessions,
  revokeSession,
  revokeUserSessions,
  signOut,
} from '../domain/sessions/sessions.js';
import { InvalidSessionErrorType } from './error.type.js';
import { adoptSession, type Context } from './server/context.js';
import { resultUnion } from './server/typed-errors.js';
import {
  ReauthenticateResult,
  RevokeOtherSessionsResult,
  RevokeSessionResult,
  RevokeUserSessionsResult,
  SessionTokensType,
  SessionType,
  SignOutSuccessType,
} from './session.type.js';
import { UserType } from './user.type.js';

@ObjectType('RefreshSessionSuccess', { description: 'Result of a token refresh.', simpleResolvers: true })
class RefreshSessionSuccessType {
  @Field(() => UserType, { description: 'User of the session.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'New tokens of the session. The previous refresh token is used up.' })
  tokens!: SessionTokensType;
}

const RefreshSessionResult = resultUnion(RefreshSessionSuccessType, [InvalidSessionErrorType], 'refreshSession');

@Resolver(() => SessionType)
export class SessionResolver {
  @Mutation(() => RefreshSessionResult, {
    description:
      'Exchanges a single-use refresh token for new tokens. Reuse of a refresh token revokes the session. A repeat of the latest refresh within 10 seconds returns the same tokens.',
  })
  async refreshSession(
    @Arg('refreshToken', () => String, {
      nullable: true,
      description: 'Refresh token. If omitted, read from the cookie.',
    })
    refreshToken: string | null,
    @Ctx() context: Context,
  ): Promise<typeof RefreshSessionResult> {
    const inCookie = (refreshToken ?? null) === null;
    const token = inCookie ? context.cookie.read() : refreshToken;
    return adoptSession(
      context,
      await refreshSession(context.app, context, token),
      inCookie || context.cookie.requested,
    );
  }

  @Mutation(() => SignOutSuccessType, {
    description:
      'Revokes the session of the refresh token, the cookie or the access token. Used and expired tokens are accepted.',
  })
  async signOut(
    @Arg('refreshToken', () => String, {
      nullable: true,
      description:
        'Refresh token of the session to revoke. If omitted, the cookie or the access token identifies the session.',
    })
    refreshToken: string | null,
    @Ctx() context: Context,
  ): Promise<SignOutSuccessType> {
    const { app, accessToken, cookie } = context;
    // An explicit token identifies one session: leave the cookie of another session alone.
    if (refreshToken != null) return { signedOut: await signOut(app, context, { refreshToken, accessToken: null }) };
    const signedOut = await signOut(app, context, { refreshToken: cookie.read(), accessToken });
    cookie.clear();
    return { signedOut };
  }

  @Mutation(() => RevokeSessionResult, {
    description:
      'Revokes a session of the caller. Superusers may revoke any session. Takes effect immediately. Sessions other than the current one require a recent authentication.',
  })
  async revokeSession(
    @Arg('id', () => ID, { description: 'ID of the session.' }) id: string,
    @Ctx() context: Context,
  ): Promise<typeof RevokeSessionResult> {
    return revokeSession(context.app, context, id);
  }

  @Mutation(() => RevokeOtherSessionsResult, {
    description: 'Revokes all sessions of the caller except the current session. Requires a recent authentication.',
  })
  async revokeOtherSessions(@Ctx() context: Context): Promise<typeof RevokeOtherSessionsResult> {
    return revokeOtherSessions(context.app, context);
  }

  @Mutation(() => ReauthenticateResult, {
    description:
      'Gives fresh proof with the current password: for ten minutes the session may change passwords and addresses. A password younger than 24 hours gives no fresh proof, unless it dates from the first hour of the account.',
  })
  async reauthenticate(
    @Arg('currentPassword', () => String, { description: 'Current password of the caller.' }) currentPassword: string,
    @Ctx() context: Context,
  ): Promise<typeof ReauthenticateResult> {
    return reauthenticate(context.app, context, currentPassword);
  }

  @Mutation(() => RevokeUserSessionsResult, { description: 'Revokes all sessions of a user. Superusers only.' })
  async revokeUserSessions(
    @Arg('id', () => ID, { description: 'ID of the user.' }) id: string,
    @Ctx() context: Context,
  ): Promise<typeof RevokeUserSessionsResult> {
    return revokeUserSessions(context.app, context, id);
  }

  @FieldResolver(() => Boolean, { description: 'Whether this is the session of the request.' })
  current(@Root() session: SessionType, @Ctx() { viewer }: Context): boolean {
    return session.id === viewer?.session.id;
  }
}
