/** The rules that a front end draws its forms by. */
import { Ctx, Field, Int, ObjectType, Query, Resolver } from 'type-graphql';
import type { Context } from './server/context.js';

@ObjectType('OneTimePasswordFormat', {
  description: 'What a one-time password looks like, and how long it lives.',
  simpleResolvers: true,
})
class OneTimePasswordFormatType {
  @Field(() => Int, { description: 'How many characters it has.' })
  length!: number;

  @Field(() => String, { description: 'The characters that it is made of.' })
  alphabet!: string;

  @Field(() => Int, { description: 'Seconds until it expires.' })
  lifetimeSeconds!: number;
}

@ObjectType('IdentityPolicy', {
  description: 'What a front end needs to know to draw its forms.',
  simpleResolvers: true,
})
class IdentityPolicyType {
  @Field(() => Int, { description: 'The least number of code points in a password.' })
  passwordMinLength!: number;

  @Field(() => Int, { description: 'The greatest number of code points in a password.' })
  passwordMaxLength!: number;

  @Field(() => OneTimePasswordFormatType, { description: 'Of the ones sent by email.' })
  emailOneTimePassword!: OneTimePasswordFormatType;

  @Field(() => OneTimePasswordFormatType, { description: 'Of the ones sent by SMS.' })
  phoneOneTimePassword!: OneTimePasswordFormatType;

  @Field(() => Int, { description: 'Seconds between two messages of one security token.' })
  resendIntervalSeconds!: number;

  @Field(() => String, {
    description: 'Two letters, ISO 3166: where a phone number without a country code is taken to be from.',
  })
  defaultRegion!: string;

  @Field(() => [String], { nullable: true, description: 'Calling codes that messages may go to; null: all.' })
  smsDialCodes!: string[] | null;
}

@Resolver()
export class PolicyResolver {
  @Query(() => IdentityPolicyType, { description: 'The rules of this service, for forms.' })
  policy(@Ctx() { app: { config } }: Context): IdentityPolicyType {
    const { ttlSeconds: lifetimeSeconds, email, phone, sendIntervalSeconds } = config.oneTimePassword;
    return {
      passwordMinLength: config.passwordMinLength,
      passwordMaxLength: config.passwordMaxLength,
      emailOneTimePassword: { ...email, lifetimeSeconds },
      phoneOneTimePassword: { ...phone, lifetimeSeconds },
      resendIntervalSeconds: sendIntervalSeconds,
      defaultRegion: config.defaultRegion,
      smsDialCodes: config.smsCallingCodes ?? null,
    };
  }
}
