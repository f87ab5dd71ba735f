/** Changes identifiers. A verified address stays until the new one is verified. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import {
  deleteSecurityTokens,
  insertSecurityTokens,
  updateTokenAddress,
} from '../../database/security-tokens.queries.js';
import { addressColumns, type User, updateUserRow } from '../../database/users.queries.js';
import { authenticators, computeTokenId } from '../authenticators/registry.js';
import { identifierRequired, ValidationError } from '../errors.js';
import { type AddressKind, comparisonKey, type Identifier } from '../identifiers.js';

/** null removes the identifier */
export type IdentifierChanges = Map<Identifier['kind'], Identifier | null>;

/** @throws {ValidationError} `IDENTIFIER_REQUIRED` if no identifier would remain */
export async function applyIdentifiers(app: App, tx: Database, user: User, changes: IdentifierChanges): Promise<void> {
  const columns: Partial<User> = {};
  let addressChanged = false;
  for (const [kind, identifier] of changes) {
    if (kind === 'username') {
      Object.assign(columns, { username: identifier?.value ?? null, usernameKey: identifier?.key ?? null });
      continue;
    }
    const change = await changeAddress(app, tx, user, { kind, address: identifier });
    Object.assign(columns, change.columns);
    addressChanged ||= change.changed;
  }
  const after = { ...user, ...columns };
  if (after.username === null && after.email === null && after.phone === null)
    throw new ValidationError([identifierRequired()]);
  await updateUserRow(tx, user.id, columns);
  if (addressChanged) await voidOneTimePasswords(tx, user.id);
}

interface AddressChange {
  /** columns to write to the user */
  columns: Partial<User>;
  /** whether the current or pending address changed */
  changed: boolean;
}

/** Changes the tokens of an address; null removes them. */
async function changeAddress(
  app: App,
  tx: Database,
  user: User,
  { kind, address }: { kind: AddressKind; address: Identifier | null },
): Promise<AddressChange> {
  const { address: current, pending, verified } = authenticators[kind].getAddresses(user);
  if (address === null) {
    await deleteSecurityTokens(tx, { userId: user.id, kind });
    return { columns: addressColumns(kind, null), changed: current !== null };
  }
  const isSame = (other: string | null) => other !== null && comparisonKey(other) === address.key;
  const id = computeTokenId(app, { kind, key: address.key });
  if (isSame(pending)) {
    await updateTokenAddress(tx, id, address.value);
    return { columns: {}, changed: false };
  }
  await deleteSecurityTokens(tx, { userId: user.id, kind, pending: true });
  if (isSame(current)) {
    // Another spelling of the same mailbox needs no verification, and cancels the pending address.
    await updateTokenAddress(tx, id, address.value);
    return { columns: addressColumns(kind, address), changed: pending !== null };
  }
  const isPending = verified === true;
  if (!isPending) await deleteSecurityTokens(tx, { userId: user.id, kind });
  const token = { id, userId: user.id, kind, address: address.value, givenAtSignUp: false, pending: isPending };
  await insertSecurityTokens(tx, [token]);
  return { columns: isPending ? {} : addressColumns(kind, address), changed: true };
}
