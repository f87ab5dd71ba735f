/** Inputs that describe a user. */
import { Field, InputType } from 'type-graphql';

@InputType('CreateUserInput', {
  description:
    'At least one of username, email and phone. Without a password the account gets an unusable one. Null is the same as absent.',
})
export class CreateUserInput {
  @Field(() => String, {
    nullable: true,
    description: '1–150 letters, numbers and . - _ beginning with a letter, after NFKC.',
  })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'One address.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'One number, international or of `IdentityPolicy.defaultRegion`.',
  })
  phone?: string | null;

  @Field(() => String, { nullable: true, description: 'Absent for an account that signs in by one-time password.' })
  password?: string | null;
}

@InputType('CreateSuperuserInput', { description: 'As `CreateUserInput`.' })
export class CreateSuperuserInput {
  @Field(() => String, { nullable: true, description: 'As in `CreateUserInput`.' })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'As in `CreateUserInput`.' })
  email?: string | null;

  @Field(() => String, { nullable: true, description: 'As in `CreateUserInput`.' })
  phone?: string | null;

  @Field(() => String, { nullable: true, description: 'As in `CreateUserInput`.' })
  password?: string | null;
}

@InputType('UpdateUserInput', {
  description: 'An absent field is left as it is; null removes it; at least one identifier must remain.',
})
export class UpdateUserInput {
  @Field(() => String, { nullable: true, description: 'Replaced at once.' })
  username?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Replaced at once where the present one is not verified; else it is `User.pendingEmail` until it is verified itself.',
  })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Replaced at once where the present one is not verified; else it is `User.pendingPhone` until it is verified itself.',
  })
  phone?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Staff only, and never on oneself. False ends the sessions of the user. Null is `INVALID`.',
  })
  isActive?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: 'Superusers only, and never on oneself. Null is `INVALID`.' })
  isStaff?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: 'Superusers only, and never on oneself. Null is `INVALID`.' })
  isSuperuser?: boolean | null;
}
