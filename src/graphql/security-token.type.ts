/** GraphQL types of security tokens. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, Int, InterfaceType, ObjectType } from 'type-graphql';
import { authenticators } from '../domain/authenticators/registry.js';
import type { SecurityTokenView } from '../domain/authenticators/security-token-view.js';

@InterfaceType('SecurityToken', {
  description: 'An email address or phone number that can receive one-time passwords.',
  resolveType: ({ kind }: SecurityTokenView) => authenticators[kind].type.name,
})
export abstract class SecurityTokenType {
  @Field(() => ID, {
    description:
      'Opaque, stable identifier derived from the address (HMAC). It does not reveal whether an account has the address.',
  })
  id!: string;

  @Field(() => String, { description: 'Masked address, like `ab**@ex*****.***` or `+*********34`.' })
  name!: string;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Whether the owner has verified this address. Null unless the caller is the owner or staff.',
  })
  verified!: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'Maximum number of consecutive failures over all purposes. Null unless the caller is the owner or staff.',
  })
  failureCount!: number | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'Latest retry time over all purposes. Null without failures, or if the caller is neither owner nor staff.',
  })
  retryAt!: Date | null;

  @Field(() => GraphQLDateTime, {
    nullable: true,
    description:
      'Latest expiry of a one-time password over all purposes. Null without a password, and unless the caller is the owner or staff.',
  })
  expiresAt!: Date | null;
}

export const securityTokenTypes = Object.values(authenticators).map(({ type: { name, description } }) => {
  @ObjectType(name, { implements: SecurityTokenType, description, simpleResolvers: true })
  class SecurityTokenOfKindType extends SecurityTokenType {}
  return SecurityTokenOfKindType;
});
