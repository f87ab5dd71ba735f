/** Verifying addresses: who owns an account, and who loses an address. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { insertDelayedNotice } from '../../database/delayed-notices.queries.js';
import { voidOneTimePasswords } from '../../database/one-time-passwords.queries.js';
import {
  deletePendingAddresses,
  deletePendingClaim,
  findOtherHolders,
  takeFreeSignUpAddresses,
} from '../../database/pending-addresses.queries.js';
import type { SecurityTokenKind } from '../../database/schema.js';
import {
  deleteSecurityToken,
  deleteUnverifiedToken,
  deleteUnverifiedTokens,
  findSecurityTokens,
  insertSecurityTokens,
  markVerified,
  moveLapsedAddressesOf,
  type SecurityToken,
} from '../../database/security-tokens.queries.js';
import { deleteSessions, markSessionsRevoked } from '../../database/sessions.queries.js';
import {
  addressColumns,
  getUser,
  insertUser,
  lockUser,
  type User,
  updatePassword,
  updateUserRow,
} from '../../database/users.queries.js';
import { randomText } from '../../security/random.js';
import { authenticators, getTokenKind } from '../authenticators/registry.js';
import { hasVerifiedAddress, isOwned } from '../authorization/authority.js';
import { lossNoticeDelaySeconds } from '../durations.js';
import { InvalidOneTimePasswordError } from '../errors.js';
import { emit, emitRevocations } from '../events/events.js';
import { comparisonKey } from '../identifiers.js';

/** Verifies a reserved address for the user of the session. Nothing is dropped. */
export async function verifyReservedAddress(tx: Database, before: User, token: SecurityToken): Promise<void> {
  await endOtherClaims(tx, token, before.id);
  await markVerified(tx, token.id, before.id);
  await finishVerification(tx, before, token);
}

/**
 * Verifies the pending address of the user. Moves it: claims of other accounts end, and it replaces
 * the user's address of its kind.
 * @throws {InvalidOneTimePasswordError} if the user gave it up, or another account has verified it
 */
export async function verifyPendingAddress(tx: Database, before: User, { id, kind }: SecurityToken): Promise<void> {
  const pending = await deletePendingClaim(tx, before.id, id);
  const [held] = await findSecurityTokens(tx, { id });
  if (pending === undefined || (held !== undefined && held.verifiedAt !== null))
    throw new InvalidOneTimePasswordError();
  await endOtherClaims(tx, { id, kind }, before.id);
  await deleteSecurityToken(tx, before.id, kind);
  await updateUserRow(tx, before.id, toColumns(kind, pending.address));
  await insertSecurityTokens(tx, [{ id, userId: before.id, kind, address: pending.address }]);
  await markVerified(tx, id, before.id);
  await finishVerification(tx, before, { id, kind });
}

async function finishVerification(
  tx: Database,
  before: User,
  { id, kind }: Pick<SecurityToken, 'id' | 'kind'>,
): Promise<void> {
  // The account is owned now, so its other unverified address reserves nothing.
  await moveLapsedAddressesOf(tx, before.id);
  await voidOneTimePasswords(tx, before.id);
  const user = await getUser(tx, before.id);
  emit(tx, { type: 'address-verified', kind, securityTokenId: id, before, user });
}

/**
 * Gives an account without an owner to the reader of its reserved address. Drops everything that
 * came before: password, sessions and the other addresses.
 */
export async function takeOwnership(tx: Database, before: User, token: SecurityToken): Promise<void> {
  const { id: userId } = before;
  if (before.passwordHash !== null) {
    await updatePassword(tx, userId, null);
    emit(tx, { type: 'password-removed', userId });
  }
  const revokedCount = await markSessionsRevoked(tx, userId);
  // Deletes the known devices too.
  await deleteSessions(tx, userId);
  await deletePendingAddresses(tx, userId);
  await endOtherClaims(tx, token, userId);
  await markVerified(tx, token.id, userId);
  for (const kind of await deleteUnverifiedTokens(tx, userId))
    await updateUserRow(tx, userId, addressColumns(kind, null));
  emitRevocations(tx, { userId, count: revokedCount, reason: 'address verified by its owner' });
  emit(tx, { type: 'ownership-proven', userId, securityTokenId: token.id });
  const user = await getUser(tx, userId);
  emit(tx, { type: 'address-verified', kind: token.kind, securityTokenId: token.id, before, user });
}

/**
 * Returns the account of a reader whose code was sent to an unverified address that the account of
 * that time has lost since. It is the account that has the address reserved now, or a new one.
 * Otherwise the creator of an account could void the code by changing the account.
 * @param ownUserId the user of the caller's session, who keeps what the account has
 * @throws {InvalidOneTimePasswordError} if an account has verified the address since
 */
