/** Applies addresses of the source to an account that was imported before. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { addFailures, type Holder, type ImportedFailures, pendingCounterId } from '../../database/import.queries.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import { deletePendingAddresses, putPendingAddress } from '../../database/pending-addresses.queries.js';
import {
  deleteSecurityToken,
  insertSecurityTokens,
  markVerified,
  moveLapsedAddresses,
  moveLapsedAddressesOf,
  updateTokenAddress,
} from '../../database/security-tokens.queries.js';
import { addressColumns, getUser, updateUserRow } from '../../database/users.queries.js';
import { throwIfTaken } from '../accounts/claim-identifiers.js';
import { authenticators, computeTokenId } from '../authenticators/registry.js';
import { isOwned } from '../authorization/authority.js';
import { type AddressKind, comparisonKey, type Identifier } from '../identifiers.js';
import { writeIdentifiers } from '../ownership/verification.js';
import { endUnverifiedClaims } from './collisions.js';

/** An address of the source for an account that exists here. */
export interface AddressChange {
  kind: AddressKind;
  address: Identifier;
  /** whether the source vouches for the address */
  verified: boolean;
  failures: ImportedFailures | null;
  /** false if the source changed only the state of the address */
  replaces: boolean;
}

/** Removes the address of a kind, and the pending one. */
export async function removeAddress(tx: Database, userId: string, kind: AddressKind): Promise<void> {
  await dropAddresses(tx, userId, kind);
  await writeIdentifiers(tx, await getUser(tx, userId), addressColumns(kind, null));
  await voidOneTimePasswords(tx, userId);
}

/**
 * Applies an address and its state. A verified one counts at once, and a verification is never
 * removed. An unverified one does not replace a verified one.
 * @returns the other accounts that lost the address
 * @throws {ValidationError} `TAKEN`
 */
export async function applyAddress(app: App, tx: Database, userId: string, change: AddressChange): Promise<Holder[]> {
  const { kind, address, failures } = change;
  const tokenId = computeTokenId(app, { kind, key: address.key });
  await moveLapsedAddresses(tx, [tokenId]);
  const user = await getUser(tx, userId);
  const { key, verified, pending } = authenticators[kind].getAddresses(user);
  const isHeld = key === address.key;
  const isPending = !isHeld && pending !== null && comparisonKey(pending) === address.key;
  // The user has changed the address here, and the source has not.
  if (!isHeld && !isPending && !change.replaces) return [];

  const verifies = change.verified && !(isHeld && verified);
  const losers = verifies ? await endUnverifiedClaims(tx, { tokenId, kind, userId }) : [];
  if (verifies || !(isHeld || isPending)) await throwIfTaken(app, tx, [address], userId);
  const isNowPending = !verifies && !isHeld && (isPending || isOwned(user) || !user.isActive);
  const row = { userId, kind, tokenId, address };
  if (isNowPending) await putPendingAddress(tx, { ...row, address: address.value });
  else if (!isHeld) await replaceAddress(tx, row);
  else if (change.replaces) await respellAddress(tx, row);
  if (verifies) {
    await markVerified(tx, tokenId, userId);
    // The account is owned now, so its other unverified address reserves nothing.
    await moveLapsedAddressesOf(tx, userId);
  }
  if (verifies || !(isHeld || isPending)) await voidOneTimePasswords(tx, userId);
  await addFailures(tx, [{ counterId: isNowPending ? pendingCounterId(tokenId, userId) : tokenId, failures }]);
  return losers;
}

interface AddressRow {
  userId: string;
  kind: AddressKind;
  tokenId: string;
  address: Identifier;
}

/** Stores the address in place of the user's address of its kind, and of the pending one. */
async function replaceAddress(tx: Database, { userId, kind, tokenId, address }: AddressRow): Promise<void> {
  await dropAddresses(tx, userId, kind);
  await updateUserRow(tx, userId, addressColumns(kind, address));
  await insertSecurityTokens(tx, [{ id: tokenId, userId, kind, address: address.value }]);
}

/** Stores another spelling of the user's address, and cancels the pending one. */
async function respellAddress(tx: Database, { userId, kind, tokenId, address }: AddressRow): Promise<void> {
  await deletePendingAddresses(tx, userId, kind);
  await updateTokenAddress(tx, tokenId, address.value);
  await updateUserRow(tx, userId, addressColumns(kind, address));
}

async function dropAddresses(tx: Database, userId: string, kind: AddressKind): Promise<void> {
  await deletePendingAddresses(tx, userId, kind);
  await deleteSecurityToken(tx, userId, kind);
}
