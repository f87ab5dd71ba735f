/** GraphQL types of sessions and their tokens, and the results of their operations. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, Int, ObjectType } from 'type-graphql';
import { authenticators } from '../domain/authenticators/registry.js';
import type { AuthenticationMethod } from '../domain/sessions/sessions.js';
import { InvalidCredentialsErrorType, NotFoundErrorType, TimeoutErrorType } from './error.type.js';
import { createEnum } from './server/create-enum.js';
import { type ReadRule, sessionUserAndStaff } from './server/read-rules.js';
import { resultUnion } from './server/typed-errors.js';
import { StepUpRequiredErrorType } from './step-up.type.js';

// Invariant: each method but the password is the method of an authenticator.
const oneTimePasswordMethods = Object.fromEntries(
  Object.values(authenticators).map(({ method }) => [method.name, method.description]),
) as Record<Exclude<AuthenticationMethod, 'PASSWORD'>, string>;

const AuthenticationMethodEnum = createEnum<AuthenticationMethod>(
  'AuthenticationMethod',
  'Authentication method of a session.',
  {
    PASSWORD: 'Password, entered at sign-in or chosen at sign-up.',
    ...oneTimePasswordMethods,
  },
);

@ObjectType('Session', { description: 'A session of a user on one device or program.' })
export class SessionType {
  @Field(() => ID, { simple: true, description: 'Session ID, also the claim `sid` of its access tokens.' })
  id!: string;

  @Field(() => GraphQLDateTime, { simple: true, description: 'Time of the sign-in.' })
  createdAt!: Date;

  @Field(() => GraphQLDateTime, { simple: true, description: 'Time of the last use.' })
  lastUsedAt!: Date;

  @Field(() => GraphQLDateTime, { simple: true, description: 'Absolute expiry of the session.' })
  expiresAt!: Date;

  @Field(() => String, { nullable: true, simple: true, description: '`User-Agent` header of the sign-in.' })
  userAgent!: string | null;

  @Field(() => String, { nullable: true, simple: true, description: 'Client IP address of the sign-in.' })
  ipAddress!: string | null;

  @Field(() => [AuthenticationMethodEnum], {
    simple: true,
    description: 'Authentication methods used in the session. Empty after a sign-up without a password.',
  })
  authenticationMethods!: AuthenticationMethod[];

  /** Not a GraphQL field: the read rules compare it with the caller. */
  userId!: string;
}

type SessionField = Exclude<keyof SessionType, 'userId'> | 'current';

/** The read rule of each field. */
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
  description: 'Tokens of a session. Keep the access token in memory and the refresh token in secure storage.',
  simpleResolvers: true,
})
export class SessionTokensType {
  @Field(() => SessionType, { description: 'Session of the tokens.' })
  session!: SessionType;

  @Field(() => String, {
    description: 'Signed JWT for `Authorization: Bearer`. Verify it with the keys of `/.well-known/jwks.json`.',
  })
  accessToken!: string;

  @Field(() => GraphQLDateTime, { description: 'Expiry of the access token.' })
  accessTokenExpiresAt!: Date;

  @Field(() => String, {
    nullable: true,
    description: 'Opaque, single-use refresh token. Null if an HttpOnly cookie carries it.',
  })
  refreshToken!: string | null;

  @Field(() => GraphQLDateTime, {
    description: 'Expiry of the refresh token, if it is not used before.',
  })
  refreshTokenExpiresAt!: Date;
}

@ObjectType('SignOutSuccess', { description: 'Result of a sign-out. The tokens are invalid.', simpleResolvers: true })
export class SignOutSuccessType {
  @Field(() => Boolean, { description: 'Whether a session was revoked. False if the tokens had no active session.' })
  signedOut!: boolean;
}

@ObjectType('RevokeSessionSuccess', { description: 'Result of revoking a session.', simpleResolvers: true })
class RevokeSessionSuccessType {
  @Field(() => SessionType, { description: 'Session before the revocation.' })
  session!: SessionType;
}

@ObjectType('RevokeOtherSessionsSuccess', {
  description: "Result of revoking the caller's other sessions.",
  simpleResolvers: true,
})
class RevokeOtherSessionsSuccessType {
  @Field(() => Int, { description: 'Number of revoked sessions.' })
  revokedCount!: number;
}

@ObjectType('RevokeUserSessionsSuccess', {
  description: 'Result of revoking all sessions of a user.',
  simpleResolvers: true,
})
class RevokeUserSessionsSuccessType {
  @Field(() => Int, { description: 'Number of revoked sessions.' })
  revokedCount!: number;
}

export const RevokeSessionResult = resultUnion(
  RevokeSessionSuccessType,
  [NotFoundErrorType, StepUpRequiredErrorType],
  'revokeSession',
);
export const RevokeOtherSessionsResult = resultUnion(
  RevokeOtherSessionsSuccessType,
  [StepUpRequiredErrorType],
  'revokeOtherSessions',
);
export const RevokeUserSessionsResult = resultUnion(
  RevokeUserSessionsSuccessType,
  [NotFoundErrorType, StepUpRequiredErrorType],
  'revokeUserSessions',
);

@ObjectType('ReauthenticateSuccess', { description: 'Result of `reauthenticate`.', simpleResolvers: true })
class ReauthenticateSuccessType {
  @Field(() => SessionType, { description: 'Session with its new authentication time.' })
  session!: SessionType;
}

export const ReauthenticateResult = resultUnion(
  ReauthenticateSuccessType,
  [InvalidCredentialsErrorType, TimeoutErrorType, StepUpRequiredErrorType],
  'reauthenticate',
);
