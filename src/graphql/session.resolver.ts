/** Operations on sessions. */
import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { signOut } from '../domain/sessions.js';
import type { Context } from './context.js';
import { SessionType, SignOutSuccessType } from './session.type.js';

@Resolver(() => SessionType)
export class SessionResolver {
  @Mutation(() => SignOutSuccessType, {
    description:
      'Ends the session of the refresh token or else of the access token, also of one that is spent or has expired.',
  })
  async signOut(
    @Arg('refreshToken', () => String, {
      nullable: true,
      description: 'Of the session to end; absent: the access token tells.',
    })
    refreshToken: string | null,
    @Ctx() { app, accessToken }: Context,
  ): Promise<SignOutSuccessType> {
    return { signedOut: await signOut(app, { refreshToken: refreshToken ?? null, accessToken }) };
  }

  @FieldResolver(() => Boolean, { description: 'True for the session that asks.' })
  current(@Root() session: SessionType, @Ctx() { viewer }: Context): boolean {
    return session.id === viewer?.session.id;
  }
}
