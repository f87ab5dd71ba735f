import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  hasPermission,
  isWithinReach,
  mayObtainCredentials,
  type Permission,
} from '../../../src/domain/authorization/permissions.js';
import { root } from '../../support/root.js';
import { modules } from '../../support/source-imports.js';

const ordinary = { id: 'ordinary', isStaff: false, isSuperuser: false };
const staff = { id: 'staff', isStaff: true, isSuperuser: false };
const superuser = { id: 'superuser', isStaff: true, isSuperuser: true };
const superuserOnly = { id: 'superuserOnly', isStaff: false, isSuperuser: true };
const users = [ordinary, staff, superuser, superuserOnly];

/** The role with each permission. The type requires every permission. */
const expected: Record<Permission, 'staff' | 'superusers alone'> = {
  'identity.view_user': 'staff',
  'identity.view_session': 'staff',
  'identity.view_security_token': 'staff',
  'identity.change_user_activation': 'staff',
  'identity.change_user': 'superusers alone',
  'identity.change_user_roles': 'superusers alone',
  'identity.delete_user': 'superusers alone',
  'identity.set_user_password': 'superusers alone',
  'identity.add_superuser': 'superusers alone',
  'identity.generate_one_time_password': 'superusers alone',
  'identity.unlock_security_token': 'superusers alone',
  'identity.revoke_session': 'superusers alone',
  'identity.view_audit_event': 'superusers alone',
};
const permissions = Object.keys(expected) as Permission[];

describe('permissions', () => {
  for (const permission of permissions)
    test(`${permission} belongs to ${expected[permission]}`, () => {
      assert.equal(hasPermission(undefined, permission), false);
      assert.deepEqual(
        users.filter((user) => hasPermission(user, permission)).map(({ id }) => id),
        [...(expected[permission] === 'staff' ? ['staff'] : []), 'superuser', 'superuserOnly'],
      );
    });

  test('have names in the format of Django', () => {
    for (const permission of permissions)
      assert.match(permission, /^identity\.(view|add|change|delete|set|generate|unlock|revoke)(_[a-z]+)+$/);
  });

  test('are all checked somewhere', () => {
    const sources = modules
      .filter((module) => module !== 'domain/authorization/permissions.ts')
      .map((module) => readFileSync(join(root, 'src', module), 'utf8'))
      .join('\n');
    assert.deepEqual(
      permissions.filter((permission) => !sources.includes(`'${permission}'`)),
      [],
    );
  });
});

test('superusers may act on all users, staff on users without privileges', () => {
  for (const target of users)
    for (const actor of [staff, superuser, superuserOnly])
      assert.equal(isWithinReach(actor, target), actor.isSuperuser || target === ordinary, `${actor.id} ${target.id}`);
});

test('only the superuser obtains credentials of that superuser', () => {
  for (const actor of users)
    for (const target of users) {
      const allowed = actor === target || target === ordinary || target === staff;
      assert.equal(mayObtainCredentials(actor, target), allowed, `${actor.id} ${target.id}`);
    }
});
