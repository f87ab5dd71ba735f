/** The input rules that a front end needs for its forms. */
import { Ctx, Field, Int, ObjectType, Query, Resolver } from 'type-graphql';
import type { Context } from './server/context.js';

@ObjectType('OneTimePasswordFormat', {
  description: 'Format and lifetime of one-time passwords.',
  simpleResolvers: true,
})
class OneTimePasswordFormatType {
  @Field(() => Int, { description: 'Number of characters.' })
  length!: number;

  @Field(() => String, { description: 'Characters that a one-time password can contain.' })
  alphabet!: string;

  @Field(() => Int, { description: 'Lifetime in seconds.' })
  lifetimeSeconds!: number;
}

@ObjectType('IdentityPolicy', {
  description: 'Input rules of this service, for forms.',
  simpleResolvers: true,
})
class IdentityPolicyType {
  @Field(() => Int, { description: 'Minimum password length in Unicode code points.' })
  passwordMinLength!: number;

  @Field(() => Int, { description: 'Maximum password length in Unicode code points.' })
  passwordMaxLength!: number;

  @Field(() => OneTimePasswordFormatType, { description: 'Format of one-time passwords sent by email.' })
  emailOneTimePassword!: OneTimePasswordFormatType;

  @Field(() => OneTimePasswordFormatType, { description: 'Format of one-time passwords sent by SMS.' })
  phoneOneTimePassword!: OneTimePasswordFormatType;

  @Field(() => Int, { description: 'Minimum seconds between two messages to one security token.' })
  resendIntervalSeconds!: number;

  @Field(() => String, {
    description: 'Region of phone numbers without a country code, as two letters of ISO 3166.',
  })
  defaultRegion!: string;

  @Field(() => [String], { nullable: true, description: 'Calling codes that can receive messages. Null means all.' })
  smsDialCodes!: string[] | null;
}

@Resolver()
export class PolicyResolver {
  @Query(() => IdentityPolicyType, { description: 'Input rules of this service, for forms.' })
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
