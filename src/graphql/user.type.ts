/** GraphQL types of users, and the results of their operations. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { PageInfoType } from './connection.type.js';
import {
  InvalidCredentialsErrorType,
  LastCredentialErrorType,
  NotFoundErrorType,
  TimeoutErrorType,
  ValidationErrorType,
} from './error.type.js';
import { type ReadRule, userAndStaff } from './server/read-rules.js';
import { resultUnion } from './server/typed-errors.js';
import { SessionTokensType } from './session.type.js';
import { StepUpRequiredErrorType } from './step-up.type.js';

@ObjectType('User', { description: 'A user account.' })
export class UserType {
  @Field(() => ID, { simple: true, description: 'Permanent user ID, also the claim `sub` of access tokens.' })
  id!: string;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'Username as entered, after NFKC. Unique, ignoring case.',
  })
  username!: string | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description:
      'Email address with its domain in lower-case ASCII. Unique, ignoring case. An unverified one is reserved: who enters a code sent to it outside the session becomes the owner of the account.',
  })
  email!: string | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'Phone number in E.164 format, like +12025550123. Unverified, it is reserved like `email`.',
  })
  phone!: string | null;

  @Field(() => Boolean, {
    nullable: true,
    simple: true,
    description: 'Whether the user has verified the email address. Null without an email address.',
  })
  emailVerified!: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    simple: true,
    description: 'Whether the user has verified the phone number. Null without a phone number.',
  })
  phoneVerified!: boolean | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description:
      'Email address that waits for verification. It reserves nothing. It becomes `email` once it is verified.',
  })
  pendingEmail!: string | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description:
      'Phone number that waits for verification. It reserves nothing. It becomes `phone` once it is verified.',
  })
  pendingPhone!: string | null;

  @Field(() => Boolean, { simple: true, description: 'Whether the user may sign in. False for a deactivated account.' })
  isActive!: boolean;

  @Field(() => Boolean, {
    simple: true,
    description: 'Whether the user may read users, and activate and deactivate ordinary users.',
  })
  isStaff!: boolean;

  @Field(() => Boolean, {
    simple: true,
    description: 'Whether the user may do everything except generate one-time passwords for other superusers.',
  })
  isSuperuser!: boolean;

  @Field(() => GraphQLDateTime, { simple: true, description: 'When the account was created.' })
  dateJoined!: Date;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    simple: true,
    description: 'Time of the last sign-in. Null before the first sign-in.',
  })
  lastLogin!: Date | null;

  /** Not a GraphQL field: the API never returns the hash. */
  passwordHash!: string | null;
}

type UserField = Exclude<keyof UserType, 'passwordHash'> | 'hasUsablePassword' | 'securityTokens' | 'sessions';

/** The read rule of each field. */
export const userReadRules: Record<UserField, ReadRule<UserType>> = {
  id: userAndStaff,
  username: userAndStaff,
  email: userAndStaff,
  phone: userAndStaff,
  emailVerified: userAndStaff,
  phoneVerified: userAndStaff,
  pendingEmail: userAndStaff,
  pendingPhone: userAndStaff,
  isActive: userAndStaff,
  isStaff: userAndStaff,
  isSuperuser: userAndStaff,
  dateJoined: userAndStaff,
  lastLogin: userAndStaff,
  hasUsablePassword: userAndStaff,
  securityTokens: userAndStaff,
  sessions: userAndStaff,
};

@ObjectType('CreateUserSuccess', { description: 'Result of creating an account.', simpleResolvers: true })
class CreateUserSuccessType {
  @Field(() => UserType, { description: 'The new account.' })
  user!: UserType;

  @Field(() => SessionTokensType, {
    nullable: true,
    description: 'Tokens of the first session. Null if a signed-in caller created the account for another user.',
  })
  tokens!: SessionTokensType | null;
}

@ObjectType('CreateSuperuserSuccess', { description: 'Result of creating a superuser.', simpleResolvers: true })
class CreateSuperuserSuccessType {
  @Field(() => UserType, { description: 'The new account.' })
  user!: UserType;
}

export const CreateUserResult = resultUnion(
  CreateUserSuccessType,
  [ValidationErrorType, TimeoutErrorType],
  'createUser',
);
export const CreateSuperuserResult = resultUnion(
  CreateSuperuserSuccessType,
  [ValidationErrorType, StepUpRequiredErrorType],
  'createSuperuser',
);

@ObjectType('UpdateUserSuccess', { description: 'Result of updating a user.', simpleResolvers: true })
class UpdateUserSuccessType {
  @Field(() => UserType, { description: 'Updated user.' })
  user!: UserType;
}

@ObjectType('DeleteUserSuccess', { description: 'Result of deleting a user.', simpleResolvers: true })
class DeleteUserSuccessType {
  @Field(() => ID, { description: 'ID of the deleted user.' })
  id!: string;
}

export const UpdateUserResult = resultUnion(
  UpdateUserSuccessType,
  [
    ValidationErrorType,
    InvalidCredentialsErrorType,
    TimeoutErrorType,
    NotFoundErrorType,
    StepUpRequiredErrorType,
    LastCredentialErrorType,
  ],
  'updateUser',
);
export const DeleteUserResult = resultUnion(
  DeleteUserSuccessType,
  [ValidationErrorType, InvalidCredentialsErrorType, TimeoutErrorType, NotFoundErrorType, StepUpRequiredErrorType],
  'deleteUser',
);

@ObjectType('UserEdge', { description: 'An edge of a list of users.', simpleResolvers: true })
class UserEdgeType {
  @Field(() => String, { description: 'Opaque cursor of this edge.' })
  cursor!: string;

  @Field(() => UserType, { description: 'The user.' })
  node!: UserType;
}

@ObjectType('UserConnection', {
  description: 'A page of users. @see https://relay.dev/graphql/connections.htm',
  simpleResolvers: true,
})
export class UserConnectionType {
  @Field(() => [UserEdgeType], { description: 'Users with their cursors.' })
  edges!: UserEdgeType[];

  @Field(() => [UserType], { description: 'Users without cursors.' })
  nodes!: UserType[];

  @Field(() => PageInfoType, { description: 'Pagination info.' })
  pageInfo!: PageInfoType;
}
