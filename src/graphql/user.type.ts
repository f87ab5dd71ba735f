/** Users, and what the operations that make them answer. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { PageInfoType } from './connection.type.js';
import { InvalidCredentialsErrorType, NotFoundErrorType, TimeoutErrorType, ValidationErrorType } from './error.type.js';
import { type ReadRule, userAndStaff } from './server/read-rules.js';
import { resultUnion } from './server/typed-errors.js';
import { SessionTokensType } from './session.type.js';

@ObjectType('User', { description: 'A person with an account.' })
export class UserType {
  @Field(() => ID, { simple: true, description: 'Never changes. Also the claim `sub` of access tokens.' })
  id!: string;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'As typed, after NFKC; unique without regard to case.',
  })
  username!: string | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'The local part as typed, the domain in lower-case ASCII; unique without regard to case.',
  })
  email!: string | null;

  @Field(() => String, { nullable: true, simple: true, description: 'E.164, like +12025550123.' })
  phone!: string | null;

  @Field(() => Boolean, {
    nullable: true,
    simple: true,
    description: 'Whether its owner has proved to read mail sent there; null when the user has no email.',
  })
  emailVerified!: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    simple: true,
    description: 'Whether its owner has proved to read messages sent there; null when the user has no phone.',
  })
  phoneVerified!: boolean | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'An address that will replace the verified one once it is verified itself.',
  })
  pendingEmail!: string | null;

  @Field(() => String, {
    nullable: true,
    simple: true,
    description: 'A number that will replace the verified one once it is verified itself.',
  })
  pendingPhone!: string | null;

  @Field(() => Boolean, { simple: true, description: 'False for an account that is deactivated: it cannot sign in.' })
  isActive!: boolean;

  @Field(() => Boolean, { simple: true, description: 'May read users, and activate and deactivate ordinary ones.' })
  isStaff!: boolean;

  @Field(() => Boolean, {
    simple: true,
    description: "May do everything but use another superuser's one-time passwords.",
  })
  isSuperuser!: boolean;

  @Field(() => GraphQLDateTime, { simple: true, description: 'When the account was made.' })
  dateJoined!: Date;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    simple: true,
    description: 'When the user last signed in; null before the first time.',
  })
  lastLogin!: Date | null;

  /** Not a field: nobody is shown the hash. */
  passwordHash!: string | null;
}

type UserField = Exclude<keyof UserType, 'passwordHash'> | 'hasUsablePassword' | 'securityTokens' | 'sessions';

/** Who may read each field. */
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

@ObjectType('CreateUserSuccess', { description: 'The account exists.', simpleResolvers: true })
class CreateUserSuccessType {
  @Field(() => UserType, { description: 'The new account.' })
  user!: UserType;

  @Field(() => SessionTokensType, {
    nullable: true,
    description: "Null where a signed-in caller creates somebody else's account.",
  })
  tokens!: SessionTokensType | null;
}

@ObjectType('CreateSuperuserSuccess', { description: 'The superuser exists.', simpleResolvers: true })
class CreateSuperuserSuccessType {
  @Field(() => UserType, { description: 'The new account.' })
  user!: UserType;
}

export const CreateUserResult = resultUnion(
  CreateUserSuccessType,
  [ValidationErrorType, TimeoutErrorType],
  'createUser',
);
export const CreateSuperuserResult = resultUnion(CreateSuperuserSuccessType, [ValidationErrorType], 'createSuperuser');

@ObjectType('UpdateUserSuccess', { description: 'The account is changed.', simpleResolvers: true })
class UpdateUserSuccessType {
  @Field(() => UserType, { description: 'As it is now.' })
  user!: UserType;
}

@ObjectType('DeleteUserSuccess', { description: 'The account is gone.', simpleResolvers: true })
class DeleteUserSuccessType {
  @Field(() => ID, { description: 'Of the user who is no more.' })
  id!: string;
}

export const UpdateUserResult = resultUnion(
  UpdateUserSuccessType,
  [ValidationErrorType, InvalidCredentialsErrorType, TimeoutErrorType, NotFoundErrorType],
  'updateUser',
);
export const DeleteUserResult = resultUnion(
  DeleteUserSuccessType,
  [ValidationErrorType, InvalidCredentialsErrorType, TimeoutErrorType, NotFoundErrorType],
  'deleteUser',
);

@ObjectType('UserEdge', { description: 'A user in a list.', simpleResolvers: true })
class UserEdgeType {
  @Field(() => String, { description: 'Opaque: the place of this user in the list.' })
  cursor!: string;

  @Field(() => UserType, { description: 'The user.' })
  node!: UserType;
}

@ObjectType('UserConnection', {
  description: 'A page of users. @see https://relay.dev/graphql/connections.htm',
  simpleResolvers: true,
})
export class UserConnectionType {
  @Field(() => [UserEdgeType], { description: 'The users with their cursors.' })
  edges!: UserEdgeType[];

  @Field(() => [UserType], { description: 'The users alone.' })
  nodes!: UserType[];

  @Field(() => PageInfoType, { description: 'Where the page lies.' })
  pageInfo!: PageInfoType;
}
