/** Inputs that prove who somebody is. */
import { Field, InputType } from 'type-graphql';

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
