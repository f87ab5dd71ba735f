/** Access checks. The order is always: authentication, role, object. */
import type { App } from '../../app/app.js';
import type { SecurityTokenRow } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import type { Actor, Viewer } from '../actor.js';
import { findOwnAddress } from '../authenticators/registry.js';
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

/**
 * Whether the token belongs to the caller's current or pending address. Does not read the database.
 */
export function ownsSecurityToken(app: App, { viewer }: Actor, tokenId: string): boolean {
  return viewer !== null && findOwnAddress(app, viewer.user, tokenId) !== undefined;
}

export function hasVerifiedAddress({ emailVerified, phoneVerified }: User): boolean {
  return emailVerified === true || phoneVerified === true;
}

/** Whether the account has an owner. Staff and superusers always own theirs. */
export function isOwned(user: Pick<User, 'firstVerifiedAt' | 'isStaff' | 'isSuperuser'>): boolean {
  return user.firstVerifiedAt !== null || isPrivileged(user);
}

/**
 * Whether a one-time password to this address signs its user in.
 * True for verified addresses, and for reserved ones: users without a password could not return
 * otherwise.
 */
export function canSignInWith(token: SecurityTokenRow, user: User): boolean {
  return user.isActive && (token.verifiedAt !== null || isReserved(token, user));
}

/** Whether the unverified address is `TAKEN` for others: given at sign-up, and not owned yet. */
function isReserved({ givenAtSignUp, pending }: SecurityTokenRow, user: User): boolean {
  return givenAtSignUp && !pending && !isOwned(user);
}
