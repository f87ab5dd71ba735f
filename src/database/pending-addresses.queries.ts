/** Statements on pending addresses. */
import { and, eq, ne, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { type PendingAddressRow, pendingAddresses, type SecurityTokenKind, securityTokens } from './schema.js';

/** Inserts the address, or replaces the user's pending one of its kind. */
export async function putPendingAddress(
  tx: Database,
  row: Omit<PendingAddressRow, 'createdAt' | 'givenAtSignUp'>,
): Promise<void> {
  const { tokenId, address } = row;
  await tx
    .insert(pendingAddresses)
    .values(row)
    .onConflictDoUpdate({
      target: [pendingAddresses.userId, pendingAddresses.kind],
      set: {
        tokenId,
        address,
        givenAtSignUp: false,
        // Another spelling of the same address stays as old as it was.
        createdAt: sql`case when ${pendingAddresses.tokenId} = excluded.token_id then ${pendingAddresses.createdAt} else excluded.created_at end`,
      },
    });
}

/**
 * Deletes pending addresses of the user: of a kind, or all.
 * @returns the deleted addresses
 */
export async function deletePendingAddresses(
  tx: Database,
  userId: string,
  kind?: SecurityTokenKind,
): Promise<PendingAddressRow[]> {
  const ofKind = kind === undefined ? undefined : eq(pendingAddresses.kind, kind);
  return tx
    .delete(pendingAddresses)
    .where(and(eq(pendingAddresses.userId, userId), ofKind))
    .returning();
}

/**
 * Deletes the user's pending claim to an address.
 * @returns the claim; undefined if there was none
 */
export async function deletePendingClaim(
  tx: Database,
  userId: string,
  tokenId: string,
): Promise<PendingAddressRow | undefined> {
  const [deleted] = await tx
    .delete(pendingAddresses)
    .where(and(eq(pendingAddresses.userId, userId), eq(pendingAddresses.tokenId, tokenId)))
    .returning();
  return deleted;
}

/** Deletes and returns the user's addresses of the sign-up that no account has otherwise. */
export async function takeFreeSignUpAddresses(tx: Database, userId: string): Promise<PendingAddressRow[]> {
  return tx
    .delete(pendingAddresses)
    .where(
      and(
        eq(pendingAddresses.userId, userId),
        eq(pendingAddresses.givenAtSignUp, true),
        sql`not exists (select from security_tokens t where t.id = ${pendingAddresses.tokenId})`,
      ),
    )
    .returning();
}

/** Returns the other users who hold the address, pending or not, in the order of their locks. */
export async function findOtherHolders(tx: Database, tokenId: string, userId: string): Promise<string[]> {
  const pending = tx
    .select({ userId: pendingAddresses.userId })
    .from(pendingAddresses)
    .where(and(eq(pendingAddresses.tokenId, tokenId), ne(pendingAddresses.userId, userId)));
  const held = tx
    .select({ userId: securityTokens.userId })
    .from(securityTokens)
    .where(and(eq(securityTokens.id, tokenId), ne(securityTokens.userId, userId)));
  const rows = await pending.union(held);
  return rows.map((row) => row.userId).sort();
}
