/** Recent authentication: for operations that an old session may not do. */
import type { App } from '../../app/app.js';
import { findSecurityTokens } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { toOwnerView } from '../authenticators/views.js';
import { StepUpRequiredError } from '../errors.js';
import { canSignInWith, requireViewer } from './authority.js';

/**
 * Requires an authentication in this session within the last ten minutes. It may have opened the
 * session.
 * @throws {StepUpRequiredError}
 */
export async function requireRecentAuthentication(app: App, actor: Actor): Promise<void> {
  const { user, recentlyAuthenticated } = requireViewer(actor);
  if (recentlyAuthenticated) return;
  const tokens = await findSecurityTokens(app.db, { userId: user.id });
  throw new StepUpRequiredError({
    securityTokens: tokens.filter((token) => canSignInWith(token, user)).map(toOwnerView),
    password: user.passwordHash !== null,
  });
}
