/** Inputs of the operations on users. */
import { Field, InputType } from 'type-graphql';

@InputType('CreateUserInput', {
  description:
    'A new account. Pass at least one of `username`, `email` and `phone`. Without a password, the user signs in by one-time password. Null means absent.',
})
export class CreateUserInput {
  @Field(() => String, {
    nullable: true,
    description: 'Username of 1–150 letters, digits and `.`, `-`, `_`, starting with a letter, after NFKC.',
  })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'Email address.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Phone number, in international format or in a format of `IdentityPolicy.defaultRegion`.',
  })
  phone?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Password, by the rules of `IdentityPolicy`. Omit it for sign-in by one-time password only.',
  })
  password?: string | null;
}

@InputType('CreateSuperuserInput', { description: 'A new superuser. The rules are those of `CreateUserInput`.' })
export class CreateSuperuserInput {
  @Field(() => String, { nullable: true, description: 'Username, as in `CreateUserInput`.' })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'Email address, as in `CreateUserInput`.' })
  email?: string | null;

  @Field(() => String, { nullable: true, description: 'Phone number, as in `CreateUserInput`.' })
  phone?: string | null;

  @Field(() => String, { nullable: true, description: 'Password, as in `CreateUserInput`.' })
  password?: string | null;
}

@InputType('UpdateUserInput', {
  description:
    'Changes of a user. An absent field keeps its value, and null removes it. At least one identifier must remain.',
})
export class UpdateUserInput {
  @Field(() => String, { nullable: true, description: 'New username. Takes effect immediately.' })
  username?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'New email address. It is `User.pendingEmail` until it is verified. Null removes the address.',
  })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'New phone number. It is `User.pendingPhone` until it is verified. Null removes the number.',
  })
  phone?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether the user may sign in. Staff only, and not for the caller. False revokes the user's sessions. Null is `INVALID`.",
  })
  isActive?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether the user has the staff role. Superusers only, and not for the caller. Null is `INVALID`.',
  })
  isStaff?: boolean | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether the user has the superuser role. Superusers only, and not for the caller. Null is `INVALID`.',
  })
  isSuperuser?: boolean | null;
}
