/** Inputs that prove who somebody is. */
import { Field, ID, InputType } from 'type-graphql';

@InputType('AuthenticateInput', {
  description:
    'Either `identifier`, whose kind is inferred, or any of username, email and phone, which must all name the same user. Null is the same as absent.',
})
export class AuthenticateInput {
  @Field(() => String, { nullable: true, description: 'A username, email or phone, told apart by looking at it.' })
  identifier?: string | null;

  @Field(() => String, { nullable: true, description: 'In any case and Unicode form.' })
  username?: string | null;

  @Field(() => String, { nullable: true, description: 'In any case.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'In any format, international or of `IdentityPolicy.defaultRegion`.',
  })
  phone?: string | null;

  @Field(() => String, { description: 'Compared after NFC, with outer spaces kept.' })
  password!: string;
}

@InputType('ChangePasswordInput', { description: 'A new password for oneself.' })
export class ChangePasswordInput {
  @Field(() => String, {
    nullable: true,
    description:
      'May be absent where the caller has authenticated in this session within the last ten minutes by a one-time password.',
  })
  currentPassword?: string | null;

  @Field(() => String, { description: 'By the rules of `IdentityPolicy`.' })
  newPassword!: string;
}

@InputType('ResetPasswordInput', { description: 'A new password, by a one-time password for `PASSWORD_RESET`.' })
export class ResetPasswordInput {
  @Field(() => ID, { description: 'The id of the security token that the one-time password was sent to.' })
  tokenId!: string;

  @Field(() => String, { description: 'As typed: case, spaces and dashes do not count.' })
  oneTimePassword!: string;

  @Field(() => String, { description: 'By the rules of `IdentityPolicy`.' })
  newPassword!: string;
}
