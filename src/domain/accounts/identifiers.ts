/** Changes identifiers. A new address stays pending until it is verified. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { deletePendingAddresses, putPendingAddress } from '../../database/pending-addresses.queries.js';
import {
  deleteSecurityToken,
  moveLapsedAddresses,
  updateTokenAddress,
} from '../../database/security-tokens.queries.js';
import { addressColumns, getUser, type User, updateUserRow } from '../../database/users.queries.js';
import { authenticators, computeTokenId, getAddressKeys } from '../authenticators/registry.js';
import { identifierRequired, LastCredentialError, ValidationError } from '../errors.js';
import type { AddressKind, Identifier } from '../identifiers.js';
import { hasIdentifier } from '../ownership/verification.js';
import { throwIfTaken } from './claim-identifiers.js';

/** null removes the identifier */
export type IdentifierChanges = Map<Identifier['kind'], Identifier | null>;

/**
 * Writes the changes. The caller has locked the user.
 * @returns the user after the changes; token ids of addresses that became pending
 * @throws {ValidationError} `IDENTIFIER_REQUIRED` if no identifier would remain; `TAKEN` for an
 * address of another user
 * @throws {LastCredentialError} if the last verified address would go, and no password could sign in
 */
export async function applyIdentifiers(
  app: App,
  tx: Database,
  before: User,
  changes: IdentifierChanges,
): Promise<{ user: User; pendingTokenIds: string[] }> {
  const pendingTokenIds: string[] = [];
  for (const [kind, identifier] of changes) {
    if (kind === 'username') {
      const columns = { username: identifier?.value ?? null, usernameKey: identifier?.key ?? null };
      await updateUserRow(tx, before.id, columns);
    } else if (identifier === null) {
      await deletePendingAddresses(tx, before.id, kind);
      await deleteSecurityToken(tx, before.id, kind);
      await updateUserRow(tx, before.id, addressColumns(kind, null));
    } else pendingTokenIds.push(...(await setAddress(app, tx, before, { kind, address: identifier })));
  }
  const user = await getUser(tx, before.id);
  const canUsePassword = user.username !== null && user.passwordHash !== null;
  if (hasVerifiedAddress(before) && !hasVerifiedAddress(user) && !canUsePassword) throw new LastCredentialError();
  if (!hasIdentifier(user)) throw new ValidationError([identifierRequired()]);
  // Another spelling of the same address is no change.
  const keys = getAddressKeys(user);
  if (getAddressKeys(before).some((key, index) => key !== keys[index])) await voidOneTimePasswords(tx, before.id);
  return { user, pendingTokenIds };
}

export function hasVerifiedAddress({ emailVerified, phoneVerified }: User): boolean {
  return emailVerified === true || phoneVerified === true;
}

/**
 * Sets an address: pending, unless it is the current one in another spelling.
 * @returns its token id if it is newly pending
 */
async function setAddress(
  app: App,
  tx: Database,
  user: User,
  { kind, address }: { kind: AddressKind; address: Identifier },
): Promise<string[]> {
  const { key: currentKey, pending } = authenticators[kind].getAddresses(user);
  const tokenId = computeTokenId(app, { kind, key: address.key });
  if (address.key === currentKey) {
    // The same mailbox needs no verification, and cancels the pending address.
    await deletePendingAddresses(tx, user.id, kind);
    await updateTokenAddress(tx, tokenId, address.value);
    await updateUserRow(tx, user.id, addressColumns(kind, address));
    return [];
  }
  await moveLapsedAddresses(tx, [tokenId]);
  await throwIfTaken(app, tx, [address], user.id);
  await putPendingAddress(tx, { userId: user.id, kind, tokenId, address: address.value });
  return pending === address.value ? [] : [tokenId];
}
