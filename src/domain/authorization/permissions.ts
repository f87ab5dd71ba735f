/** Every privilege by name, and who has it. The names are in Django's manner. */
import type { User } from '../../database/users.queries.js';

/** As the database has them now. The claim `roles` of an access token decides nothing here. */
type Roles = Pick<User, 'isStaff' | 'isSuperuser'>;

/** The role that each privilege is for. Superusers have every privilege. */
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

/** @param user undefined where the caller is not signed in */
export function hasPermission(user: Roles | undefined, permission: Permission): boolean {
  if (user === undefined) return false;
  return user.isSuperuser || (user.isStaff && roleByPermission[permission] === 'staff');
}

/** Whether the user has any privilege over other users. */
export function isPrivileged({ isStaff, isSuperuser }: Roles): boolean {
  return isStaff || isSuperuser;
}

/** Whether privileges of the actor extend to the target. Superusers reach all users, others reach users without privileges. */
export function isWithinReach(actor: Roles, target: Roles): boolean {
  return actor.isSuperuser || !isPrivileged(target);
}

/** Whether the actor may obtain what signs the target in. Nobody else obtains it of a superuser. */
export function mayObtainCredentials(actor: Pick<User, 'id'>, target: Pick<User, 'id' | 'isSuperuser'>): boolean {
  return actor.id === target.id || !target.isSuperuser;
}
