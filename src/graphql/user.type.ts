/** Users, and what the operations that make them answer. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { TimeoutErrorType, ValidationErrorType } from './error.type.js';
import { resultUnion } from './refusals.js';
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
