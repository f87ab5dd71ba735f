/** Every privilege by name, and the role that has it. Names follow Django's convention. */
import type { User } from '../../database/users.queries.js';

/** Current roles of the database. The claim `roles` of access tokens decides nothing here. */
type Roles = Pick<User, 'isStaff' | 'isSuperuser'>;

/** The role that has each privilege. Superusers have every privilege. */
const roleByPermission = {
  'identity.view_user': 'staff',
  'identity.view_session': 'staff',
  'identity.view_security_token': 'staff',
  'identity.change_user_activation': 'staff',
  'identity.change_user': 'superuser',
  'identity.change_user_roles': 'superuser',
  'identity.delete_user': 'superuser',
  'identity.set_user_password': 'superuser',
  'identity.add_superuser': 'superuser',
  'identity.generate_one_time_password': 'superuser',
  'identity.unlock_security_token': 'superuser',
  'identity.revoke_session': 'superuser',
  'identity.view_audit_event': 'superuser',
} as const satisfies Record<string, 'staff' | 'superuser'>;

export type Permission = keyof typeof roleByPermission;

/** @param user undefined if the caller is not signed in */
export function hasPermission(user: Roles | undefined, permission: Permission): boolean {
  if (user === undefined) return false;
  return user.isSuperuser || (user.isStaff && roleByPermission[permission] === 'staff');
}

/** Whether the user has any privilege over other users. */
export function isPrivileged({ isStaff, isSuperuser }: Roles): boolean {
  return isStaff || isSuperuser;
}

/** Whether the actor may act on the target. Only superusers act on staff and superusers. */
export function isWithinReach(actor: Roles, target: Roles): boolean {
  return actor.isSuperuser || !isPrivileged(target);
}

/** Whether the actor may obtain credentials: their own, or those of a user below superuser. */
export function mayObtainCredentials(actor: Pick<User, 'id'>, target: Pick<User, 'id' | 'isSuperuser'>): boolean {
  return actor.id === target.id || !target.isSuperuser;
}
