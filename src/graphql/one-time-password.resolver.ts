/** Operations on security tokens and their one-time passwords. */
import { Arg, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { checkOneTimePassword } from '../domain/authentication/check-one-time-password.js';
import { generateOneTimePassword } from '../domain/authentication/generate-one-time-password.js';
import type { OneTimePasswordPurpose } from '../domain/authentication/one-time-password.js';
import { lookUpSecurityTokens, unlockSecurityToken } from '../domain/authentication/security-tokens.js';
import { sendOneTimePassword } from '../domain/authentication/send-one-time-password.js';
import {
  CheckOneTimePasswordResult,
  GenerateOneTimePasswordResult,
  OneTimePasswordPurposeEnum,
  SendOneTimePasswordResult,
  UnlockSecurityTokenResult,
} from './one-time-password.type.js';
import { SecurityTokenType } from './security-token.type.js';
import { adoptSession, type Context } from './server/context.js';

const TokenId = () => Arg('tokenId', () => ID, { description: 'ID of the security token.' });
const Purpose = () =>
  Arg('purpose', () => OneTimePasswordPurposeEnum, {
    defaultValue: 'AUTHENTICATION',
    description: 'Purpose of the one-time password.',
  });

@Resolver()
export class OneTimePasswordResolver {
  @Query(() => [SecurityTokenType], {
    description:
      'Where a one-time password can be sent. An email or phone returns its token, even if no account has it. A username returns all tokens of its user, or none if it is unknown.',
  })
  async securityTokens(
    @Arg('identifier', () => String, { description: 'Username, email or phone. The format determines the kind.' })
    identifier: string,
    @Ctx() context: Context,
  ): Promise<SecurityTokenType[]> {
    return lookUpSecurityTokens(context.app, context, identifier);
  }

  @Mutation(() => GenerateOneTimePasswordResult, {
    description:
      'Generates a one-time password for delivery outside this service. Superusers only, and not for other superusers.',
  })
  async generateOneTimePassword(
    @TokenId() tokenId: string,
    @Purpose() purpose: OneTimePasswordPurpose,
    @Ctx() context: Context,
  ): Promise<typeof GenerateOneTimePasswordResult> {
    return generateOneTimePassword(context.app, context, tokenId, purpose);
  }

  @Mutation(() => SendOneTimePasswordResult, {
    description:
      'Sends a one-time password to the address of the token. It replaces the previous one and keeps the failure count.',
  })
  async sendOneTimePassword(
    @TokenId() tokenId: string,
    @Purpose() purpose: OneTimePasswordPurpose,
    @Ctx() context: Context,
  ): Promise<typeof SendOneTimePasswordResult> {
    return sendOneTimePassword(context.app, context, tokenId, purpose);
  }

  @Mutation(() => CheckOneTimePasswordResult, {
    description:
      'Checks a one-time password and uses it up. Verifies the address, and signs in a client that is not signed in. Consecutive failures delay the next check by 1, 2, 4 … seconds.',
  })
  async checkOneTimePassword(
    @TokenId() tokenId: string,
    @Arg('oneTimePassword', () => String, { description: 'One-time password. Case, spaces and dashes are ignored.' })
    oneTimePassword: string,
    @Purpose() purpose: OneTimePasswordPurpose,
    @Ctx() context: Context,
  ): Promise<typeof CheckOneTimePasswordResult> {
    return adoptSession(
      context,
      await checkOneTimePassword(context.app, context, { tokenId, oneTimePassword, purpose }),
    );
  }

  @Mutation(() => UnlockSecurityTokenResult, {
    description:
      'Clears the failed attempts of a security token. The owner needs a recent authentication and may call it three times a day. Superusers may always call it.',
  })
  async unlockSecurityToken(
    @TokenId() tokenId: string,
    @Ctx() context: Context,
  ): Promise<typeof UnlockSecurityTokenResult> {
    return unlockSecurityToken(context.app, context, tokenId);
  }
}
