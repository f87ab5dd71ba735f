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
import { hasVerifiedAddress } from '../authorization/authority.js';
import { identifierRequired, LastCredentialError, ValidationError } from '../errors.js';
import type { AddressKind, Identifier } from '../identifiers.js';
import { hasIdentifier, newUsername } from '../ownership/verification.js';
import { throwIfTaken } from './claim-identifiers.js';

/** null removes the identifier */
export type IdentifierChanges = Map<Identifier['kind'], Identifier | null>;

/**
 * Writes the changes. The caller has locked the user.
 * @returns the user after the changes; token ids of addresses that became pending
 * @throws {ValidationError} `IDENTIFIER_REQUIRED` if no identifier would remain; `TAKEN` for an
 * address of another user
 * @throws {LastCredentialError} for the last verified address, if no password could sign in
 */
export async function applyIdentifiers(
  app: App,
  tx: Database,
  before: User,
  changes: IdentifierChanges,
): Promise<{ user: User; pendingTokenIds: string[] }> {
  await requireFree(app, tx, before.id, changes);
  const columns: Partial<User> = {};
  const pendingTokenIds: string[] = [];
  for (const [kind, identifier] of changes) {
    if (kind === 'username') {
      Object.assign(columns, { username: identifier?.value ?? null, usernameKey: identifier?.key ?? null });
    } else if (identifier === null) {
      await deletePendingAddresses(tx, before.id, kind);
      await deleteSecurityToken(tx, before.id, kind);
      Object.assign(columns, addressColumns(kind, null), { [`${kind}Verified`]: null });
    } else {
      const change = await setAddress(app, tx, before, { kind, address: identifier });
      Object.assign(columns, change.columns);
      if (change.pendingTokenId !== null) pendingTokenIds.push(change.pendingTokenId);
    }
  }
  const { emailVerified: _, phoneVerified: __, ...written } = columns;
  const after = { ...before, ...columns };
  requireSignIn(before, after);
  if (!hasIdentifier(after)) Object.assign(written, await nameByPending(tx, before.id));
  await updateUserRow(tx, before.id, written);
  const user = await getUser(tx, before.id);
  // Another spelling of the same address is no change.
  const keys = getAddressKeys(user);
  if (getAddressKeys(before).some((key, index) => key !== keys[index])) await voidOneTimePasswords(tx, before.id);
  return { user, pendingTokenIds };
}

/**
 * Rejects identifiers of other users, all together. No constraint protects a pending address, and
 * that of a username decides between two requests at once.
 */
async function requireFree(app: App, tx: Database, userId: string, changes: IdentifierChanges): Promise<void> {
  const claimed = [...changes.values()].filter((identifier) => identifier !== null);
  const tokenIds = claimed.flatMap(({ kind, key }) => (kind === 'username' ? [] : computeTokenId(app, { kind, key })));
  if (tokenIds.length > 0) await moveLapsedAddresses(tx, tokenIds);
  if (claimed.length > 0) await throwIfTaken(app, tx, claimed, userId);
}

/** Rejects the removal of the last verified address of a user without another way to sign in. */
function requireSignIn(before: User, after: User): void {
  const canUsePassword = after.username !== null && after.passwordHash !== null;
  if (hasVerifiedAddress(before) && !hasVerifiedAddress(after) && !canUsePassword) throw new LastCredentialError();
}

/** Names a user who has only pending addresses left: other accounts may take those at any time. */
async function nameByPending(tx: Database, userId: string): Promise<Partial<User>> {
  const { pendingEmail, pendingPhone } = await getUser(tx, userId);
  if (pendingEmail === null && pendingPhone === null) throw new ValidationError([identifierRequired()]);
  return newUsername();
}

/** Sets an address: pending, unless it is the current one in another spelling. */
async function setAddress(
  app: App,
  tx: Database,
  user: User,
  { kind, address }: { kind: AddressKind; address: Identifier },
): Promise<{ columns: Partial<User>; pendingTokenId: string | null }> {
  const { key: currentKey, pending } = authenticators[kind].getAddresses(user);
  const tokenId = computeTokenId(app, { kind, key: address.key });
  if (address.key === currentKey) {
    // The same mailbox needs no verification, and cancels the pending address.
    await deletePendingAddresses(tx, user.id, kind);
    await updateTokenAddress(tx, tokenId, address.value);
    return { columns: addressColumns(kind, address), pendingTokenId: null };
  }
  await putPendingAddress(tx, { userId: user.id, kind, tokenId, address: address.value });
  return { columns: {}, pendingTokenId: pending === address.value ? null : tokenId };
}
