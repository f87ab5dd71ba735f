/** Access checks. The order is always: authentication, role, object. */
import type { App } from '../../app/app.js';
import type { SecurityTokenRow } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import type { Actor, Viewer } from '../actor.js';
import { hasToken } from '../authenticators/registry.js';
import { ForbiddenError, UnauthenticatedError } from '../errors.js';
import { hasPermission, isPrivileged, type Permission } from './permissions.js';

/** @throws {UnauthenticatedError} */
export function requireViewer({ viewer }: Actor): Viewer {
  if (viewer === null) throw new UnauthenticatedError();
  return viewer;
}

/**
 * @throws {UnauthenticatedError}
 * @throws {ForbiddenError}
 */
export function requirePermission(actor: Actor, permission: Permission): Viewer {
  const viewer = requireViewer(actor);
  if (!hasPermission(viewer.user, permission)) throw new ForbiddenError();
  return viewer;
}

/** Whether the text is a UUID. No other id can exist. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Whether the token belongs to an address of the caller. Does not read the database. */
export function ownsSecurityToken(app: App, { viewer }: Actor, tokenId: string): boolean {
  return viewer !== null && hasToken(app, viewer.user, tokenId);
}

/**
 * Whether a one-time password to this address signs its user in.
 * True for verified addresses. Until the account has one, also true for the address given at
 * sign-up: users without a password could not return otherwise. False for staff and superusers.
 */
export function canSignInWith(token: SecurityTokenRow, user: User): boolean {
  if (!user.isActive) return false;
  if (token.verifiedAt !== null) return true;
  return token.givenAtSignUp && user.firstVerifiedAt === null && !isPrivileged(user);
}
