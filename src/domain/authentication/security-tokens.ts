/** Security tokens as people see them: found by identifier, obscured, and alike whether anybody has the address or not. */
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
  /** the obscured address */
  name: string;
  /** these four are null to anyone but the owner and staff */
  verified: boolean | null;
  failureCount: number | null;
  retryAt: Date | null;
  expiresAt: Date | null;
}

/**
 * The ways to prove the user of an identifier: by address that address alone, whoever has it or nobody; by username all of its user's.
 * @throws {TimeoutError} over the look-ups of this client
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
  // From what was typed, not from what is stored: the stored form would tell that there is one.
  const concealed = toPublicView({ id, kind, address: value });
  return [
    token !== undefined && canSeeDetails(actor, token) ? { ...toOwnerView(token), name: concealed.name } : concealed,
  ];
}

/** The tokens of a user for whoever sees the user. */
export async function listSecurityTokens(app: App, actor: Actor, userId: string): Promise<SecurityTokenView[]> {
  const tokens = await findSecurityTokens(app.db, { userId });
  return tokens.map((token) => (canSeeDetails(actor, token) ? toOwnerView(token) : toPublicView(token)));
}

/**
 * Frees a security token from its timeout: for its owner, recently authenticated, or a superuser.
 * @throws {ForbiddenError} for anyone else, alike for every id; for the owner who has not authenticated lately
 * @throws {NotFoundError} for an address that nobody has
 * @throws {TimeoutError} for the owner, from the fourth time in a day on
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
 * Frees a security token for whoever has the right to, which is not asked here.
 * @param actor null on the command line
 * @throws {NotFoundError} for an address that nobody has
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

/** @throws {BadUserInputError} for an id that was never given out; nothing is stored for it */
export function checkSecurityTokenId(app: App, id: string): SecurityTokenKind {
  const kind = getTokenKind(app, id);
  if (kind === undefined) throw new BadUserInputError('This is not the id of a security token.');
  return kind;
}

/** With what only the owner and staff see. */
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
