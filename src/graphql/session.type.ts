/** Sessions and the tokens that stand for them. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, Int, ObjectType } from 'type-graphql';
import { authenticators } from '../domain/authenticators/registry.js';
import type { AuthenticationMethod } from '../domain/sessions/sessions.js';
import { NotFoundErrorType } from './error.type.js';
import { createEnum } from './server/create-enum.js';
import { type ReadRule, sessionUserAndStaff } from './server/read-rules.js';
import { resultUnion } from './server/typed-errors.js';

// Invariant: each method but the password is the method of an authenticator.
const oneTimePasswordMethods = Object.fromEntries(
  Object.values(authenticators).map(({ method }) => [method.name, method.description]),
) as Record<Exclude<AuthenticationMethod, 'PASSWORD'>, string>;

const AuthenticationMethodEnum = createEnum<AuthenticationMethod>(
  'AuthenticationMethod',
  'How somebody proved who they are.',
  {
    PASSWORD: 'By password, or by choosing one at sign-up.',
    ...oneTimePasswordMethods,
  },
);

@ObjectType('Session', { description: 'A device or program on which a user is signed in.' })
export class SessionType {
  @Field(() => ID, { simple: true, description: 'Also the claim `sid` of its access tokens.' })
  id!: string;

  @Field(() => GraphQLDateTime, { simple: true, description: 'When it was opened.' })
  createdAt!: Date;

  @Field(() => GraphQLDateTime, { simple: true, description: 'When it was last used.' })
  lastUsedAt!: Date;

  @Field(() => GraphQLDateTime, { simple: true, description: 'When it ends at the latest, used or not.' })
  expiresAt!: Date;

  @Field(() => String, { nullable: true, simple: true, description: 'The `User-Agent` that opened it.' })
  userAgent!: string | null;

  @Field(() => String, { nullable: true, simple: true, description: 'The address that opened it.' })
  ipAddress!: string | null;

  @Field(() => [AuthenticationMethodEnum], {
    simple: true,
    description: 'How its user has proved who they are in it; empty after a sign-up without a password.',
  })
  authenticationMethods!: AuthenticationMethod[];

  /** Not a field: it says who may read the others. */
  userId!: string;
}

type SessionField = Exclude<keyof SessionType, 'userId'> | 'current';

/** Who may read each field. */
export const sessionReadRules: Record<SessionField, ReadRule<SessionType>> = {
  id: sessionUserAndStaff,
  createdAt: sessionUserAndStaff,
  lastUsedAt: sessionUserAndStaff,
  expiresAt: sessionUserAndStaff,
  userAgent: sessionUserAndStaff,
  ipAddress: sessionUserAndStaff,
  authenticationMethods: sessionUserAndStaff,
  current: sessionUserAndStaff,
};

@ObjectType('SessionTokens', {
  description: 'What stands for a session: keep the access token in memory, the refresh token safe.',
  simpleResolvers: true,
})
export class SessionTokensType {
  @Field(() => SessionType, { description: 'The session that they stand for.' })
  session!: SessionType;

  @Field(() => String, {
    description: 'A signed JWT for `Authorization: Bearer`, verifiable with /.well-known/jwks.json.',
  })
  accessToken!: string;

  @Field(() => GraphQLDateTime, { description: 'From then on the access token is not taken.' })
  accessTokenExpiresAt!: Date;

  @Field(() => String, {
    nullable: true,
    description: 'Opaque, single use, rotates; null when it travels in an HttpOnly cookie.',
  })
  refreshToken!: string | null;

  @Field(() => GraphQLDateTime, {
    description: 'From then on the refresh token is not taken, unless it is used before.',
  })
  refreshTokenExpiresAt!: Date;
}

@ObjectType('SignOutSuccess', { description: 'Nobody is signed in by these tokens now.', simpleResolvers: true })
export class SignOutSuccessType {
  @Field(() => Boolean, { description: 'False where there was no session to end.' })
  signedOut!: boolean;
}

@ObjectType('RevokeSessionSuccess', { description: 'The session has ended.', simpleResolvers: true })
class RevokeSessionSuccessType {
  @Field(() => SessionType, { description: 'As it was.' })
  session!: SessionType;
}

@ObjectType('RevokeOtherSessionsSuccess', {
  description: 'The caller is signed in here and nowhere else.',
  simpleResolvers: true,
})
export class RevokeOtherSessionsSuccessType {
  @Field(() => Int, { description: 'How many sessions were ended.' })
  revokedCount!: number;
}

@ObjectType('RevokeUserSessionsSuccess', { description: 'The user is signed in nowhere.', simpleResolvers: true })
class RevokeUserSessionsSuccessType {
  @Field(() => Int, { description: 'How many sessions were ended.' })
  revokedCount!: number;
}

export const RevokeSessionResult = resultUnion(RevokeSessionSuccessType, [NotFoundErrorType], 'revokeSession');
export const RevokeUserSessionsResult = resultUnion(
  RevokeUserSessionsSuccessType,
  [NotFoundErrorType],
  'revokeUserSessions',
);
