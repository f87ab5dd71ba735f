/** Security tokens as callers see them: masked, and alike for known and unknown addresses. */
import type { App } from '../../app/app.js';
import { clearFailures } from '../../database/one-time-passwords.queries.js';
import type { SecurityTokenKind } from '../../database/schema.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { authenticators, computeTokenId, getTokenKind } from '../authenticators/registry.js';
import { canSignInWith, ownsSecurityToken, requireViewer } from '../authorization/authority.js';
import { hasPermission } from '../authorization/permissions.js';
import { BadUserInputError, ForbiddenError, NotFoundError } from '../errors.js';
import { emit, transact } from '../events/events.js';
import { parseIdentifier } from '../identifiers.js';
import { limitLookUps, limitUnlocks } from '../rate-limits.js';

export interface SecurityTokenView {
  id: string;
  kind: SecurityTokenKind;
  /** the masked address */
  name: string;
  /** null for callers other than the owner and staff, like the next three fields */
  verified: boolean | null;
  failureCount: number | null;
  retryAt: Date | null;
  expiresAt: Date | null;
}

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
 * @throws {ForbiddenError} for other callers, whatever the id; for the owner without recent
 * authentication
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
  if (!hasPermission(viewer.user, 'identity.unlock_security_token')) {
    if (!ownsSecurityToken(app, actor, tokenId)) throw new ForbiddenError();
    if (!viewer.recentlyAuthenticated) throw new ForbiddenError('Authenticate again first.');
    await limitUnlocks(app, tokenId);
  }
  return { securityToken: await clearAttempts(app, actor, tokenId) };
}

/**
 * Clears the failed attempts of a security token. The caller checks the permission.
 * @param actor null on the command line
 * @throws {NotFoundError} for an unknown address
 */
export async function clearAttempts(app: App, actor: Actor | null, tokenId: string): Promise<SecurityTokenView> {
  return transact(app, actor, async (tx) => {
    await clearFailures(tx, tokenId);
    const [token] = await findSecurityTokens(tx, { id: tokenId });
    if (token === undefined) throw new NotFoundError();
    emit(tx, { type: 'security-token-unlocked', userId: token.userId, securityTokenId: tokenId });
    return toOwnerView(token);
  });
}

/** @throws {BadUserInputError} for an id that the service did not issue */
export function checkSecurityTokenId(app: App, id: string): SecurityTokenKind {
  const kind = getTokenKind(app, id);
  if (kind === undefined) throw new BadUserInputError('The id is not that of a security token.');
  return kind;
}

/** Returns the view for the owner and staff. */
export function toOwnerView(token: SecurityToken): SecurityTokenView {
  const { verifiedAt, failureCount, retryAt, expiresAt } = token;
  return { ...toPublicView(token), verified: verifiedAt !== null, failureCount, retryAt, expiresAt };
}

function canSeeDetails({ viewer }: Actor, token: SecurityToken): boolean {
  if (viewer === null) return false;
  return viewer.user.id === token.userId || hasPermission(viewer.user, 'identity.view_security_token');
}

function toPublicView({
  id,
  kind,
  address,
}: {
  id: string;
  kind: SecurityTokenKind;
  address: string;
}): SecurityTokenView {
  const name = authenticators[kind].mask(address);
  return { id, kind, name, verified: null, failureCount: null, retryAt: null, expiresAt: null };
}
