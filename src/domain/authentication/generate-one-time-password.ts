/** Generates one-time passwords that a superuser delivers. */
import type { App } from '../../app/app.js';
import type { OneTimePasswordPurpose } from '../../database/schema.js';
import { findSecurityTokens } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { requirePermission } from '../authorization/authority.js';
import { mayObtainCredentials } from '../authorization/permissions.js';
import { ForbiddenError, NotFoundError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import { issueOneTimePassword, isUsableFor } from './one-time-password.js';
import { checkSecurityTokenId, type SecurityTokenView, toOwnerView } from './security-tokens.js';

/**
 * Generates a one-time password and returns it to the superuser, who delivers it.
 * @throws {NotFoundError} if no user can be signed in by this address, or for another superuser
 * @throws {ForbiddenError} for other callers; for an own address without recent authentication
 */
export async function generateOneTimePassword(
  app: App,
  actor: Actor,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ securityToken: SecurityTokenView; oneTimePassword: string; expiresAt: Date }> {
  const viewer = requirePermission(actor, 'identity.generate_one_time_password');
  const kind = checkSecurityTokenId(app, tokenId);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  if (token === undefined || !isUsableFor(purpose, token, token.user)) throw new NotFoundError();
  const own = token.userId === viewer.user.id;
  if (!mayObtainCredentials(viewer.user, token.user)) throw new NotFoundError();
  // Otherwise an old session could turn itself into a recently authenticated one.
  if (own && !viewer.recentlyAuthenticated) throw new ForbiddenError('Authenticate again first.');
  const { oneTimePassword, expiresAt, live } = await transact(app, actor, async (tx) => {
    const issued = await issueOneTimePassword(app, tx, { tokenId, kind, purpose }, token);
    const { userId } = token;
    if (issued.live) emit(tx, { type: 'one-time-password-generated', userId, securityTokenId: tokenId, purpose });
    return issued;
  });
  if (!live) throw new NotFoundError();
  return { securityToken: toOwnerView({ ...token, expiresAt }), oneTimePassword, expiresAt };
}
