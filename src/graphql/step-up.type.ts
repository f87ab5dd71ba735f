/** GraphQL type of the error that asks a signed-in user to authenticate again. */
import { Field, Int, ObjectType } from 'type-graphql';
import { IdentityErrorType } from './error.type.js';
import { SecurityTokenType } from './security-token.type.js';

@ObjectType('StepUpRequiredError', {
  implements: IdentityErrorType,
  description:
    'The signed-in user must authenticate again in this session: with `reauthenticate`, or with a one-time password. Then repeat the operation.',
  simpleResolvers: true,
})
export class StepUpRequiredErrorType extends IdentityErrorType {
  @Field(() => String, { description: 'Required authentication context class: `aal1`.' })
  acr!: string;

  @Field(() => Int, { description: 'Maximum age of the authentication in seconds.' })
  maxAgeSeconds!: number;

  @Field(() => [SecurityTokenType], {
    description: 'Security tokens whose one-time password is accepted now. Empty if there is none.',
  })
  securityTokens!: readonly SecurityTokenType[];

  @Field(() => Boolean, { description: 'Whether a passkey is accepted. Always false in this version.' })
  passkey!: boolean;

  @Field(() => Boolean, { description: 'Whether the current password is accepted now.' })
  password!: boolean;
}
