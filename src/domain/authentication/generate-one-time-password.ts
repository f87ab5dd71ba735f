/** Generating a one-time password that a superuser delivers. */
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
 * Makes a one-time password and tells it to the superuser who asks, for delivery by a channel of one's own.
 * @throws {NotFoundError} for an address that nobody has, another superuser's, or one that does not prove its user
 * @throws {ForbiddenError} for anyone else; for one's own without having authenticated lately
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
  // It would make of an old session one that has just proved who is there.
  if (own && !viewer.recentlyAuthenticated) throw new ForbiddenError('Authenticate again first.');
  const { oneTimePassword, expiresAt, live } = await transact(app, actor, async (tx) => {
    const made = await issueOneTimePassword(app, tx, { tokenId, kind, purpose }, token);
    const { userId } = token;
    if (made.live) emit(tx, { type: 'one-time-password-generated', userId, securityTokenId: tokenId, purpose });
    return made;
  });
  if (!live) throw new NotFoundError();
  return { securityToken: toOwnerView({ ...token, expiresAt }), oneTimePassword, expiresAt };
}
