/** Generates one-time passwords that a superuser delivers. */
import type { App } from '../../app/app.js';
import type { OneTimePasswordPurpose } from '../../database/schema.js';
import { findSecurityTokens } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import type { SecurityTokenView } from '../authenticators/security-token-view.js';
import { toOwnerView } from '../authenticators/views.js';
import { requirePermission } from '../authorization/authority.js';
import { mayObtainCredentials } from '../authorization/permissions.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import { NotFoundError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import { issueOneTimePassword, isUsableFor } from './one-time-password.js';
import { checkSecurityTokenId } from './security-tokens.js';

/**
 * Generates a one-time password and returns it to the superuser, who delivers it.
 * @throws {NotFoundError} unless a user has verified this address, and for another superuser
 * @throws {ForbiddenError} for other callers
 * @throws {StepUpRequiredError} without recent authentication
 */
export async function generateOneTimePassword(
  app: App,
  actor: Actor,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ securityToken: SecurityTokenView; oneTimePassword: string; expiresAt: Date }> {
  const viewer = requirePermission(actor, 'identity.generate_one_time_password');
  const kind = checkSecurityTokenId(app, tokenId);
  await requireRecentAuthentication(app, actor);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  // A code that the service did not send proves no address.
  if (token === undefined || token.verifiedAt === null || !isUsableFor(purpose, token, token.user))
    throw new NotFoundError();
  if (!mayObtainCredentials(viewer.user, token.user)) throw new NotFoundError();
  const { oneTimePassword, expiresAt, live } = await transact(app, actor, async (tx) => {
    const issued = await issueOneTimePassword(app, tx, { tokenId, kind, purpose }, token);
    const { userId } = token;
    if (issued.live) emit(tx, { type: 'one-time-password-generated', userId, securityTokenId: tokenId, purpose });
    return issued;
  });
  if (!live) throw new NotFoundError();
  return { securityToken: toOwnerView({ ...token, expiresAt }), oneTimePassword, expiresAt };
}
