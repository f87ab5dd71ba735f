/** Inputs of the operations on credentials. */
import { Field, ID, InputType } from 'type-graphql';

@InputType('AuthenticateInput', {
  description:
    'Sign-in credentials. Pass `identifier`, or any of `username`, `email` and `phone`. They must all name the same user. Null means absent.',
})
export class AuthenticateInput {
  @Field(() => String, { nullable: true, description: 'Username, email or phone. The format determines the kind.' })
  identifier?: string | null;

  @Field(() => String, { nullable: true, description: 'Username, in any case and Unicode form.' })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'Email address, in any case.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Phone number, in international format or in a format of `IdentityPolicy.defaultRegion`.',
  })
  phone?: string | null;

  @Field(() => String, { description: 'Password. Leading and trailing spaces count. Unicode form does not.' })
  password!: string;
}

@InputType('ChangePasswordInput', { description: 'New password of the caller.' })
export class ChangePasswordInput {
  @Field(() => String, {
    nullable: true,
    description:
      'Current password, as fresh proof. Optional after `reauthenticate`. A user without a password gives fresh proof with a one-time password.',
  })
  currentPassword?: string | null;

  @Field(() => String, { description: 'New password, by the rules of `IdentityPolicy`.' })
  newPassword!: string;
}

@InputType('ResetPasswordInput', { description: 'New password, with a one-time password for `PASSWORD_RESET`.' })
export class ResetPasswordInput {
  @Field(() => ID, { description: 'ID of the security token that received the one-time password.' })
  tokenId!: string;

  @Field(() => String, { description: 'One-time password. Case, spaces and dashes are ignored.' })
  oneTimePassword!: string;

  @Field(() => String, { description: 'New password, by the rules of `IdentityPolicy`.' })
  newPassword!: string;
}