export async function findOrCreateOwnAccount(
  app: App,
  tx: Database,
  { tokenId, address, ownUserId }: { tokenId: string; address: string; ownUserId: string | null },
): Promise<{ user: User; firstProof: boolean; created: boolean }> {
  const kind = getTokenKind(app, tokenId);
  if (kind === undefined) throw new InvalidOneTimePasswordError();
  const [seen] = await findSecurityTokens(tx, { id: tokenId });
  if (seen !== undefined) {
    const user = await lockUser(tx, seen.userId);
    const [held] = await findSecurityTokens(tx, { id: tokenId });
    const isUsable = held !== undefined && held.verifiedAt === null && held.userId === user?.id;
    if (user === undefined || !isUsable || !user.isActive || isOwned(user)) throw new InvalidOneTimePasswordError();
    const firstProof = user.id !== ownUserId;
    await (firstProof ? takeOwnership : verifyReservedAddress)(tx, user, held);
    return { user: await getUser(tx, user.id), firstProof, created: false };
  }
  const { id: userId } = await insertUser(tx, toColumns(kind, address));
  await insertSecurityTokens(tx, [{ id: tokenId, userId, kind, address }]);
  await endOtherClaims(tx, { id: tokenId, kind }, userId);
  await markVerified(tx, tokenId, userId);
  emit(tx, { type: 'ownership-proven', userId, securityTokenId: tokenId });
  const user = await getUser(tx, userId);
  // The account had no address before, so no notice goes to the new one.
  const before = { ...user, emailVerified: null, phoneVerified: null };
  emit(tx, { type: 'address-verified', kind, securityTokenId: tokenId, before, user });
  return { user, firstProof: true, created: true };
}

/** Ends the claims of other accounts to an address, before one account verifies it. */
export async function endOtherClaims(
  tx: Database,
  { id, kind }: Pick<SecurityToken, 'id' | 'kind'>,
  userId: string,
): Promise<void> {
  for (const loserId of await findOtherHolders(tx, id, userId)) {
    const loser = await lockUser(tx, loserId);
    if (loser !== undefined) await loseAddress(tx, loser, { id, kind });
  }
}

/** Removes an unverified address from an account. Another account has verified it. */
async function loseAddress(
  tx: Database,
  loser: User,
  { id, kind }: { id: string; kind: SecurityTokenKind },
): Promise<void> {
  const wasPending = (await deletePendingClaim(tx, loser.id, id)) !== undefined;
  const wasHeld = await deleteUnverifiedToken(tx, loser.id, id);
  if (!wasPending && !wasHeld) return;
  if (wasHeld) await writeIdentifiers(tx, loser, addressColumns(kind, null));
  emit(tx, { type: 'address-lost', kind, securityTokenId: id, userId: loser.id });
  // Sent later, so that a probe for accounts shows nothing.
  if (hasVerifiedAddress(loser))
    await insertDelayedNotice(tx, { userId: loser.id, addressKind: kind, delaySeconds: lossNoticeDelaySeconds });
}

/**
 * Whether the user has a username, or an address that is theirs. A pending address does not count:
 * another account may take it at any time.
 */
export function hasIdentifier({ username, email, phone }: Pick<User, 'username' | 'email' | 'phone'>): boolean {
  return [username, email, phone].some((identifier) => identifier !== null);
}

/** Writes identifiers of the user, with a username if none would remain. */
export async function writeIdentifiers(
  tx: Database,
  user: Pick<User, 'id' | 'username' | 'email' | 'phone'>,
  columns: Partial<User>,
): Promise<void> {
  await updateUserRow(tx, user.id, { ...columns, ...(!hasIdentifier({ ...user, ...columns }) && newUsername()) });
}

const usernameAlphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Returns the username of an account without another identifier. */
export function newUsername(): { username: string; usernameKey: string } {
  const username = `user-${randomText(10, usernameAlphabet)}`;
  return { username, usernameKey: comparisonKey(username) };
}

/**
 * Reserves the addresses given at sign-up again, after an account without an owner became active
 * again. Addresses that another account holds stay pending.
 */
export async function reserveAgain(tx: Database, user: User): Promise<void> {
  if (!user.isActive || isOwned(user)) return;
  for (const { kind, tokenId: id, address } of await takeFreeSignUpAddresses(tx, user.id)) {
    await insertSecurityTokens(tx, [{ id, userId: user.id, kind, address }]);
    await updateUserRow(tx, user.id, toColumns(kind, address));
  }
}

function toColumns(kind: SecurityTokenKind, address: string) {
  const { identifies } = authenticators[kind];
  return identifies === null ? {} : addressColumns(identifies, { value: address, key: comparisonKey(address) });
}
