/** Security tokens as callers see them: masked, and alike for known and unknown addresses. */
import type { App } from '../../app/app.js';
import { clearFailures } from '../../database/one-time-passwords.queries.js';
import type { SecurityTokenKind } from '../../database/schema.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { computeTokenId, getTokenKind } from '../authenticators/registry.js';
import type { SecurityTokenView } from '../authenticators/security-token-view.js';
import { toOwnerView, toPublicView } from '../authenticators/views.js';
import { canSignInWith, ownsSecurityToken, requireViewer } from '../authorization/authority.js';
import { hasPermission } from '../authorization/permissions.js';
import { requireRecentAuthentication } from '../authorization/recent-authentication.js';
import { BadUserInputError, ForbiddenError, NotFoundError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import { parseIdentifier } from '../identifiers.js';
import { limitLookUps, limitUnlocks } from '../rate-limits.js';

/**
 * Returns where one-time passwords can be sent. For an address: that address, known or unknown.
 * For a username: the addresses of its user.
 * @throws {TimeoutError} over the look-ups of the client
 */
export async function lookUpSecurityTokens(app: App, actor: Actor, text: string): Promise<SecurityTokenView[]> {
  await limitLookUps(app, actor.client);
  const identifier = parseIdentifier(text, app.config.defaultRegion);
  if (typeof identifier === 'string') return [];
  if (identifier.kind === 'username') {
    const tokens = await findSecurityTokens(app.db, { usernameKey: identifier.key });
    return tokens
      .filter((token) => canSignInWith(token, token.user) || canSeeDetails(actor, token))
      .map((token) => (canSeeDetails(actor, token) ? toOwnerView(token) : toPublicView(token)));
  }
  const { kind, key, value } = identifier;
  const id = computeTokenId(app, { kind, key });
  const [token] = await findSecurityTokens(app.db, { id });
  // Mask the typed form: the stored form would reveal that the address is known.
  const publicView = toPublicView({ id, kind, address: value });
  return [
    token !== undefined && canSeeDetails(actor, token) ? { ...toOwnerView(token), name: publicView.name } : publicView,
  ];
}

/** Returns the tokens of a user. The caller may see the user. */
export async function listSecurityTokens(app: App, actor: Actor, userId: string): Promise<SecurityTokenView[]> {
  const tokens = await findSecurityTokens(app.db, { userId });
  return tokens.map((token) => (canSeeDetails(actor, token) ? toOwnerView(token) : toPublicView(token)));
}

/**
 * Clears the failed attempts of a security token, for its owner or a superuser.
 * @throws {ForbiddenError} for other callers, whatever the id
 * @throws {StepUpRequiredError} without recent authentication
 * @throws {NotFoundError} for an unknown address
 * @throws {TimeoutError} for the owner, from the fourth time a day on
 */
export async function unlockSecurityToken(
  app: App,
  actor: Actor,
  tokenId: string,
): Promise<{ securityToken: SecurityTokenView }> {
  const viewer = requireViewer(actor);
  checkSecurityTokenId(app, tokenId);
  const mayUnlockAny = hasPermission(viewer.user, 'identity.unlock_security_token');
  if (!mayUnlockAny && !ownsSecurityToken(app, actor, tokenId)) throw new ForbiddenError();
  await requireRecentAuthentication(app, actor);
  if (!mayUnlockAny) await limitUnlocks(app, tokenId);
  const own = ownsSecurityToken(app, actor, tokenId);
  return { securityToken: await clearAttempts(app, actor, { id: tokenId, ...(own && { userId: viewer.user.id }) }) };
}

/**
 * Clears the failed attempts of a security token. The caller checks the permission.
 * @param actor null on the command line
 * @param of `userId`: the user who may hold the address pending
 * @throws {NotFoundError} for an unknown address
 */
export async function clearAttempts(
  app: App,
  actor: Actor | null,
  of: { id: string } | { id: string; userId: string },
): Promise<SecurityTokenView> {
  return transact(app, actor, async (tx) => {
    const [before] = await findSecurityTokens(tx, of);
    if (before === undefined) throw new NotFoundError();
    await clearFailures(tx, before.counterId);
    const [token = before] = await findSecurityTokens(tx, of);
    emit(tx, { type: 'security-token-unlocked', userId: token.userId, securityTokenId: token.id });
    return toOwnerView(token);
  });
}

/** @throws {BadUserInputError} for an id that the service did not issue */
export function checkSecurityTokenId(app: App, id: string): SecurityTokenKind {
  const kind = getTokenKind(app, id);
  if (kind === undefined) throw new BadUserInputError('The id is not that of a security token.');
  return kind;
}

function canSeeDetails({ viewer }: Actor, token: SecurityToken): boolean {
  if (viewer === null) return false;
  return viewer.user.id === token.userId || hasPermission(viewer.user, 'identity.view_security_token');
}
