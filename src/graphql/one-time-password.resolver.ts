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
  SecurityTokenType,
  SendOneTimePasswordResult,
  UnlockSecurityTokenResult,
} from './one-time-password.type.js';
import { adoptSession, type Context } from './server/context.js';

const TokenId = () => Arg('tokenId', () => ID, { description: 'The id of the security token.' });
const Purpose = () =>
  Arg('purpose', () => OneTimePasswordPurposeEnum, {
    defaultValue: 'AUTHENTICATION',
    description: 'What it is to be good for.',
  });

@Resolver()
export class OneTimePasswordResolver {
  @Query(() => [SecurityTokenType], {
    description:
      'The ways to prove a user by one-time password, given a username, email or phone. By address: that address, whether anybody has it or not. By username: all of its user, and nothing when unknown.',
  })
  async securityTokens(
    @Arg('identifier', () => String, { description: 'A username, email or phone, told apart by looking at it.' })
    identifier: string,
    @Ctx() context: Context,
  ): Promise<SecurityTokenType[]> {
    return lookUpSecurityTokens(context.app, context, identifier);
  }

  @Mutation(() => GenerateOneTimePasswordResult, {
    description:
      'Makes a one-time password for delivery by a channel of your own. Superusers only, not for other superusers.',
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
      'Sends a one-time password to the address of the token. The next one replaces it; sending never lowers a failure count.',
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
      'Checks a one-time password and spends it: verifies the address, and signs its user in where nobody was signed in. After the n-th failure in a row the next check opens 1, 2, 4 … seconds later.',
  })
  async checkOneTimePassword(
    @TokenId() tokenId: string,
    @Arg('oneTimePassword', () => String, { description: 'As typed: case, spaces and dashes do not count.' })
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
      'Frees a security token from its timeout: for its owner, recently authenticated and three times a day, or a superuser.',
  })
  async unlockSecurityToken(
    @TokenId() tokenId: string,
    @Ctx() context: Context,
  ): Promise<typeof UnlockSecurityTokenResult> {
    return unlockSecurityToken(context.app, context, tokenId);
  }
}
