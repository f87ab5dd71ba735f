/** Operations on sessions. */
import { Arg, Ctx, Field, FieldResolver, ID, Mutation, ObjectType, Resolver, Root } from 'type-graphql';
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
  RevokeOtherSessionsSuccessType,
  RevokeSessionResult,
  RevokeUserSessionsResult,
  SessionTokensType,
  SessionType,
  SignOutSuccessType,
} from './session.type.js';
import { UserType } from './user.type.js';

@ObjectType('RefreshSessionSuccess', { description: 'The session goes on with new tokens.', simpleResolvers: true })
class RefreshSessionSuccessType {
  @Field(() => UserType, { description: 'Whose session it is.' })
  user!: UserType;

  @Field(() => SessionTokensType, { description: 'To be used from now on; the refresh token that was given is spent.' })
  tokens!: SessionTokensType;
}

const RefreshSessionResult = resultUnion(RefreshSessionSuccessType, [InvalidSessionErrorType], 'refreshSession');

@Resolver(() => SessionType)
export class SessionResolver {
  @Mutation(() => RefreshSessionResult, {
    description:
      'Gives new tokens for a refresh token, which is spent by that. A spent one used again ends the session, except the last one within 10 s: it gives the same answer, in case the first was lost.',
  })
  async refreshSession(
    @Arg('refreshToken', () => String, { nullable: true, description: 'Absent: the cookie tells.' })
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
      'Ends the session of the refresh token, the cookie or the access token, also of one that is spent or has expired.',
  })
  async signOut(
    @Arg('refreshToken', () => String, {
      nullable: true,
      description: 'Of the session to end; absent: the cookie tells, or else the access token.',
    })
    refreshToken: string | null,
    @Ctx() context: Context,
  ): Promise<SignOutSuccessType> {
    const { app, accessToken, cookie } = context;
    // Who names a session means that one alone.
    if (refreshToken != null) return { signedOut: await signOut(app, context, { refreshToken, accessToken: null }) };
    const signedOut = await signOut(app, context, { refreshToken: cookie.read(), accessToken });
    cookie.clear();
    return { signedOut };
  }

  @Mutation(() => RevokeSessionResult, {
    description: "Ends one of the caller's sessions; for superusers, anybody's. It is dead at once.",
  })
  async revokeSession(
    @Arg('id', () => ID, { description: 'Of the session.' }) id: string,
    @Ctx() context: Context,
  ): Promise<typeof RevokeSessionResult> {
    return revokeSession(context.app, context, id);
  }

  @Mutation(() => RevokeOtherSessionsSuccessType, {
    description: "Ends all of the caller's sessions but the one that asks.",
  })
  async revokeOtherSessions(@Ctx() context: Context): Promise<RevokeOtherSessionsSuccessType> {
    return revokeOtherSessions(context.app, context);
  }

  @Mutation(() => RevokeUserSessionsResult, { description: 'Ends every session of a user. Superusers only.' })
  async revokeUserSessions(
    @Arg('id', () => ID, { description: 'Of the user.' }) id: string,
    @Ctx() context: Context,
  ): Promise<typeof RevokeUserSessionsResult> {
    return revokeUserSessions(context.app, context, id);
  }

  @FieldResolver(() => Boolean, { description: 'True for the session that asks.' })
  current(@Root() session: SessionType, @Ctx() { viewer }: Context): boolean {
    return session.id === viewer?.session.id;
  }
}
